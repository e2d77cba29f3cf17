"""Mel spectrograms of natural and decoded speech, one above the other."""

from pathlib import Path

import librosa
import matplotlib
import numpy as np

from espnet_vibevoice.data.audio import load_audio

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 (the backend must be chosen first)

N_FFT, HOP_LENGTH, N_MELS = 1024, 256, 80
FLOOR_DB = -80.0


def compute_log_mel(path: str | Path) -> tuple[np.ndarray, int]:
    """Return the mel spectrogram of a file in dB below its maximum.

    Args:
        path (str | Path): Mono audio.

    Returns:
        tuple: Spectrogram (N_MELS, T_mel) between FLOOR_DB and 0, and the rate in Hz.
    """
    waveform, fs = load_audio(path)
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=fs, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    return librosa.power_to_db(mel, ref=np.max, top_db=-FLOOR_DB), fs


def draw_mels(rows: dict[str, str | Path], path: Path, title: str) -> None:
    """Draw the mel spectrograms of several recordings of one sentence.

    Args:
        rows (dict): Label to audio file, from top to bottom.
        path (Path): PNG to write.
        title (str): Title, in Latin letters (the plot fonts have no others).
    """
    figure = Figure(figsize=(9, 2.6 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False, sharex=True)[:, 0]
    longest = 0.0
    for axis, (label, audio) in zip(axes, rows.items(), strict=True):
        mel, fs = compute_log_mel(audio)
        seconds = mel.shape[1] * HOP_LENGTH / fs
        image = axis.imshow(
            mel,
            origin="lower",
            aspect="auto",
            extent=(0.0, seconds, 0, N_MELS),
            vmin=FLOOR_DB,
            vmax=0.0,
        )
        axis.set_title(f"{label} ({seconds:.2f} s)", loc="left", fontsize=9)
        axis.set_ylabel("mel band")
        longest = max(longest, seconds)
    axes[-1].set(xlabel="seconds", xlim=(0.0, longest))
    figure.colorbar(image, ax=list(axes), label="dB")
    figure.suptitle(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp.png")
    figure.savefig(temporary, dpi=100)
    temporary.replace(path)
