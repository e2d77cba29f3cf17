"""Spectrum and pitch against natural speech, aligned; and how much is silence.

Mel-cepstral distortion (Kubichek 1993) and the difference of log-F0 compare frames that
dynamic time warping (DTW) pairs. Frames are described in ``analyze``, the warping in
``align``, the figures in ``measure_against``. What differs from ESPnet's
``evaluate_mcd.py`` and ``evaluate_f0.py`` (202511), and why:

- The level, c0, takes part in the alignment but not in the distortion, as in Kubichek's
  definition; there it does, so that a copy of half the level is 4.3 dB "distorted".
- The spectral envelope is WORLD's for both figures; ESPnet's MCD takes windowed
  spectra, whose harmonics put pitch into the distortion. Frames come each 5 ms, not
  10.7 ms.
- Silence counts where it stands against speech, not against silence: there the shape of
  what is not heard would be compared. Silence at both ends is cut off first.
- DTW is exact; ``fastdtw`` approximates it.
- F0 comes from DIO with StoneMask, not Harvest. On ten sentences of the mini recipe
  that WORLD synthesised anew with a known F0, 0.8 to 1.8% of the frames voiced in both
  were off by a fifth or more, against 3.7 to 4.8%; a fifteenth of the time.

Order and warping of the mel-cepstrum, the search range of F0, the step pattern, the
mean over the path and the natural logarithm are ESPnet's.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import librosa
import numpy as np
import pyworld
from scipy.ndimage import binary_opening
from scipy.spatial.distance import cdist

from espnet_vibevoice.data.audio import resample
from espnet_vibevoice.data.trimming import (
    TrimOptions,
    find_loud_level,
    find_speech,
    measure_levels,
)
from espnet_vibevoice.score.measuring_errors import MeasureUnavailable

FRAME_SEC = 0.005
F0_RANGE_HZ = (40.0, 800.0)
# Rate of the analysis to order and all-pass constant of the mel-cepstrum.
MEL_CEPSTRUM = {24000: (34, 0.46), 16000: (23, 0.42)}
MIN_SPEECH_SEC = 0.1
MIN_LOUD_DBFS = -60.0  # of the loud level; what is lower is silent
MIN_VOICED_PAIRS = 20  # a tenth of a second

_LOUD_DBFS = -20.0  # both sides are brought to it
_FLOOR_DB = -70.0  # of white noise that is added to the envelope, from the loud level
_BLOCK_FRAMES = 4000  # envelopes held at a time
_MAX_CELLS = 16_000_000  # of the table of DTW, 20 bytes each: 20 s against 20 s
_MIN_RUN = 3  # frames of 10 ms; what is shorter is a click
_DB = 10.0 / math.log(10.0)
# A margin on one side alone would stand against speech on the other.
_NO_MARGIN = TrimOptions(margin_sec=0.0)


@dataclass(frozen=True)
class Analysis:
    """What an utterance is like, frame by frame.

    Attributes:
        mel_cepstra (np.ndarray): (T, order + 1), c0 first.
        f0 (np.ndarray): In Hz (T,), 0 where unvoiced.
        is_speech (np.ndarray): Bool (T,), False in silence.
    """

    mel_cepstra: np.ndarray
    f0: np.ndarray
    is_speech: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Measures against the natural audio, and why some are absent.

    Attributes:
        values (dict[str, float]): ``mcd`` in dB, ``log_f0_rmse``, ``duration_ratio``;
            ``log_f0_pairs``, the number of pairs of frames behind ``log_f0_rmse``.
        reasons (dict[str, str]): Measure to why it has no value.
    """

    values: dict[str, float]
    reasons: dict[str, str]


def measure_alone(waveform: np.ndarray, fs: int) -> dict[str, float]:
    """Measure what needs no other audio.

    ``silence_share`` is the share of the 10 ms frames that are not speech: more than
    40 dB below the loud level (see ``data/trimming.py``) or in a run of fewer than
    three that are not. It is 1 where the loud level itself is below -60 dBFS.

    Args:
        waveform (np.ndarray): (T_wav,), not empty.
        fs (int): Sampling rate in Hz.
    """
    levels = measure_levels(waveform, fs)
    return {"silence_share": 1.0 - float(np.mean(_find_speech_frames(levels)))}


