"""Score a decoded set: every measure of every system, stored and put into RESULTS.md.

What takes long is kept where it was computed, utterance by utterance, so that a run
that was killed goes on and one that is up to date computes nothing.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import espnet_vibevoice
from espnet_vibevoice.data.stamp import find_changes, write_stamp
from espnet_vibevoice.score.columns import SYSTEMS
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.measure_journal import METHOD, fingerprint_files
from espnet_vibevoice.score.reason_list import FILE_NAME
from espnet_vibevoice.score.results import update_results
from espnet_vibevoice.score.set_files import SetFiles, SetTables, read_set
from espnet_vibevoice.score.stored import (
    META,
    SUMMARY,
    UTTERANCES,
    read_json,
    read_summary,
)

RESULTS = "RESULTS.md"
REPORT = "report.html"
_CHECKPOINT = "checkpoint.pth"  # has the training curves
_RULES = 2  # raised when other figures are made of the same findings


@dataclass(frozen=True)
class ScoreRequest:
    """What to score, with what.

    Attributes:
        files (SetFiles): The set.
        conf (ScoreConf): Recognisers, models, bootstrap.
        experiment (Path | None): Folder whose ``RESULTS.md`` is updated; None: none.
        command (str): Command line, for the record.
        nj (int): Processes that measure audio.
        device (str): Where models of other measures run.
    """

    files: SetFiles
    conf: ScoreConf
    experiment: Path | None
    command: str
    nj: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class ScoreOutcome:
    """What scoring came to.

    Attributes:
        summary (dict): As of `stored.StoredScores`.
        gaps (list[str]): What was asked for and has no value; empty if nothing.
        was_up_to_date (bool): Whether nothing had to be computed.
    """

    summary: dict
    gaps: list[str]
    was_up_to_date: bool


def score_set(request: ScoreRequest) -> ScoreOutcome:
    """Score a set, or tell what an earlier scoring found if nothing has changed.

    Raises:
        FileNotFoundError: Tables of the set are missing.
        ValueError: A table is damaged, or no audio of any system can be read.
        OSError: A result cannot be written.
    """
    files = request.files
    folder = files.score_dir
    tables = read_set(files)
    stamp, options, inputs = _describe_work(request, tables)
    outputs = [folder / name for name in (UTTERANCES, SUMMARY, META)]
    is_done = is_final = not find_changes(stamp, options, inputs, outputs)
    if not is_done:
        stamp.unlink(missing_ok=True)
        # imported here, as they take seconds: a set that is up to date needs none
        from espnet_vibevoice.score.set_scores import write_set_scores

        is_final = write_set_scores(request, tables)
    summary, meta = read_summary(folder / SUMMARY), read_json(folder / META)
    if request.experiment is not None:
        update_results(request.experiment / RESULTS, meta, summary)
    if is_final and not is_done:  # a model that could not be used is tried again
        write_stamp(stamp, options, inputs)
    return ScoreOutcome(summary, meta["gaps"], is_done)


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


def _describe_work(
    request: ScoreRequest, tables: SetTables
) -> tuple[Path, dict[str, str], list[Path]]:
    """Stamp, options and inputs of a scoring."""
    files, conf = request.files, request.conf
    inputs = [files.data_dir / name for name in ("text", "utt2spk")]
    inputs += files.recordings
    for system in SYSTEMS:
        inputs += [files.wav_scp(system), files.failures(system)]
        for spec in conf.recognizers:
            folder = files.recognition_dir(system, spec.name)
            inputs += [folder / n for n in ("text", FILE_NAME, "unavailable.txt")]
    if conf.speaker_model is not None:
        inputs += conf.speaker_model.files
    if conf.versa is not None:
        inputs.append(Path(conf.versa))
    wavs = [wav for audio in tables.systems.values() for wav in audio.wavs.values()]
    options = {
        "conf": repr(conf),
        "audio": hashlib.sha256(fingerprint_files(*wavs).encode()).hexdigest(),
        "unavailable": " ".join(a.unavailable for a in tables.systems.values()),
        "method": f"{espnet_vibevoice.__version__}, {METHOD}, {_RULES}",
    }
    stamp = files.score_dir / ".done"
    return stamp, options, [path for path in inputs if path.exists()]
