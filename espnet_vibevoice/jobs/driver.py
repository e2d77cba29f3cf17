"""Jobs do not outlive those who asked for them, not even after ``kill -9``.

A killed process cannot end its children. So the runner looks once a second whether
the stage driver that exported ``TTS_DRIVER_PID`` still lives, and Linux is asked to
kill a job when its runner is gone.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

DRIVER_VARIABLE = "TTS_DRIVER_PID"
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


class DriverWatch:
    """Looks whether the stage driver still lives.

    Args:
        interval_sec (float): Time between looks.

    Raises:
        ValueError: ``TTS_DRIVER_PID`` is set and is no process id.
    """

    def __init__(self, interval_sec: float = 1.0):
        value = os.environ.get(DRIVER_VARIABLE, "")
        if value and not (value.isdecimal() and int(value) > 0):
            raise ValueError(
                f"{DRIVER_VARIABLE} wants the process id of the stage driver, got "
                f"{value!r}. Unset it."
            )
        self._pid = int(value) if value else None
        self._interval_sec = interval_sec
        self._looked_at = time.monotonic()

    def check(self) -> None:
        """Raise RuntimeError if there was a driver and it is gone."""
        if self._pid is None or time.monotonic() - self._looked_at < self._interval_sec:
            return
        self._looked_at = time.monotonic()
        if not is_alive(self._pid):
            raise RuntimeError(
                f"the stage driver (process {self._pid}) has ended without its jobs: "
                "they are stopped. Run the same command again to go on"
            )


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as somebody else
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no /proc here, or the process ended just now
        return not Path("/proc/self/stat").exists()
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def end_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends; on Linux only.

    Called in a new process before it runs its command.

    Args:
        parent (int): Process id of the parent.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(128 + signal.SIGKILL)
