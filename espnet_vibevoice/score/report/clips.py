"""A recording as a page holds it: MP3 and a strip of its mel spectrogram.

MP3 because every browser plays it (Opus in Ogg fails on older iPhones), mono, 24 kHz,
variable bit rate: about 65 kbit/s for speech, where its losses are not heard.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from espnet_vibevoice.data.audio import load_audio, resample, to_mono
from espnet_vibevoice.score.pictures import encode_strip, measure_log_mel

FS = 24000
MAX_CLIP_SEC = 60.0  # about 0.5 MB; what lies behind is cut off, and told
_COMPRESSION = 0.3  # 0 best to 1 smallest; LAME's V3


@dataclass(frozen=True)
class Clip:
    """What a page needs of a recording.

    Attributes:
        seconds (float): Duration of the recording.
        heard_seconds (float): Duration of what the page plays.
        audio (bytes): MP3.
        picture (bytes): JPEG; time from left to right, high frequencies on top.
    """

    seconds: float
    heard_seconds: float
    audio: bytes
    picture: bytes


def make_clip(path: str | Path) -> Clip:
    """Read a recording and make it small.

    Raises:
        AudioError: It is missing, empty or unreadable.
    """
    waveform, fs = load_audio(path)
    seconds = len(waveform) / fs
    waveform = to_mono(waveform[: round(MAX_CLIP_SEC * fs)])
    waveform = resample(waveform, fs, FS)
    heard = len(waveform) / FS
    strip = encode_strip(measure_log_mel(waveform, FS))
    return Clip(seconds, heard, encode_mp3(waveform), strip)


def encode_mp3(waveform: np.ndarray) -> bytes:
    """Encode (T_wav,) samples at 24 kHz."""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        np.clip(waveform, -1.0, 1.0),
        FS,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=_COMPRESSION,
        bitrate_mode="VARIABLE",
    )
    return buffer.getvalue()
