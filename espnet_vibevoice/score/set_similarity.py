"""Speaker similarity for all audio of a set; embeddings are computed once."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from espnet_vibevoice.score.columns import SIMILARITY, SYSTEMS
from espnet_vibevoice.score.conf import ScoreConf
from espnet_vibevoice.score.countdown import Countdown
from espnet_vibevoice.score.measure_journal import MeasureJournal, fingerprint_files
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.model_specs import SpeakerModelSpec
from espnet_vibevoice.score.more_measures import MoreMeasures, lack_measures
from espnet_vibevoice.score.set_files import SetFiles, SetTables

NO_SPEAKER_MODEL = "no speaker model is configured"
JOURNAL = "speakers.jsonl"
_EMBEDDING, _FAULT = "embedding", "fault"


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
    # loads torch
    from espnet_vibevoice.score.similarity import compare_speakers

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
    method = f"{spec.identity} {_fingerprint_model(spec)}"
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
    from espnet_vibevoice.score.similarity import embed_file, open_speaker_model

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


def _fingerprint_model(spec: SpeakerModelSpec) -> str:
    """Change with the files of a model; names and tags stand for themselves."""
    paths = [spec.config, spec.model_file, spec.model]
    return fingerprint_files(*(p for p in paths if p is not None and Path(p).exists()))


def _pack(embedding: np.ndarray) -> str:
    return base64.b64encode(embedding.astype("<f4").tobytes()).decode("ascii")


def _unpack(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float64)
