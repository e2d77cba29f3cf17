"""Whether two recordings sound like one speaker: cosine of their embeddings.

The reference of an utterance is what its speaker sounds like in *other* utterances: the
mean of the natural embeddings, each of length 1, of the speaker's other utterances of
the set. So the natural audio has a figure as well, the highest one can hope for, and
neither the text nor the recording session of the utterance itself helps a system. Where
a speaker has one natural utterance, it is the reference of the systems, and the natural
audio has no figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from espnet_vibevoice.data.audio import AudioError, load_audio, to_mono
from espnet_vibevoice.data.trimming import find_loud_level, measure_levels
from espnet_vibevoice.score.columns import NATURAL
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable
from espnet_vibevoice.score.model_specs import SpeakerModelSpec

MIN_SEC = 0.5  # shorter than what the statistics of an embedding stand on
MIN_LOUD_DBFS = -60.0


class SpeakerModel(Protocol):
    """What gives embeddings."""

    def embed(self, waveform: np.ndarray, fs: int) -> np.ndarray:
        """Embed an utterance.

        Args:
            waveform (np.ndarray): (T_wav,).
            fs (int): Sampling rate in Hz; resampled to the rate of the model.

        Returns:
            np.ndarray: (D,).
        """
        ...


@dataclass(frozen=True)
class Similarities:
    """Similarity of each utterance of each system, or why there is none.

    Attributes:
        values (dict[str, dict[str, float]]): System to utterance to cosine.
        reasons (dict[str, dict[str, str]]): System to utterance to reason.
    """

    values: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)


def open_speaker_model(
    spec: SpeakerModelSpec | None, device: str = "cpu"
) -> SpeakerModel:
    """Load a speaker model.

    Args:
        spec (SpeakerModelSpec | None): Which one; None if none is configured.
        device (str): cpu | cuda.

    Raises:
        MeasureUnavailable: None is configured, or it cannot be loaded.
    """
    if spec is None:
        raise MeasureUnavailable(
            "no speaker model is configured: set speaker_model in conf/score.yaml or "
            "give --speaker_model"
        )
    # loads torch
    from espnet_vibevoice.score.model_files import LOADING_ERRORS
    from espnet_vibevoice.score.similarity_models import MODELS

    try:
        return MODELS[spec.kind](spec, device)
    except LOADING_ERRORS as err:
        said = (" ".join(str(err).split()) or type(err).__name__)[:300]
        if isinstance(err, ModuleNotFoundError) and err.name:
            package = err.name.split(".")[0].replace("_", "-")
            said = f"{said}: pip install {package}"
        raise MeasureUnavailable(
            f"speaker model {spec.identity} does not load: {said}"
        ) from err


def compute_similarity(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of two embeddings (D,), from -1 to 1; 0 if one of them is all zero."""
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.dot(first, second)) / lengths if lengths > 0 else 0.0


def embed_file(model: SpeakerModel, path: str | Path) -> np.ndarray:
    """Embed a file.

    Returns:
        np.ndarray: (D,) of length 1.

    Raises:
        MeasureUnavailable: The audio cannot be read, is silent or shorter than 0.5 s,
            or the model gives no number for it.
    """
    try:
        waveform, fs = load_audio(path)
    except AudioError as err:
        raise MeasureUnavailable(str(err)) from err
    waveform = to_mono(waveform)
    if len(waveform) < MIN_SEC * fs:
        seconds = len(waveform) / fs
        raise MeasureUnavailable(f"too short: {seconds:.3f} s, limit {MIN_SEC:g} s")
    loud = find_loud_level(measure_levels(waveform, fs))
    if loud < MIN_LOUD_DBFS:
        raise MeasureUnavailable(
            f"silent: {loud:.1f} dBFS where it is loudest, limit {MIN_LOUD_DBFS:g} dBFS"
        )
    embedding = model.embed(waveform, fs)
    length = float(np.linalg.norm(embedding))
    if not np.isfinite(length) or length == 0:
        raise MeasureUnavailable("the speaker model gives no embedding for it")
    return embedding / length


def compare_speakers(
    embeddings: Mapping[str, Mapping[str, np.ndarray]], utt2spk: Mapping[str, str]
) -> Similarities:
    """Compare embeddings with those of natural utterances of the same speaker.

    Args:
        embeddings (Mapping): System (``natural`` among them) to utterance to embedding
            of length 1 (D,); see :func:`embed_file`.
        utt2spk (Mapping): Utterance to speaker; one that it lacks is a speaker.

    Returns:
        Similarities: A value or a reason for each embedding.
    """
    result = Similarities(
        {name: {} for name in embeddings}, {name: {} for name in embeddings}
    )
    references = _References(embeddings.get(NATURAL, {}), utt2spk)
    for system, table in embeddings.items():
        for utt_id, embedding in table.items():
            try:
                reference = references.find(utt_id, system == NATURAL)
            except MeasureUnavailable as err:
                result.reasons[system][utt_id] = err.reason
                continue
            result.values[system][utt_id] = compute_similarity(embedding, reference)
    return result


class _References:
    """What each speaker sounds like without one of the utterances.

    Args:
        natural (Mapping): Utterance to embedding (D,) of length 1.
        utt2spk (Mapping): Utterance to speaker.
    """

    def __init__(self, natural: Mapping[str, np.ndarray], utt2spk: Mapping[str, str]):
        self._natural = natural
        self._utt2spk = utt2spk
        self._sums: dict[str, np.ndarray] = {}
        self._counts: dict[str, int] = {}
        for utt_id, embedding in natural.items():
            speaker = utt2spk.get(utt_id, utt_id)
            total = self._sums.setdefault(speaker, np.zeros(len(embedding)))
            total += embedding
            self._counts[speaker] = self._counts.get(speaker, 0) + 1

    def find(self, utt_id: str, is_natural: bool) -> np.ndarray:
        """Give the reference of an utterance, of any length (D,)."""
        speaker = self._utt2spk.get(utt_id, utt_id)
        own = self._natural.get(utt_id)
        others = self._counts.get(speaker, 0) - (own is not None)
        if others > 0:
            total = self._sums[speaker]
            return total if own is None else total - own
        if own is None or is_natural:
            kind = "other natural utterance" if is_natural else "natural utterance"
            raise MeasureUnavailable(
                f"speaker {speaker} has no {kind} that can be used"
            )
        return own
