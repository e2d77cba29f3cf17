"""Run a job array under Slurm.

One sbatch script starts a task per number; the task runs the job just as the local
runner does and leaves its status in a file ``q/NAME.done.RUN.NUMBER``, which we wait
for on the shared disk (RUN keeps late tasks of a cancelled run apart). No accounting
database is needed. If ``squeue`` is at hand, jobs that vanished (cancelled, out of
time, node lost) are noticed too.
"""

import glob
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import asdict
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.jobs.command_line import JobArray
from espnet_vibevoice.jobs.driver import DRIVER_VARIABLE, DriverWatch
from espnet_vibevoice.jobs.local import remove_old_logs
from espnet_vibevoice.jobs.progress import ProgressLine
from espnet_vibevoice.jobs.slurm_config import load_slurm_config
from espnet_vibevoice.jobs.task import Task, signals_deferred, stop_tasks

LOST_STATUS = 255  # the job left the queue without a word
_OWN_OPTIONS = ("config", "max_jobs_run", "progress", "progress_total")


def run_slurm(
    array: JobArray,
    line: ProgressLine | None = None,
    *,
    poll_sec: float = 1.0,
    queue_check_sec: float = 30.0,
) -> dict[int, int]:
    """Submit all jobs and wait for them; cancel the others as soon as one fails.

    Args:
        array (JobArray): Jobs; options become sbatch arguments by ``--config``.
        line (ProgressLine | None): Shows progress; the standard one by default.
        poll_sec (float): Time between looks at the status files.
        queue_check_sec (float): Time between looks at the queue.

    Returns:
        dict[int, int]: Number and status of the job that failed; empty if all went
            well.

    Raises:
        RuntimeError: sbatch refused the jobs, or the stage driver has ended.
        ValueError: An option or the configuration is malformed.
    """
    line = line or ProgressLine(array)
    run_id = uuid.uuid4().hex[:8]
    stem = _queue_file(array, "")
    stem.parent.mkdir(parents=True, exist_ok=True)
    remove_old_logs(array)
    for old in stem.parent.glob(f"{glob.escape(stem.name)}.done.*"):
        old.unlink()
    job_id = _submit(array, run_id)
    watch = _QueueWatch(job_id, queue_check_sec)
    is_over = False
    try:
        failed, done = _wait(array, run_id, line, watch, poll_sec)
        is_over = not failed
    finally:  # after Ctrl-C as well nothing may stay in the queue
        if not is_over:
            _cancel(job_id)
    line.close(array.numbers, len(done))
    return failed


def run_slurm_task(spec: str | Path) -> int:
    """Run one job on the node that Slurm chose; called by the sbatch script.

    Args:
        spec (str | Path): Description of the array, written at submission.

    Returns:
        int: Exit status of the job, also left in its status file.
    """
    fields = json.loads(Path(spec).read_text(encoding="utf-8"))
    run_id = fields.pop("run_id")
    array = JobArray(**{**fields, "command": tuple(fields["command"])})
    number = int(os.environ.get("SLURM_ARRAY_TASK_ID", array.first))
    threads = array.int_option("num_threads", 1)
    tasks: list[Task] = []
    status = LOST_STATUS
    try:
        with signals_deferred():
            command, log = array.shell_command(number), array.log_path(number)
            tasks.append(Task(command, log, threads))
        while (code := tasks[0].poll()) is None:
            time.sleep(0.1)
        status = code
    except (KeyboardInterrupt, SystemExit):
        status = 128 + signal.SIGTERM
        raise
    finally:
        stop_tasks(tasks)
        write_text(_done_file(array, run_id, number), f"{status}\n")
    return status


