"""The one place where audio is read, converted and written.

Waveforms are float32 with full scale 1.0, ``(T_wav,)`` or ``(T_wav, C)``. soundfile
reads them (wav, flac, ogg, mp3 and what else libsndfile knows).
"""

import io
import math
import os
import struct
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from espnet_vibevoice.data.atomic import write_bytes_atomic
from espnet_vibevoice.data.audio_stream import read_stream, tells_length

AUDIO_FORMATS = ("wav", "flac")
_HEADER_SLIP_BYTES = 64  # old writers count the header as samples
_UNKNOWN_FRAMES = 2**62  # libsndfile's mark is 2**63 - 1
_STREAMED_BYTES = 0x7FFFF000  # sox; ffmpeg gives 0xFFFFFFFF
_LOUDNESS_EPS = 1e-6  # of the VibeVoice processor


class AudioError(ValueError):
    """Audio that cannot be used.

    Args:
        reason (str): Short machine-readable reason, e.g. ``unreadable``.
        detail (str): What was found.
        limit (str): What was wanted, where that is a figure.
    """

    def __init__(self, reason: str, detail: str, limit: str = ""):
        super().__init__(f"{reason}: {detail}" + (f", limit {limit}" if limit else ""))
        self.reason = reason
        self.detail = detail
        self.limit = limit


def load_audio(
    source: str | Path | bytes | BinaryIO,
    start_sec: float = 0.0,
    end_sec: float | None = None,
    max_sec: float = math.inf,
) -> tuple[np.ndarray, int]:
    """Read audio, whole or a part of it.

    Args:
        source (str | Path | bytes | BinaryIO): Path, or the content of an audio file.
        start_sec (float): First moment of the part.
        end_sec (float | None): Moment behind the part; None for the end. Up to 0.5 s
            behind the end of the audio means the end, as in Kaldi.
        max_sec (float): What is longer is refused before it is read.

    Returns:
        tuple[np.ndarray, int]: Float32 waveform (T_wav,) or (T_wav, C) and its
            sampling rate in Hz.

    Raises:
        AudioError: ``unreadable``, ``truncated``, ``empty``, ``too_long``,
            ``not_finite`` or, for a part outside the audio, ``bad_segment``.
    """
    file, name = _open_source(source)
    with nullcontext() if file is source else file:
        _check_bytes(file, name)
        try:
            with soundfile.SoundFile(file) as sound:
                fs, is_mp3 = sound.samplerate, sound.format == "MP3"
            is_whole = start_sec == 0.0 and end_sec is None
            if is_mp3 and is_whole and not tells_length(file):
                waveform = read_stream(file, max_sec * fs)
                _check_length(len(waveform), fs, name, max_sec)
            else:
                file.seek(0)
                with soundfile.SoundFile(file) as sound:
                    begin, count = _find_part(sound, name, start_sec, end_sec)
                    waveform = _read_samples(sound, name, begin, count, max_sec)
        except soundfile.LibsndfileError as err:
            said = err.error_string.rstrip(".")
            said = said or f"damaged (libsndfile error {err.code})"
            raise AudioError("unreadable", f"{name}: {said}") from err
    if len(waveform) == 0:
        raise AudioError("empty", f"{name}: no samples", "more than 0 samples")
    if not np.isfinite(waveform).all():
        raise AudioError("not_finite", f"{name}: samples that are not numbers")
    return waveform, fs


def _open_source(source: str | Path | bytes | BinaryIO) -> tuple[BinaryIO, str]:
    """Open a source and give it a name for messages."""
    if isinstance(source, bytes):
        return io.BytesIO(source), "audio data"
    if not isinstance(source, (str, Path)):
        return source, "audio data"
    if not os.path.isfile(source):
        raise AudioError("unreadable", f"{source}: no such file")
    try:
        return open(source, "rb"), str(source)
    except OSError as err:
        raise AudioError("unreadable", f"{source}: {err.strerror}") from err


def _check_bytes(file: BinaryIO, name: str) -> None:
    """Refuse a file without bytes, and a wav file that ends before its samples do.

    libsndfile reads the latter all the same. Writers that stream give a size near the
    largest possible, which claims nothing.
    """
    if file.seek(0, os.SEEK_END) == 0:
        raise AudioError("unreadable", f"{name}: 0 bytes")
    claimed, present = _find_data_chunk(file) or (0, 0)
    file.seek(0)
    if present + _HEADER_SLIP_BYTES < claimed < _STREAMED_BYTES:
        raise AudioError(
            "truncated", f"{name}: {present} bytes of samples", f"{claimed} bytes"
        )


def _find_part(
    sound: soundfile.SoundFile, name: str, start_sec: float, end_sec: float | None
) -> tuple[int, int]:
    """First sample and number of samples of a part."""
    fs, total = sound.samplerate, sound.frames
    if start_sec == 0.0 and end_sec is None:
        return 0, total
    begin = round(start_sec * fs)
    end = total if end_sec is None else round(end_sec * fs)
    if not 0 <= begin < end or begin >= total or end > total + fs // 2:
        raise AudioError(
            "bad_segment",
            f"{name}: wanted {start_sec} to {end_sec} s of {total / fs:.3f} s",
        )
    return begin, min(end, total) - begin


def _read_samples(
    sound: soundfile.SoundFile, name: str, begin: int, count: int, max_sec: float
) -> np.ndarray:
    """Read (count,) or (count, C) samples; a few less only where mp3 is off."""
    fs = sound.samplerate
    if count >= _UNKNOWN_FRAMES:
        detail = f"{name}: does not tell its length, as flac written to a pipe"
        raise AudioError("unreadable", f"{detail}: write it anew to a file")
    _check_length(count, fs, name, max_sec)
    if begin:
        sound.seek(begin)
    waveform = sound.read(count, dtype="float32")
    # The length of mp3 may be off by some frames of 1152 samples.
    slack = fs // 2 if sound.format == "MP3" else 0
    if len(waveform) + slack < count:
        raise AudioError("truncated", f"{name}: {len(waveform)} samples", f"{count}")
    return waveform


def _check_length(count: int, fs: int, name: str, max_sec: float) -> None:
    if count > max_sec * fs:
        raise AudioError("too_long", f"{name}: {count / fs:.3f} s", f"{max_sec:g} s")


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
        claimed, present = _find_data_chunk(file) or (0, 0)
        file.seek(4)
        riff_size = struct.unpack("<I", file.read(4).ljust(4, b"\0"))[0]
    return 0 < claimed <= present and riff_size + 8 == size


def _find_data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Bytes that the data chunk of a wav file claims, and bytes behind its header.

    Returns:
        tuple[int, int] | None: None for a file of another kind or without samples.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    while len(chunk := file.read(8)) == 8:
        length = struct.unpack("<I", chunk[4:])[0]
        if chunk[:4] == b"data":
            return length, size - file.tell()
        file.seek(length + length % 2, os.SEEK_CUR)
    return None
