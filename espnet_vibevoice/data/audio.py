"""The one place where audio is read, converted and written.

Waveforms are float32 with full scale 1.0, ``(T_wav,)`` or ``(T_wav, C)``. soundfile
reads them (wav, flac, ogg, mp3 and what else libsndfile knows).
"""

import io
import os
import struct
from pathlib import Path

import numpy as np
import soundfile
import soxr

from espnet_vibevoice.data.atomic import write_bytes_atomic

AUDIO_FORMATS = ("wav", "flac")
_LOUDNESS_EPS = 1e-6  # of the VibeVoice processor


class AudioError(ValueError):
    """Audio that cannot be used.

    Args:
        reason (str): Short machine-readable reason, e.g. ``unreadable``.
        detail (str): What was found.
    """

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def load_audio(
    source: str | Path | bytes,
    start_sec: float = 0.0,
    end_sec: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read audio, whole or a part of it.

    Args:
        source (str | Path | bytes): Path, or the content of an audio file.
        start_sec (float): First moment of the part.
        end_sec (float | None): Moment behind the part; None for the end. Up to 0.5 s
            behind the end of the audio means the end, as in Kaldi.

    Returns:
        tuple[np.ndarray, int]: Float32 waveform (T_wav,) or (T_wav, C) and its
            sampling rate in Hz.

    Raises:
        AudioError: ``unreadable``, ``empty``, ``not_finite`` or, for a part outside
            the audio, ``bad_segment``.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
    if not isinstance(source, bytes) and not os.path.isfile(source):
        raise AudioError("unreadable", f"{source}: no such file")
    name = "audio data" if isinstance(source, bytes) else str(source)
    try:
        with soundfile.SoundFile(file) as sound:
            begin, count = _find_part(sound, name, start_sec, end_sec)
            if begin:
                sound.seek(begin)
            waveform = sound.read(count, dtype="float32")
            fs = sound.samplerate
    except soundfile.LibsndfileError as err:
        raise AudioError("unreadable", f"{name}: {err.error_string}") from err
    if len(waveform) == 0:
        raise AudioError("empty", f"{name}: no samples")
    if not np.isfinite(waveform).all():
        raise AudioError("not_finite", f"{name}: samples that are not numbers")
    return waveform, fs


def _find_part(
    sound: soundfile.SoundFile, name: str, start_sec: float, end_sec: float | None
) -> tuple[int, int]:
    """First sample and number of samples (-1: all to the end) of a part."""
    if start_sec == 0.0 and end_sec is None:
        return 0, -1
    fs, total = sound.samplerate, sound.frames
    begin = round(start_sec * fs)
    end = total if end_sec is None else round(end_sec * fs)
    if not 0 <= begin < end or begin >= total or end > total + fs // 2:
        raise AudioError(
            "bad_segment",
            f"{name}: wanted {start_sec} to {end_sec} s of {total / fs:.3f} s",
        )
    return begin, min(end, total) - begin


def to_mono(waveform: np.ndarray) -> np.ndarray:
    """Average the channels: (T_wav,) or (T_wav, C) -> (T_wav,)."""
    return waveform if waveform.ndim == 1 else waveform.mean(axis=1)


def resample(waveform: np.ndarray, fs: int, target_fs: int) -> np.ndarray:
    """Change the sampling rate with soxr at very high quality.

    Args:
        waveform (np.ndarray): (T_wav,) or (T_wav, C).
        fs (int): Its rate in Hz.
        target_fs (int): Wanted rate in Hz.

    Returns:
        np.ndarray: Float32, about ``T_wav * target_fs / fs`` samples.
    """
    if fs == target_fs:
        return waveform
    return soxr.resample(waveform, fs, target_fs, quality="VHQ").astype(np.float32)


def normalize_loudness(waveform: np.ndarray, target_dbfs: float = -25.0) -> np.ndarray:
    """Scale to a root mean square, then below full scale, as VibeVoice does.

    The formula is that of ``VibeVoiceAcousticTokenizerFeatureExtractor`` in
    transformers. Silence stays silence.

    Args:
        waveform (np.ndarray): (T_wav,).
        target_dbfs (float): Root mean square to reach, in dB below full scale.

    Returns:
        np.ndarray: Float32 (T_wav,) with no sample outside -1 to 1.
    """
    rms = np.sqrt(np.mean(np.square(waveform, dtype=np.float32)))
    gain = np.float32(10 ** (target_dbfs / 20)) / (rms + np.float32(_LOUDNESS_EPS))
    scaled = (waveform * gain).astype(np.float32)
    peak = np.max(np.abs(scaled))
    if peak > 1.0:
        scaled = scaled / (peak + np.float32(_LOUDNESS_EPS))
    return scaled


def encode_audio(waveform: np.ndarray, fs: int, audio_format: str = "wav") -> bytes:
    """Make the content of a 16-bit audio file; equal input gives equal bytes.

    Samples that were read from a 16-bit file come out unchanged.

    Args:
        waveform (np.ndarray): (T_wav,) or (T_wav, C).
        fs (int): Sampling rate in Hz.
        audio_format (str): wav | flac.
    """
    if audio_format not in AUDIO_FORMATS:
        raise ValueError(
            f"Audio format {audio_format!r} is not known: choose {AUDIO_FORMATS}."
        )
    samples = np.clip(np.rint(waveform * 32768.0), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, fs, subtype="PCM_16", format=audio_format.upper())
    return buffer.getvalue()


def write_wav(path: str | Path, waveform: np.ndarray, fs: int) -> None:
    """Write a 16-bit PCM wav file atomically.

    Args:
        path (str | Path): File to write; its folder is created.
        waveform (np.ndarray): (T_wav,) or (T_wav, C).
        fs (int): Sampling rate in Hz.

    Raises:
        OSError: It cannot be written, e.g. the disk is full.
    """
    write_bytes_atomic(path, encode_audio(waveform, fs))


def is_whole_wav(path: str | Path) -> bool:
    """Tell whether a PCM wav file was written to its end, from its headers alone.

    True if the RIFF size equals the size of the file and the data chunk, not empty,
    lies within it. A file that is missing or of another kind gives False.
    """
    path = Path(path)
    if not path.is_file():
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return False
        if struct.unpack("<I", head[4:8])[0] + 8 != size:
            return False
        while len(chunk := file.read(8)) == 8:
            length = struct.unpack("<I", chunk[4:])[0]
            if chunk[:4] == b"data":
                return 0 < length <= size - file.tell()
            file.seek(length + length % 2, os.SEEK_CUR)
    return False