def _wait(
    array: JobArray,
    run_id: str,
    line: ProgressLine,
    watch: "_QueueWatch",
    poll_sec: float,
) -> tuple[dict[int, int], set[int]]:
    """Wait for all jobs or one failure; return that and the jobs that ended."""
    done: set[int] = set()
    driver = DriverWatch()
    while True:
        driver.check()
        # The queue is asked before the files: whoever left it has written one.
        has_vanished = watch.has_vanished()
        for number in array.numbers:
            file = _done_file(array, run_id, number)
            if number in done or not file.is_file():
                continue
            done.add(number)
            status = int(file.read_text(encoding="utf-8"))
            if status != 0:
                return {number: status}, done
        if len(done) == len(array.numbers):
            return {}, done
        if has_vanished:
            lost = min(set(array.numbers) - done)
            return {lost: LOST_STATUS}, done
        line.update(array.numbers, len(done))
        time.sleep(poll_sec)


def _submit(array: JobArray, run_id: str) -> str:
    """Write the script and the description, call sbatch, return the job's id."""
    spec, script = _queue_file(array, ".json"), _queue_file(array, ".sh")
    fields = {**asdict(array), "run_id": run_id}
    write_text(spec, json.dumps(fields, ensure_ascii=False, indent=1) + "\n")
    write_text(script, _make_script(spec))
    config = load_slurm_config(array.options.get("config"))
    options = {k: v for k, v in array.options.items() if k not in _OWN_OPTIONS}
    options.setdefault("name", script.stem)
    command = config.build_command(options)
    command += ["--open-mode=append", f"--output={_queue_file(array, '.out')}"]
    if array.placeholder:
        limit = array.int_option("max_jobs_run", 0)
        at_once = f"%{limit}" if limit else ""
        command.append(f"--array={array.first}-{array.last}{at_once}")
    command.append(str(script))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    match = re.search(r"(\d+)\s*$", result.stdout)
    if result.returncode != 0 or match is None:
        raise RuntimeError(
            f"sbatch refused the jobs (status {result.returncode}): "
            f"{result.stderr.strip() or result.stdout.strip() or 'no message'}. "
            f"Command: {shlex.join(command)}. Check {config.source}."
        )
    return match[1]


def _make_script(spec: Path) -> str:
    package_root = Path(__file__).resolve().parents[2]
    runner = [sys.executable, "-m", "espnet_vibevoice.bin.run_jobs"]
    return (
        "#!/usr/bin/env bash\n"
        f"cd {shlex.quote(os.getcwd())} || exit 1\n"
        f"unset {DRIVER_VARIABLE}\n"  # a process of another machine
        "if [ -f ./path.sh ]; then . ./path.sh; fi\n"
        f"export PYTHONPATH={shlex.quote(str(package_root))}"
        "${PYTHONPATH:+:${PYTHONPATH}}\n"
        f"exec {shlex.join([*runner, '--backend', 'slurm_task', str(spec)])}\n"
    )


def _queue_file(array: JobArray, suffix: str) -> Path:
    log = Path(array.log)
    name = log.stem.replace(array.placeholder, "") if array.placeholder else log.stem
    return log.parent / "q" / (name.strip(".") + suffix)


def _done_file(array: JobArray, run_id: str, number: int) -> Path:
    return _queue_file(array, f".done.{run_id}.{number}")


def _cancel(job_id: str) -> None:
    if shutil.which("scancel"):
        subprocess.run(["scancel", job_id], capture_output=True, check=False)


class _QueueWatch:
    """Tells when jobs are in the queue no more, as far as ``squeue`` is at hand."""

    def __init__(self, job_id: str, interval_sec: float):
        self._command = ["squeue", "--noheader", "--jobs", job_id]
        self._interval_sec = interval_sec
        self._asked_at = time.monotonic()
        self._times_gone = 0
        self._is_available = shutil.which("squeue") is not None

    def has_vanished(self) -> bool:
        """Whether the jobs were gone the last two times.

        Twice, because status files may show on a network disk with some delay.
        """
        now = time.monotonic()
        if self._is_available and now - self._asked_at >= self._interval_sec:
            self._asked_at = now
            result = subprocess.run(
                self._command, capture_output=True, text=True, check=False
            )
            is_unknown = "Invalid job id" in result.stderr
            is_empty = result.returncode == 0 and not result.stdout.strip()
            self._times_gone = self._times_gone + 1 if is_unknown or is_empty else 0
        return self._times_gone >= 2
