"""One job as a process of its own, with a log in Kaldi's form.

The log begins with the command and the start time and ends with the time used and
the exit status, so that it tells by itself whether the job ended well.
"""

import functools
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from espnet_vibevoice.jobs.driver import end_with_parent

_STOP_SEC = 5.0
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Task:
    """A running job.

    Args:
        command (str): Command for bash.
        log (Path): Log file; overwritten.
        threads (int): Threads it may use, for the log.
        environment (Mapping[str, str]): Variables besides our own.
    """

    def __init__(
        self,
        command: str,
        log: Path,
        threads: int = 1,
        environment: Mapping[str, str] | None = None,
    ):
        self.log = log
        self._threads = threads
        self._start = time.monotonic()
        self._status: int | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"# {command}\n# Started at {time.ctime()}\n#\n", "utf-8")
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # so that all its children can be ended
                preexec_fn=functools.partial(end_with_parent, os.getpid()),
            )

    def poll(self) -> int | None:
        """Exit status (128 + signal for a killed job), None while it runs."""
        code = self._process.poll()
        if code is not None and self._status is None:
            self._status = 128 - code if code < 0 else code
            seconds = round(time.monotonic() - self._start)
            with self.log.open("a", encoding="utf-8") as log:
                log.write(
                    f"# Accounting: time={seconds} threads={self._threads}\n"
                    f"# Ended (code {self._status}) at {time.ctime()}, "
                    f"elapsed time {seconds} seconds\n"
                )
        return self._status

    def send(self, signum: int) -> None:
        """Send a signal to the job and all processes it started."""
        try:
            os.killpg(self._process.pid, signum)
        except ProcessLookupError:
            return  # all have ended


def stop_tasks(tasks: Iterable[Task]) -> None:
    """End jobs and their children: politely first, by force after five seconds."""
    running = [task for task in tasks if task.poll() is None]
    if not running:
        return
    with signals_deferred():
        for task in running:
            task.send(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SEC
        while time.monotonic() < deadline and any(t.poll() is None for t in running):
            time.sleep(0.02)
        for task in running:
            task.send(signal.SIGKILL)
        while any(task.poll() is None for task in running):
            time.sleep(0.02)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let signals that end us wait until the block is over.

    So no job is started without being noted, and none is left half stopped.
    """
    received: list[int] = []
    old = {
        signum: signal.signal(signum, lambda number, frame: received.append(number))
        for signum in _ENDING_SIGNALS
        if signal.getsignal(signum) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)
    for signum in received[:1]:
        signal.raise_signal(signum)
