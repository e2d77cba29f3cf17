"""What a decoded wav is like, and what may be wrong with it at first sight."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_vibevoice.data.audio import load_audio

SILENT_BELOW_DBFS = -60.0
CLIPPED_FROM = 0.999  # of full scale
CLIPPED_SHARE = 0.001
SECONDS_PER_CHARACTER = (0.02, 0.5)  # outside: cut off or endless
FAULTS = ("silent", "clipped", "short", "long")


@dataclass(frozen=True)
class DecodedUtterance:
    """What one decoded wav is like.

    Attributes:
        utt_id (str): Utterance id.
        seconds (float): Duration.
        level_dbfs (float): RMS level.
        peak (float): Largest absolute sample, 0 to 1.
        faults (tuple[str, ...]): Any of `FAULTS`.
    """

    utt_id: str
    seconds: float
    level_dbfs: float
    peak: float
    faults: tuple[str, ...]


def inspect_wav(utt_id: str, path: Path, text: str) -> DecodedUtterance:
    """Measure one wav and name what is wrong with it.

    Args:
        utt_id (str): Utterance id.
        path (Path): The wav.
        text (str): What it should say.

    Raises:
        AudioError: If it cannot be read.
    """
    waveform, fs = load_audio(path)
    seconds = len(waveform) / fs
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level_dbfs = 10 * np.log10(power + 1e-12)
    peak = float(np.abs(waveform).max())
    low, high = (rate * max(len(text), 4) for rate in SECONDS_PER_CHARACTER)
    judged = {
        "silent": level_dbfs < SILENT_BELOW_DBFS,
        "clipped": np.mean(np.abs(waveform) >= CLIPPED_FROM) > CLIPPED_SHARE,
        "short": seconds < low,
        "long": seconds > high,
    }
    faults = tuple(name for name in FAULTS if judged[name])
    return DecodedUtterance(utt_id, seconds, level_dbfs, peak, faults)
