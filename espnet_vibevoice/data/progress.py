"""Progress of one job, written into its log for the job runner to add up."""

import sys
import time
from typing import TextIO

_INTERVAL_SEC = 2.0


class Progress:
    """Count finished items; write ``progress: DONE/TOTAL`` lines.

    There is a line at the start, at the end, and in between whenever two seconds or
    a twentieth of the items have passed.

    Args:
        total (int): Number of items of this job.
        stream (TextIO | None): Where to write; standard error by default.

    Example:
        >>> progress = Progress(2, sys.stdout)
        progress: 0/2
        >>> progress.update()
        progress: 1/2
    """

    def __init__(self, total: int, stream: TextIO | None = None):
        self.done = 0
        self.total = total
        self._stream = sys.stderr if stream is None else stream
        self._step = max(1, total // 20)
        self._write()

    def update(self, count: int = 1) -> None:
        """Count ``count`` more items as finished."""
        self.done += count
        late = time.monotonic() - self._written_at >= _INTERVAL_SEC
        enough = self.done - self._written_done >= self._step
        if late or enough or self.done >= self.total:
            self._write()

    def _write(self) -> None:
        self._stream.write(f"progress: {self.done}/{self.total}\n")
        self._stream.flush()
        self._written_at = time.monotonic()
        self._written_done = self.done