def measure_against(natural: np.ndarray, waveform: np.ndarray, fs: int) -> Comparison:
    """Compare with the natural audio of the same text.

    ``mcd`` is the mean of ``10 / ln 10 * sqrt(2 * sum over d >= 1 of (c_d - c'_d)^2)``
    over the pairs of the path of which at least one frame is speech; ``log_f0_rmse``
    is the root mean square of ``ln(f0 / f0')`` over the pairs voiced in both;
    ``duration_ratio`` is the length by the natural length, whole files.

    Args:
        natural (np.ndarray): (T_natural,), not empty.
        waveform (np.ndarray): (T_wav,), not empty.
        fs (int): Sampling rate of both in Hz.
    """
    values = {"duration_ratio": len(waveform) / len(natural)}
    try:
        first = _analyze_named("natural audio", natural, fs)
        second = _analyze_named("this audio", waveform, fs)
    except MeasureUnavailable as err:
        return Comparison(values, {"mcd": err.reason, "log_f0_rmse": err.reason})
    one, other = align(first, second)
    values["mcd"] = _compute_mcd(first, second, one, other)
    is_voiced = (first.f0[one] > 0) & (second.f0[other] > 0)
    pairs = int(np.sum(is_voiced))
    if pairs < MIN_VOICED_PAIRS:
        reason = f"{pairs} frames are voiced in both, fewer than {MIN_VOICED_PAIRS}"
        return Comparison(values, {"log_f0_rmse": reason})
    ratios = second.f0[other][is_voiced] / first.f0[one][is_voiced]
    values["log_f0_rmse"] = float(np.sqrt(np.mean(np.log(ratios) ** 2)))
    values["log_f0_pairs"] = float(pairs)
    return Comparison(values, {})


def analyze(waveform: np.ndarray, fs: int) -> Analysis:
    """Describe the speech of an utterance by frames of 5 ms.

    At 24 kHz, or at 16 kHz if the rate is lower: silence at the ends is cut off as
    ``data/trimming.py`` does, without a margin; the loud level is brought to -20 dBFS;
    F0 is estimated by DIO and StoneMask between 40 and 800 Hz, the spectral envelope by
    CheapTrick. White noise 70 dB below the loud level is added to the envelope: digital
    silence, and what 16 bit cannot hold, have no shape of their own. The mel-cepstrum
    of the result has order 34 and all-pass constant 0.46 (16 kHz: 23 and 0.42).

    Args:
        waveform (np.ndarray): (T_wav,), not empty.
        fs (int): Its rate in Hz.

    Raises:
        MeasureUnavailable: The rate is below 16 kHz, or there is no speech.
    """
    rate = max((r for r in MEL_CEPSTRUM if r <= fs), default=None)
    if rate is None:
        raise MeasureUnavailable(f"{fs} Hz, want at least {min(MEL_CEPSTRUM)}")
    waveform = resample(waveform, fs, rate)
    levels = measure_levels(waveform, rate)
    loud = find_loud_level(levels)
    if loud < MIN_LOUD_DBFS:
        raise MeasureUnavailable(
            f"silent: {loud:.1f} dBFS where it is loudest, limit {MIN_LOUD_DBFS:g} dBFS"
        )
    begin, end = find_speech(levels, rate, _NO_MARGIN)
    speech = waveform[begin:end].astype(np.float64) * 10 ** ((_LOUD_DBFS - loud) / 20)
    if len(speech) < MIN_SPEECH_SEC * rate:
        raise MeasureUnavailable(
            f"too short: {len(speech) / rate:.3f} s, limit {MIN_SPEECH_SEC:g} s"
        )
    f0, times = _estimate_f0(speech, rate)
    is_speech = _find_speech_frames(measure_levels(speech, rate))
    owners = np.minimum((times * 100).astype(int), len(is_speech) - 1)  # 10 ms each
    return Analysis(_extract_cepstra(speech, rate, f0, times), f0, is_speech[owners])


