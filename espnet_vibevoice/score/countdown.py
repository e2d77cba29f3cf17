"""Progress of a long step on one line: items done, time used, time left."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

import humanfriendly

_LINE_SEC = 10.0
_TERMINAL_SEC = 0.5


class Countdown:
    """Tells every few seconds how far a step is; silent while it is short.

    Args:
        name (str): What is being done.
        total (int): Number of items.
        stream (TextIO | None): Where to write; standard error by default.
        clock (Callable): Gives the time in seconds.
    """

    def __init__(
        self,
        name: str,
        total: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._name = name
        self._total = total
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._in_place = self._stream.isatty()
        self._began = self._told = clock()
        self._done = 0

    def update(self) -> None:
        """Count one more item as done; say so if it is time to."""
        self._done += 1
        now = self._clock()
        interval = _TERMINAL_SEC if self._in_place else _LINE_SEC
        is_last = self._done == self._total and self._told > self._began
        if now - self._told < interval and not is_last:
            return
        self._told = now
        used = now - self._began
        left = used / self._done * (self._total - self._done)
        line = (
            f"{self._name}: {self._done}/{self._total} "
            f"({self._done / self._total:.0%}), {_format(used)} used, "
            f"{_format(left)} left"
        )
        ended = self._done == self._total
        start, end = (
            ("\r\x1b[K", "\n" if ended else "") if self._in_place else ("", "\n")
        )
        self._stream.write(f"{start}{line}{end}")
        self._stream.flush()


def _format(seconds: float) -> str:
    return humanfriendly.format_timespan(round(seconds), max_units=2)
