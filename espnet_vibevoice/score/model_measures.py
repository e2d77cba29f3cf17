"""Measures that a model outside of this package takes, where it is at hand.

Speaker similarity and what VERSA predicts: configured or not, there or not; in every
case the tables have a line for them, with figures or with the reason why not. What a
model said of audio that has not changed is not asked again.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espnet_vibevoice.data.stamp import find_changes, fingerprint_path, write_stamp
from espnet_vibevoice.score.columns import NATURAL, SIMILARITY, SYSTEMS, name_versa
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.countdown import Countdown
from espnet_vibevoice.score.measure_journal import MeasureJournal, fingerprint_files
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.model_specs import SpeakerModelSpec
from espnet_vibevoice.score.set_files import SetFiles, SetTables
from espnet_vibevoice.score.similarity import (
    compare_speakers,
    embed_file,
    open_speaker_model,
)
from espnet_vibevoice.score.stored import read_json, write_json
from espnet_vibevoice.score.versa import VersaScores, run_versa

NO_SPEAKER_MODEL = "no speaker model is configured"
JOURNAL = "speakers.jsonl"
_EMBEDDING, _FAULT = "embedding", "fault"
NO_VERSA = "no configuration of VERSA is named"
VERSA = "versa"  # stands for its measures while nobody knows their names


@dataclass(frozen=True)
class MoreMeasures:
    """Measures of all systems from one source.

    Attributes:
        names (tuple[str, ...]): Measures, as in the tables.
        values (Mapping): System to utterance to measure to value.
        reasons (Mapping): Measure and system to why there is no value at all.
        faults (Mapping): System to utterance to why a value of it is missing.
        is_asked_for (bool): Whether values that are missing are a gap.
    """

    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, Mapping[str, float]]] = field(
        default_factory=dict
    )
    reasons: Mapping[tuple[str, str], str] = field(default_factory=dict)
    faults: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    is_asked_for: bool = True

    @property
    def measured(self) -> set[str]:
        """Measures that have a value anywhere."""
        rows = (row for by_utt in self.values.values() for row in by_utt.values())
        return {name for row in rows for name in row}


def lack_measures(
    names: Iterable[str], reason: str, is_asked_for: bool = True
) -> MoreMeasures:
    """Measures without any value, all for the same reason.

    Args:
        names (Iterable[str]): Measures.
        reason (str): Why.
        is_asked_for (bool): See `MoreMeasures`.
    """
    names = tuple(names)
    reasons = {(name, system): reason for name in names for system in SYSTEMS}
    return MoreMeasures(names, reasons=reasons, is_asked_for=is_asked_for)


def measure_similarity(
    files: SetFiles, tables: SetTables, conf: ScoreConf, device: str
) -> MoreMeasures:
    """Compare the voice of each wav with natural audio of its speaker.

    Args:
        files (SetFiles): Where embeddings are kept.
        tables (SetTables): Audio and speakers.
        conf (ScoreConf): Names the speaker model.
        device (str): cpu | cuda.

    Raises:
        OSError: An embedding cannot be written.
    """
    if conf.speaker_model is None:
        return lack_measures((SIMILARITY,), NO_SPEAKER_MODEL, is_asked_for=False)
    try:
        found = _embed_set(files, tables, conf.speaker_model, device)
    except MeasureUnavailable as err:
        return lack_measures((SIMILARITY,), err.reason)
    embeddings = {
        system: {u: _unpack(m[_EMBEDDING]) for u, m in rows.items() if _EMBEDDING in m}
        for system, rows in found.items()
    }
    result = compare_speakers(embeddings, tables.speakers)
    values = {
        system: {utt_id: {SIMILARITY: value} for utt_id, value in rows.items()}
        for system, rows in result.values.items()
    }
    faults = {
        system: {
            u: f"{SIMILARITY}: {m[_FAULT]}" for u, m in rows.items() if _FAULT in m
        }
        | {u: f"{SIMILARITY}: {why}" for u, why in result.reasons[system].items()}
        for system, rows in found.items()
    }
    return MoreMeasures((SIMILARITY,), values, {}, faults)


def _embed_set(
    files: SetFiles, tables: SetTables, spec: SpeakerModelSpec, device: str
) -> dict[str, dict[str, dict[str, Any]]]:
    """System to utterance to its embedding or why it has none.

    Raises:
        MeasureUnavailable: The model cannot be loaded.
    """
    method = " ".join([spec.identity, *map(fingerprint_path, spec.files)])
    journals = {s: MeasureJournal(files.work_dir(s) / JOURNAL, method) for s in SYSTEMS}
    found: dict[str, dict[str, dict[str, Any]]] = {system: {} for system in SYSTEMS}
    todo = []
    for system, audio in tables.systems.items():
        for utt_id, wav in audio.wavs.items():
            fingerprint = fingerprint_files(wav)
            known = journals[system].find(utt_id, fingerprint)
            if known is None:
                todo.append((system, utt_id, wav, fingerprint))
            else:
                found[system][utt_id] = known
    if not todo:
        return found
    model = open_speaker_model(spec, device)
    countdown = Countdown("comparing voices", len(todo))
    for system, utt_id, wav, fingerprint in todo:
        try:
            measured = {_EMBEDDING: _pack(embed_file(model, wav))}
        except MeasureUnavailable as err:
            measured = {_FAULT: err.reason}
        journals[system].add(utt_id, fingerprint, measured)
        found[system][utt_id] = measured
        countdown.update()
    return found


def _pack(embedding: np.ndarray) -> str:
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode("ascii")


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


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
            scores = _run_system(files, tables, system, Path(conf.versa), use_gpu)
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


def _run_system(
    files: SetFiles, tables: SetTables, system: str, config: Path, use_gpu: bool
) -> VersaScores:
    """Run it on one system, or read what it found before."""
    folder = files.work_dir(system) / VERSA
    stamp, stored = folder / ".done", folder / "scores.json"
    natural = files.wav_scp(NATURAL)
    wavs = [*tables.systems[system].wavs.values()]
    wavs += tables.systems[NATURAL].wavs.values()
    audio = hashlib.sha256(fingerprint_files(*wavs).encode()).hexdigest()
    options = {"audio": audio}
    inputs = [config, files.wav_scp(system), natural]
    if find_changes(stamp, options, inputs, [stored]):
        reference = None if system == NATURAL else natural
        scores = run_versa(files.wav_scp(system), reference, config, folder, use_gpu)
        write_json(stored, {"values": scores.values, "reasons": scores.reasons})
        if not scores.reasons:  # what failed is tried again
            write_stamp(stamp, options, inputs)
    return VersaScores(**read_json(stored))