def align(first: Analysis, second: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """Pair the frames of two utterances by DTW over their mel-cepstra, c0 included.

    Steps (1, 1), (0, 1) and (1, 0) of equal weight, Euclidean distance. Of long
    utterances only each second, third, ... frame is paired, so that the table has no
    more than 16 million cells (320 MB): from 20 s against 20 s on.

    Returns:
        tuple[np.ndarray, np.ndarray]: Frames of the first and of the second, (T_path,).
    """
    cells = len(first.f0) * len(second.f0)
    step = max(1, math.ceil(math.sqrt(cells / _MAX_CELLS)))
    costs = cdist(first.mel_cepstra[::step], second.mel_cepstra[::step])
    _, path = librosa.sequence.dtw(C=costs, backtrack=True)
    return path[::-1, 0] * step, path[::-1, 1] * step


def compute_mel_cepstrum(envelope: np.ndarray, alpha: float, order: int) -> np.ndarray:
    """Turn power spectra into mel-cepstra: ``ln |H| = sum of c_m cos(m w~)``.

    ``w~`` is the frequency after the all-pass (Tokuda et al. 1994).

    Args:
        envelope (np.ndarray): Power spectra (T, n_fft / 2 + 1), above 0.
        alpha (float): All-pass constant.
        order (int): Last coefficient.

    Returns:
        np.ndarray: (T, order + 1).
    """
    matrix = _build_cepstrum_matrix(envelope.shape[1], alpha, order)
    return 0.5 * np.log(envelope) @ matrix


@lru_cache(maxsize=4)
def _build_cepstrum_matrix(bins: int, alpha: float, order: int) -> np.ndarray:
    """Cosines on the warped axis, integrated over the plain one (bins, order + 1)."""
    omega = np.linspace(0.0, np.pi, bins)
    bend = 1.0 - alpha * np.cos(omega)
    warped = omega + 2.0 * np.arctan2(alpha * np.sin(omega), bend)
    slope = (1.0 - alpha**2) / (1.0 + alpha**2 - 2.0 * alpha * np.cos(omega))
    weights = slope / (bins - 1)  # of the trapezoidal rule, by pi
    weights[[0, -1]] /= 2.0
    matrix = 2.0 * weights[:, None] * np.cos(np.outer(warped, np.arange(order + 1)))
    matrix[:, 0] /= 2.0
    return matrix


def _find_speech_frames(levels: np.ndarray) -> np.ndarray:
    """Tell which frames of 10 ms are speech; bool (T_frames,)."""
    loud = find_loud_level(levels)
    if loud < MIN_LOUD_DBFS:
        return np.zeros(len(levels), dtype=bool)
    is_loud = levels >= loud - TrimOptions().threshold_db
    return binary_opening(is_loud, np.ones(_MIN_RUN))


def _analyze_named(name: str, waveform: np.ndarray, fs: int) -> Analysis:
    try:
        return analyze(waveform, fs)
    except MeasureUnavailable as err:
        raise MeasureUnavailable(f"{name}: {err.reason}") from err


def _estimate_f0(waveform: np.ndarray, fs: int) -> tuple[np.ndarray, np.ndarray]:
    """F0 in Hz, 0 where unvoiced, and the moments in seconds; both (T,)."""
    low, high = F0_RANGE_HZ
    rough, times = pyworld.dio(
        waveform, fs, f0_floor=low, f0_ceil=high, frame_period=1000 * FRAME_SEC
    )
    return pyworld.stonemask(waveform, rough, times, fs), times


def _extract_cepstra(
    waveform: np.ndarray, fs: int, f0: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Mel-cepstra (T, order + 1) of the envelope with its floor, block by block."""
    order, alpha = MEL_CEPSTRUM[fs]
    floor = 10 ** ((_LOUD_DBFS + _FLOOR_DB) / 10)  # WORLD: of white noise, its variance
    blocks = []
    for begin in range(0, len(f0), _BLOCK_FRAMES):
        part = slice(begin, begin + _BLOCK_FRAMES)
        envelope = pyworld.cheaptrick(waveform, f0[part], times[part], fs)
        blocks.append(compute_mel_cepstrum(envelope + floor, alpha, order))
    return np.concatenate(blocks)


def _compute_mcd(
    first: Analysis, second: Analysis, one: np.ndarray, other: np.ndarray
) -> float:
    is_heard = first.is_speech[one] | second.is_speech[other]
    pairs = one[is_heard], other[is_heard]
    gap = first.mel_cepstra[pairs[0], 1:] - second.mel_cepstra[pairs[1], 1:]
    return float(np.mean(_DB * np.sqrt(2.0 * np.sum(gap**2, axis=1))))
