"""Run a command as numbered jobs: CMD [options] JOB=1:N log/x.JOB.log command args.

CMD is utils/run.pl (this machine) or utils/slurm.pl. Options, with a value each:
--gpu, --mem, --num_threads, --time, --num_nodes, --name, --config (slurm.conf),
--max_jobs_run (at once), --progress (expression to look for in the logs, with groups
done and total, or counted), --progress_total (items of all jobs).
"""

import signal
import sys
from types import FrameType

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.jobs.command_line import parse_command_line
from espnet_vibevoice.jobs.failure import describe_failure
from espnet_vibevoice.jobs.local import run_local
from espnet_vibevoice.jobs.slurm import run_slurm, run_slurm_task

_BACKENDS = {"local": ("run.pl", run_local), "slurm": ("slurm.pl", run_slurm)}


def end_on_signal(signum: int, frame: FrameType | None) -> None:
    """Leave by way of all ``finally`` blocks, which end the jobs."""
    sys.exit(128 + signum)


def main() -> int:
    """Run the jobs; on failure show the log of the job that failed."""
    words = sys.argv[1:]
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) != signal.SIG_IGN:  # as under nohup
            signal.signal(signum, end_on_signal)
    if words[:2] == ["--backend", "slurm_task"]:
        return run_slurm_task(words[2])
    if words[:1] in (["-h"], ["--help"]) or words[2:3] in (["-h"], ["--help"]):
        sys.stdout.write(f"usage: {__doc__}")
        sys.exit(0)
    if words[:1] != ["--backend"] or words[1:2] == [] or words[1] not in _BACKENDS:
        raise ValueError(f"--backend must come first, one of {sorted(_BACKENDS)}.")
    if len(words) == 2:
        sys.stderr.write(f"usage: {__doc__}")
        return 2
    runner, run = _BACKENDS[words[1]]
    array = parse_command_line(words[2:])
    failed = run(array)
    for number, status in failed.items():
        log = array.log_path(number)
        report = describe_failure(runner, number, status, log)
        sys.stderr.write(report + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
