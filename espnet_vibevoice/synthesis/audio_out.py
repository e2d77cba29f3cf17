"""Where made audio goes: a file, a folder of files, or raw samples to a stream."""

import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import soundfile
from torch import Tensor

from espnet_vibevoice.data.atomic import explain_full_disk

# Suffix to libsndfile's format and kind of samples.
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
}
logger = logging.getLogger(__name__)


class AudioFile(AbstractContextManager):
    """An audio file that grows under a temporary name and is renamed when whole.

    If the ``with`` block fails nothing is left. If it writes no sample, a tenth of a
    second of silence is: not every format can be read without any.

    Args:
        path (Path): File to write; its suffix names the format. Its folder is made.
        fs (int): Sampling rate in Hz.

    Raises:
        ValueError: If the suffix names no format.
    """

    def __init__(self, path: Path, fs: int):
        find_format(path)
        self.path = path
        self._fs = fs
        self._is_empty = True
        self._temporary = path.with_name(f".{path.name}.tmp")

    def __enter__(self) -> Self:
        kind, subtype = FORMATS[find_format(self.path)]
        with explain_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = soundfile.SoundFile(
                self._temporary, "w", self._fs, 1, subtype, format=kind
            )
        return self

    def write(self, waveform: Tensor) -> None:
        """Append samples.

        Args:
            waveform (Tensor): Samples (T_wav,); what is beyond full scale is clipped.
        """
        self._is_empty = self._is_empty and len(waveform) == 0
        with explain_full_disk(self.path):
            self._file.write(to_int16(waveform))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with explain_full_disk(self.path):
            if kind is None and self._is_empty:
                logger.warning("%s: no speech was made, it holds silence", self.path)
                self._file.write(np.zeros(self._fs // 10, np.int16))
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self.path)
            else:
                self._temporary.unlink(missing_ok=True)


class RawStream(AbstractContextManager):
    """Raw samples, 16 bit little-endian mono, each chunk sent off at once.

    Args:
        stream (BinaryIO): Where they go; it stays open.
    """

    def __init__(self, stream: BinaryIO):
        self._stream = stream

    def write(self, waveform: Tensor) -> None:
        """Send samples.

        Args:
            waveform (Tensor): Samples (T_wav,); what is beyond full scale is clipped.
        """
        self._stream.write(to_int16(waveform).astype("<i2").tobytes())
        self._stream.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


AudioSink = AudioFile | RawStream


def to_int16(waveform: Tensor) -> np.ndarray:
    """Round samples to 16 bit.

    Args:
        waveform (Tensor): Samples with full scale 1.0 (T_wav,).
    """
    scaled = np.rint(waveform.detach().float().cpu().numpy() * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def find_format(path: Path) -> str:
    """Tell the format that a file's suffix names.

    Args:
        path (Path): The file.

    Returns:
        str: One of `FORMATS`.

    Raises:
        ValueError: If it names none.
    """
    name = path.suffix.removeprefix(".").lower()
    if name not in FORMATS:
        raise ValueError(
            f"{path}: audio files end in .{', .'.join(FORMATS)}. Give such a name, a "
            "folder to write one file for each utterance, or - for raw samples."
        )
    return name
