"""Measure one utterance of one system: a function for a pool of processes.

It takes paths and gives figures and reasons, never an error for what a file is like: a
file that is missing, empty or unreadable has no figures and says why.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.audio import AudioError, load_audio, resample, to_mono
from espnet_vibevoice.score.acoustics import measure_against, measure_alone
from espnet_vibevoice.score.columns import AGAINST_NATURAL, SIGNAL

_LEAST_POWER = 1e-12  # -120 dBFS


@dataclass(frozen=True)
class Measured:
    """What was measured of an utterance.

    Attributes:
        values (dict[str, float]): Measure of ``columns.SIGNAL`` to value, and
            ``log_f0_pairs``, the pairs of frames behind ``log_f0_rmse``.
        reasons (dict[str, str]): Measure to why it has no value.
        seconds (float | None): Duration; None if the audio cannot be read.
        level_dbfs (float | None): Root mean square; None likewise. -120 at least.
        fault (str): Why the audio cannot be read; empty if it can.
    """

    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    level_dbfs: float | None = None
    fault: str = ""


def measure_utterance(natural: Path | None, path: Path, is_natural: bool) -> Measured:
    """Measure an utterance alone and, if it is not natural, against natural speech.

    Args:
        natural (Path | None): Natural audio of the same text; None if there is none.
        path (Path): Audio to measure.
        is_natural (bool): It is the natural audio itself: nothing to compare.

    Returns:
        Measured: Each measure that the system has is in ``values`` or ``reasons``.
    """
    try:
        waveform, fs = _load_mono(path)
    except AudioError as err:
        wanted = set(SIGNAL) - (set(AGAINST_NATURAL) if is_natural else set())
        return Measured(reasons=dict.fromkeys(sorted(wanted), str(err)), fault=str(err))
    values, reasons = measure_alone(waveform, fs), {}
    if not is_natural:
        compared, reasons = _compare(natural, waveform, fs)
        values |= compared
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level_dbfs = 10 * float(np.log10(max(power, _LEAST_POWER)))
    return Measured(values, reasons, len(waveform) / fs, level_dbfs)


def _compare(
    natural: Path | None, waveform: np.ndarray, fs: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare at the lower of the two rates; values and reasons."""
    if natural is None:
        return {}, dict.fromkeys(AGAINST_NATURAL, "no natural audio to compare with")
    try:
        reference, reference_fs = _load_mono(natural)
    except AudioError as err:
        return {}, dict.fromkeys(AGAINST_NATURAL, f"natural audio: {err}")
    rate = min(fs, reference_fs)
    reference = resample(reference, reference_fs, rate)
    comparison = measure_against(reference, resample(waveform, fs, rate), rate)
    return comparison.values, comparison.reasons


def _load_mono(path: Path) -> tuple[np.ndarray, int]:
    waveform, fs = load_audio(path)
    return to_mono(waveform), fs
