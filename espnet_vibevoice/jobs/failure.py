"""What a user sees when a job fails: which one, its error line, the end of its log."""

import re
from pathlib import Path

# Of our commands ("error: ...") and of argparse ("tts_train.py: error: ...").
_ERROR = re.compile(r"(\S+: )?error: ")
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024


def describe_failure(runner: str, number: int, status: int, log: Path) -> str:
    """Make the report on a failed job.

    Args:
        runner (str): Name of the script that ran it, e.g. ``run.pl``.
        number (int): Number of the job.
        status (int): Its exit status.
        log (Path): Its log.

    Returns:
        str: Several lines: the job, its last error line, the end of the log.
    """
    lines = _read_tail(log)
    errors = [line for line in lines if _ERROR.match(line)]
    report = [f"{runner}: job {number} failed with status {status}, log: {log}"]
    report += errors[-1:]
    report += [f"--- last lines of {log} ---", *lines[-_TAIL_LINES:], "---"]
    return "\n".join(report)


def _read_tail(log: Path) -> list[str]:
    if not log.is_file():
        return ["(there is no log: the job never started)"]
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode("utf-8", "replace").rstrip("\n").split("\n")
