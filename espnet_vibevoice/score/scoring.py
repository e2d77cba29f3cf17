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
from espnet_vibevoice.score.measure_journal import METHOD, fingerprint_files
from espnet_vibevoice.score.reason_list import FILE_NAME
from espnet_vibevoice.score.request import ScoreRequest
from espnet_vibevoice.score.results import update_results
from espnet_vibevoice.score.set_files import SetTables, read_set
from espnet_vibevoice.score.stored import (
    META,
    SUMMARY,
    UTTERANCES,
    read_json,
    read_summary,
)

RESULTS = "RESULTS.md"


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
    is_done = not find_changes(stamp, options, inputs, outputs)
    if not is_done:
        stamp.unlink(missing_ok=True)
        # imported here, as they take seconds: a set that is up to date needs none
        from espnet_vibevoice.score.set_scores import write_set_scores

        write_set_scores(request, tables)
    summary, meta = read_summary(folder / SUMMARY), read_json(folder / META)
    if request.experiment is not None:
        update_results(request.experiment / RESULTS, meta, summary)
    if not is_done:
        _, options, inputs = _describe_work(request, tables)
        write_stamp(stamp, options, inputs)
    return ScoreOutcome(summary, meta["gaps"], is_done)


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
    if conf.versa is not None:
        inputs.append(Path(conf.versa))
    wavs = [wav for audio in tables.systems.values() for wav in audio.wavs.values()]
    options = {
        "conf": repr(conf),
        "audio": hashlib.sha256(fingerprint_files(*wavs).encode()).hexdigest(),
        "unavailable": " ".join(a.unavailable for a in tables.systems.values()),
        "method": f"{espnet_vibevoice.__version__}, {METHOD}",
    }
    stamp = files.score_dir / ".done"
    return stamp, options, [path for path in inputs if path.exists()]
