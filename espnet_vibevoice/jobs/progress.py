"""One line for many logs: items done, share, time used and time left.

Each log is read on from where the last reading stopped. The expression may name
groups ``done`` and ``total``, then the last match of a log counts; without groups
every match counts as one item.
"""

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from espnet_vibevoice.jobs.command_line import DEFAULT_PROGRESS, JobArray

_LINE_SEC = 15.0
_TERMINAL_SEC = 0.5


class LogReader:
    """Progress of one job from its growing log.

    Args:
        path (Path): Log file; need not exist yet.
        pattern (re.Pattern): Expression to look for in each line.
    """

    def __init__(self, path: Path, pattern: re.Pattern[bytes]):
        self.done = 0
        self.total: int | None = None
        self._path = path
        self._pattern = pattern
        self._offset = 0
        self._rest = b""

    def update(self) -> None:
        """Read what was appended since the last call."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        self._offset += len(data)
        # A progress bar redraws its line with carriage returns.
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            for match in self._pattern.finditer(line):
                self._count(match.groupdict())

    def _count(self, groups: dict[str, bytes | None]) -> None:
        self.done = int(groups["done"] or 0) if "done" in groups else self.done + 1
        if groups.get("total") is not None:
            self.total = int(groups["total"] or 0)


class ProgressLine:
    """Progress of a job array on a stream: in place on a terminal, else line by line.

    Args:
        array (JobArray): Jobs; options ``progress`` and ``progress_total`` apply.
        stream (TextIO | None): Where to write; standard error by default.
        interval_sec (float | None): Least time between lines; by default 0.5 s on a
            terminal and 15 s elsewhere.

    Raises:
        ValueError: ``--progress`` is no regular expression.
    """

    def __init__(
        self,
        array: JobArray,
        stream: TextIO | None = None,
        interval_sec: float | None = None,
    ):
        expression = array.options.get("progress", DEFAULT_PROGRESS)
        try:
            pattern = re.compile(expression.encode("utf-8"))
        except re.error as err:
            raise ValueError(
                f"--progress is no regular expression ({err}): {expression!r}."
            ) from err
        self._stream = sys.stderr if stream is None else stream
        self._in_place = self._stream.isatty()
        default_sec = _TERMINAL_SEC if self._in_place else _LINE_SEC
        self._interval_sec = default_sec if interval_sec is None else interval_sec
        self._readers = {
            n: LogReader(array.log_path(n), pattern) for n in array.numbers
        }
        self._fixed_total = array.int_option("progress_total", 0)
        self._start = self._written_at = time.monotonic()
        self._first: tuple[float, int] | None = None  # time and items of first sight
        self._last_counts = (0, 0)
        self._has_written = False

    def update(self, started: Iterable[int], num_ended: int) -> None:
        """Look at the logs of started jobs if it is time to write again."""
        if time.monotonic() - self._written_at < self._interval_sec:
            return
        self._written_at = time.monotonic()
        self._read(started)
        counts = (self._done, num_ended)
        if self._in_place or counts != self._last_counts:
            self._last_counts = counts
            self._write(num_ended)

    def close(self, started: Iterable[int], num_ended: int) -> None:
        """Write the last state, if any was written before, and end the line."""
        if not self._has_written:
            return
        self._read(started)
        if self._in_place or (self._done, num_ended) != self._last_counts:
            self._write(num_ended)
        if self._in_place:
            self._stream.write("\n")
            self._stream.flush()

    def describe(self, num_ended: int) -> str:
        """Make the line from what was read so far."""
        elapsed = time.monotonic() - self._start
        line = f"jobs ended: {num_ended}/{len(self._readers)}"
        total, is_estimate = self._total()
        if total:
            share = min(self._done / total, 1.0)
            about = "about " if is_estimate else ""
            line = f"{self._done}/{about}{total} ({share:.1%}), {line}"
        elif self._done:
            line = f"{self._done} done, {line}"
        line += f", elapsed {_clock(elapsed)}"
        left = self._time_left(total)
        return line if left is None else f"{line}, left {_clock(left)}"

    @property
    def _done(self) -> int:
        return sum(reader.done for reader in self._readers.values())

    def _total(self) -> tuple[int, bool]:
        """Items of all jobs (0: unknown) and whether that is an estimate."""
        if self._fixed_total:
            return self._fixed_total, False
        known = [r.total for r in self._readers.values() if r.total is not None]
        if not known:
            return 0, True
        estimate = round(sum(known) * len(self._readers) / len(known))
        return estimate, len(known) < len(self._readers)

    def _time_left(self, total: int) -> float | None:
        """Seconds left at the rate since items were first seen."""
        if self._first is None or self._done <= self._first[1] or not total:
            return None
        since, done_then = self._first
        rate = (self._done - done_then) / (time.monotonic() - since)
        return max(total - self._done, 0) / rate

    def _read(self, started: Iterable[int]) -> None:
        for number in started:
            self._readers[number].update()
        if self._first is None and self._done:
            self._first = (time.monotonic(), self._done)

    def _write(self, num_ended: int) -> None:
        line = self.describe(num_ended)
        self._stream.write(f"\r\x1b[K{line}" if self._in_place else f"{line}\n")
        self._stream.flush()
        self._has_written = True


def _clock(seconds: float) -> str:
    """Write seconds as h:mm:ss."""
    minutes, secs = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{secs:02d}"
