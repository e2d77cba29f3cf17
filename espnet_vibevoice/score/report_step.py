"""The listening report as a step of scoring: written when its scores have changed."""

from pathlib import Path

import espnet_vibevoice
from espnet_vibevoice.data.stamp import find_changes, write_stamp
from espnet_vibevoice.score.stored import META, SUMMARY, UTTERANCES

REPORT = "report.html"
_CHECKPOINT = "checkpoint.pth"  # has the training curves


def refresh_report(score_dir: Path, max_utts: int, experiment: Path | None) -> bool:
    """Write the report of a scored set unless it is up to date.

    Args:
        score_dir (Path): Folder of the scores.
        max_utts (int): Utterances to hear at most.
        experiment (Path | None): Folder of the training; its curves are shown if it
            has a checkpoint.

    Returns:
        bool: Whether it was written.

    Raises:
        ValueError: The scores are damaged.
        OSError: It cannot be written.
    """
    stamp, report = score_dir / ".report", score_dir / REPORT
    inputs = [score_dir / name for name in (UTTERANCES, SUMMARY, META)]
    has_curves = experiment is not None and (experiment / _CHECKPOINT).is_file()
    if has_curves:
        inputs.append(experiment / _CHECKPOINT)
    options = {"max_utts": str(max_utts), "version": espnet_vibevoice.__version__}
    if not find_changes(stamp, options, inputs, [report]):
        return False
    stamp.unlink(missing_ok=True)
    # draws pictures: imports take seconds
    from espnet_vibevoice.score.report.listening import write_report

    write_report(score_dir, report, max_utts, experiment if has_curves else None)
    write_stamp(stamp, options, inputs)
    return True
