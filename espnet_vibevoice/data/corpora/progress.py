"""Progress of a long pass over a corpus: rows, share, time used and time left."""

import datetime
import logging
import time

logger = logging.getLogger(__name__)
_INTERVAL_SEC = 10.0


class PassProgress:
    """Count rows; log a line every ten seconds.

    Args:
        what (str): What is counted, for the line.
        total (int): Rows to come; an estimate will do.
        interval_sec (float): Least time between lines.
    """

    def __init__(self, what: str, total: int, interval_sec: float = _INTERVAL_SEC):
        self.done = 0
        self._what = what
        self._total = total
        self._interval_sec = interval_sec
        self._began = self._logged_at = time.monotonic()

    def update(self) -> None:
        """Count one row."""
        self.done += 1
        now = time.monotonic()
        if now - self._logged_at >= self._interval_sec:
            self._logged_at = now
            logger.info("%s", self.describe(now - self._began))

    def describe(self, elapsed_sec: float) -> str:
        """Make the line.

        Example:
            >>> progress = PassProgress("rows", 4)
            >>> progress.update()
            >>> progress.describe(2.0)
            'rows: 1/4 (25.0%), elapsed 0:00:02, left 0:00:06'
        """
        total = max(self._total, self.done)
        left_sec = elapsed_sec * (total - self.done) / max(self.done, 1)
        return (
            f"{self._what}: {self.done}/{total} ({self.done / max(total, 1):.1%}), "
            f"elapsed {_clock(elapsed_sec)}, left {_clock(left_sec)}"
        )


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
