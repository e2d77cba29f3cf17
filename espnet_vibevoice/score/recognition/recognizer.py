"""What every recogniser offers, and the error of one that cannot be loaded."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from espnet_vibevoice.data.audio import resample, to_mono
from espnet_vibevoice.score.recognition.chunks import split_at_pauses

# A shorter waveform holds no sound of speech; spectra of some models need as much.
MIN_SECONDS = 0.05


class RecognizerUnavailable(RuntimeError):
    """A recogniser cannot be loaded; scores without it can be taken all the same.

    Args:
        name (str): Name of the recogniser.
        identity (str): Its files, tag or model name.
        reason (str): What was wrong and what to do.
    """

    def __init__(self, name: str, identity: str, reason: str):
        reason = " ".join(reason.split())
        super().__init__(f"recogniser {name} ({identity}): {reason}")
        self.name = name
        self.reason = reason


class Recognizer(Protocol):
    """A loaded recogniser."""

    def recognize(self, waveform: np.ndarray, fs: int) -> str:
        """Write down what is said.

        Args:
            waveform (np.ndarray): (T_wav,) or (T_wav, C), full scale 1.0.
            fs (int): Its sampling rate in Hz; any rate will do.

        Returns:
            str: The text as the model gives it; empty where nothing is heard.
        """
        ...


def recognize_in_pieces(
    transcribe: Callable[[np.ndarray], str],
    waveform: np.ndarray,
    fs: int,
    wanted_fs: int,
) -> str:
    """Hear audio of any length, rate and number of channels.

    Args:
        transcribe (Callable): Writes down a piece of at most 30 s (T_wav,).
        waveform (np.ndarray): (T_wav,) or (T_wav, C).
        fs (int): Its rate in Hz.
        wanted_fs (int): Rate of the model in Hz.

    Returns:
        str: What was heard in the pieces, with single spaces between them; empty if
            the audio is shorter than ``MIN_SECONDS``.
    """
    speech = convert_waveform(waveform, fs, wanted_fs)
    if len(speech) == 0:
        return ""
    texts = map(transcribe, split_at_pauses(speech, wanted_fs))
    return " ".join(text for text in map(str.strip, texts) if text)


def convert_waveform(waveform: np.ndarray, fs: int, wanted_fs: int) -> np.ndarray:
    """Make audio mono, float32 and of the rate that a model was trained with.

    Args:
        waveform (np.ndarray): (T_wav,) or (T_wav, C).
        fs (int): Its rate in Hz.
        wanted_fs (int): Rate of the model in Hz.

    Returns:
        np.ndarray: (T_out,); empty if it is shorter than ``MIN_SECONDS``.
    """
    waveform = to_mono(np.asarray(waveform, dtype=np.float32))
    if len(waveform) < MIN_SECONDS * fs:
        return np.zeros(0, dtype=np.float32)
    return resample(waveform, fs, wanted_fs)
