"""What VERSA predicts for all audio of a set; run again only for other audio."""

from pathlib import Path

from espnet_vibevoice.data.stamp import find_changes, write_stamp
from espnet_vibevoice.score.columns import NATURAL, SYSTEMS, name_versa
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.measure_journal import fingerprint_files
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.more_measures import MoreMeasures, lack_measures
from espnet_vibevoice.score.set_files import SetFiles, SetTables
from espnet_vibevoice.score.stored import read_json, write_json
from espnet_vibevoice.score.versa import VersaScores, run_versa

NO_VERSA = "no configuration of VERSA is named"
VERSA = "versa"  # stands for its measures while nobody knows their names


def measure_with_versa(
    files: SetFiles, tables: SetTables, conf: ScoreConf, use_gpu: bool
) -> MoreMeasures:
    """Run VERSA on each system whose audio has changed since it was last run.

    Args:
        files (SetFiles): Where its results go.
        tables (SetTables): Audio.
        conf (ScoreConf): Names the configuration.
        use_gpu (bool): Let it use a GPU.

    Raises:
        ValueError: The configuration is not one of VERSA.
        OSError: A result cannot be written.
    """
    if conf.versa is None:
        return lack_measures((VERSA,), NO_VERSA, is_asked_for=False)
    values: dict[str, dict[str, dict[str, float]]] = {}
    reasons: dict[tuple[str, str], str] = {}
    for system in SYSTEMS:
        if not tables.systems[system].wavs:
            continue
        try:
            scores = _run(files, tables, system, Path(conf.versa), use_gpu)
        except MeasureUnavailable as err:
            reasons[VERSA, system] = err.reason
            continue
        values[system] = {
            utt_id: {name_versa(name): value for name, value in found.items()}
            for utt_id, found in scores.values.items()
        }
        for entry, reason in scores.reasons.items():
            reasons[name_versa(entry), system] = reason
    measured = {n for rows in values.values() for row in rows.values() for n in row}
    lacking = {measure for measure, _ in reasons} - measured
    return MoreMeasures((*sorted(measured), *sorted(lacking)), values, reasons)


def _run(
    files: SetFiles, tables: SetTables, system: str, config: Path, use_gpu: bool
) -> VersaScores:
    """Run it on one system, or read what it found before."""
    folder = files.work_dir(system) / VERSA
    stamp, stored = folder / ".done", folder / "scores.json"
    natural = files.wav_scp(NATURAL)
    wavs = [*tables.systems[system].wavs.values()]
    wavs += tables.systems[NATURAL].wavs.values()
    options = {"audio": fingerprint_files(*wavs)}
    inputs = [config, files.wav_scp(system), natural]
    if find_changes(stamp, options, inputs, [stored]):
        reference = None if system == NATURAL else natural
        scores = run_versa(files.wav_scp(system), reference, config, folder, use_gpu)
        write_json(stored, {"values": scores.values, "reasons": scores.reasons})
        if not scores.reasons:  # what failed is tried again
            write_stamp(stamp, options, inputs)
    return VersaScores(**read_json(stored))
