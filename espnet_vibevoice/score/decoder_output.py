"""Files of one decoded utterance, as ``espnet2.bin.tts_inference`` writes them."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import soundfile

from espnet_vibevoice.data.atomic import write_bytes_atomic

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 (the backend must be chosen first)


def write_speech(path: Path, waveform: np.ndarray, fs: int) -> None:
    """Write a 16-bit wav, atomically.

    libsndfile brings the samples to 16 bit, as it does for ESPnet: equal samples give
    equal files.

    Args:
        path (Path): File to write; its folder is made.
        waveform (np.ndarray): Samples with full scale 1.0 (T_wav,).
        fs (int): Sampling rate in Hz.

    Raises:
        OSError: If it cannot be written.
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, fs, "PCM_16", format="WAV")
    write_bytes_atomic(path, buffer.getvalue())


def draw_probability(path: Path, probability: np.ndarray, title: str) -> None:
    """Draw the probability of the end at each frame.

    Args:
        path (Path): PNG to write, atomically; its folder is made.
        probability (np.ndarray): Probability (T_lat,).
        title (str): Title, in Latin letters (the plot fonts have no others).

    Raises:
        OSError: If it cannot be written.
    """
    figure = Figure(layout="constrained")
    axis = figure.add_subplot()
    axis.plot(probability)
    axis.set(title=title, xlabel="Output", ylabel="Stop probability", ylim=(0, 1))
    axis.grid(which="both")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes_atomic(path, buffer.getvalue())
