"""Mel spectrograms of speech: one above the other, or as a strip for a page."""

import io
from pathlib import Path

import librosa
import matplotlib
import numpy as np
from PIL import Image

from espnet_vibevoice.data.audio import load_audio, to_mono

matplotlib.use("Agg")
from matplotlib.figure import Figure  # noqa: E402 (the backend must be chosen first)

N_FFT, HOP_LENGTH, N_MELS = 1024, 256, 80
FLOOR_DB = -80.0
MAX_STRIP_WIDTH = 960  # pixels; longer recordings are drawn at a coarser scale
_STRIP_FLOOR_DB = -65.0  # what lies below is paper, not ink
_STRIP_QUALITY = 55  # of JPEG


def compute_log_mel(path: str | Path) -> tuple[np.ndarray, int]:
    """Return the mel spectrogram of a file in dB below its maximum.

    Args:
        path (str | Path): Audio; channels are averaged.

    Returns:
        tuple: Spectrogram (N_MELS, T_mel) between FLOOR_DB and 0, and the rate in Hz.
    """
    waveform, fs = load_audio(path)
    return measure_log_mel(to_mono(waveform), fs), fs


def measure_log_mel(waveform: np.ndarray, fs: int) -> np.ndarray:
    """Measure samples (T_wav,); see :func:`compute_log_mel`.

    Returns:
        np.ndarray: (N_MELS, T_mel) between FLOOR_DB and 0.
    """
    mel = librosa.feature.melspectrogram(
        y=waveform, sr=fs, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS
    )
    return librosa.power_to_db(mel, ref=np.max, top_db=-FLOOR_DB)


def encode_strip(mel: np.ndarray) -> bytes:
    """Draw a spectrogram as ink on paper: some kilobytes, without axes.

    Args:
        mel (np.ndarray): Of :func:`measure_log_mel`, (N_MELS, T_mel).

    Returns:
        bytes: JPEG of grey tones, N_MELS pixels high, MAX_STRIP_WIDTH wide at most;
        high frequencies on top.
    """
    ink = np.clip(1.0 - mel[::-1] / _STRIP_FLOOR_DB, 0.0, 1.0)
    image = Image.fromarray(np.rint(255.0 * (1.0 - ink)).astype(np.uint8))
    if image.width > MAX_STRIP_WIDTH:
        image = image.resize((MAX_STRIP_WIDTH, N_MELS), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_STRIP_QUALITY, optimize=True)
    return buffer.getvalue()


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
