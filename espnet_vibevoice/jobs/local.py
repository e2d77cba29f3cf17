"""Run a job array on this machine, a limited number of jobs at a time."""

import os
import re
import time
from pathlib import Path

from espnet_vibevoice.jobs.command_line import JobArray
from espnet_vibevoice.jobs.driver import DriverWatch
from espnet_vibevoice.jobs.progress import ProgressLine
from espnet_vibevoice.jobs.task import Task, signals_deferred, stop_tasks

_POLL_SEC = 0.02
# Asked of a scheduler; a machine of one's own grants them as it can.
_KNOWN_OPTIONS = frozenset(
    "gpu mem num_threads time max_jobs_run name num_nodes config "
    "progress progress_total".split()
)


def run_local(array: JobArray, line: ProgressLine | None = None) -> dict[int, int]:
    """Run all jobs; end the others as soon as one fails.

    Args:
        array (JobArray): Jobs. ``--max_jobs_run`` limits how many run at once; with
            ``--gpu N`` and several GPUs in sight each job gets N of them in turn.
        line (ProgressLine | None): Shows progress; the standard one by default.

    Returns:
        dict[int, int]: Number and status of the job that failed; empty if all went
            well.

    Raises:
        RuntimeError: The stage driver has ended meanwhile.
        ValueError: An option is unknown or malformed.
    """
    unknown = sorted(set(array.options) - _KNOWN_OPTIONS)
    if unknown:
        raise ValueError(
            f"Unknown option --{unknown[0]}: run.pl knows {sorted(_KNOWN_OPTIONS)}."
        )
    max_running = array.int_option("max_jobs_run", len(array.numbers))
    if max_running < 1:
        raise ValueError("--max_jobs_run must be at least 1, got 0.")
    line = line or ProgressLine(array)
    remove_old_logs(array)
    slots = _Slots(array, max_running)
    try:
        failed = _run_all(array, line, slots)
    finally:
        stop_tasks(slots.running.values())
    line.close(slots.started, slots.num_ended)
    return failed


def remove_old_logs(array: JobArray) -> None:
    """Remove logs of an earlier run, which would pass for logs of this one."""
    for number in array.numbers:
        array.log_path(number).unlink(missing_ok=True)


def _run_all(array: JobArray, line: ProgressLine, slots: "_Slots") -> dict[int, int]:
    waiting = list(array.numbers)
    driver = DriverWatch()
    while waiting or slots.running:
        driver.check()
        while waiting and slots.has_free():
            slots.start(waiting.pop(0))
        time.sleep(_POLL_SEC)
        failed = slots.collect_ended()
        if failed:
            return failed
        line.update(slots.started, slots.num_ended)
    return {}


class _Slots:
    """Places for jobs that run at once; a place has its GPUs."""

    def __init__(self, array: JobArray, max_running: int):
        self.running: dict[int, Task] = {}
        self.started: list[int] = []
        self.num_ended = 0
        self._array = array
        self._free = list(range(max_running))
        self._slot_of: dict[int, int] = {}
        self._threads = array.int_option("num_threads", 1)
        gpus_per_job = array.int_option("gpu", 0)
        visible = list_visible_gpus() if gpus_per_job else []
        is_shared = len(array.numbers) > 1 and len(visible) > 1
        self._visible = visible if is_shared else []
        self._gpus_per_job = gpus_per_job

    def has_free(self) -> bool:
        return bool(self._free)

    def start(self, number: int) -> None:
        slot = min(self._free)
        self._free.remove(slot)
        self._slot_of[number] = slot
        self.started.append(number)
        with signals_deferred():
            self.running[number] = Task(
                self._array.shell_command(number),
                self._array.log_path(number),
                self._threads,
                assign_gpus(self._visible, slot, self._gpus_per_job),
            )

    def collect_ended(self) -> dict[int, int]:
        """Free the places of ended jobs; return the first failure, if any."""
        for number, task in list(self.running.items()):
            status = task.poll()
            if status is None:
                continue
            del self.running[number]
            self._free.append(self._slot_of[number])
            self.num_ended += 1
            if status != 0:
                return {number: status}
        return {}


def assign_gpus(visible: list[str], slot: int, gpus_per_job: int) -> dict[str, str]:
    """Environment that gives a place its GPUs in turn; empty if there is no choice.

    Example:
        >>> assign_gpus(["0", "1", "2"], slot=1, gpus_per_job=2)
        {'CUDA_VISIBLE_DEVICES': '2,0'}
    """
    if not visible:
        return {}
    count = min(gpus_per_job, len(visible))
    chosen = [visible[(slot * count + i) % len(visible)] for i in range(count)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(chosen)}


def list_visible_gpus(device_folder: Path = Path("/dev")) -> list[str]:
    """Names of GPUs in ``CUDA_VISIBLE_DEVICES``, else numbers of those present."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name]
    nodes = [p for p in device_folder.glob("nvidia*") if re.search(r"\d$", p.name)]
    return [str(index) for index in range(len(nodes))]
