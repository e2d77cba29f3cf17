"""Where the audio of an utterance comes from: a file, a command, a part of either.

Sample rows of ``wav.scp`` (file and command) and of ``segments``::

    fa_0001 /corpus/wavs/0001.wav
    rec_07 sph2pipe -f wav /corpus/07.sph |
    fa_0101 rec_07 12.35 17.80
"""

import functools
import hashlib
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from espnet_vibevoice.data.audio import AudioError, load_audio
from espnet_vibevoice.data.kaldi import count_lines, iterate_table, read_table
from espnet_vibevoice.errors import UtteranceError


@dataclass(frozen=True)
class AudioSource:
    """Source of one utterance.

    Args:
        utt_id (str): Utterance id.
        location (str): Path, or a command that ends in ``|`` and prints a file.
        start_sec (float): First moment of the utterance.
        end_sec (float | None): Moment behind it; None for the end of the audio.
    """

    utt_id: str
    location: str
    start_sec: float = 0.0
    end_sec: float | None = None

    @property
    def is_command(self) -> bool:
        """Whether the audio is what a command prints."""
        return self.location.endswith("|")

    def fingerprint(self) -> str:
        """Identify the source: its text, and size and time if it is a file."""
        parts = [self.location, str(self.start_sec), str(self.end_sec)]
        if not self.is_command and os.path.exists(self.location):
            stat = os.stat(self.location)
            parts += [str(stat.st_size), str(stat.st_mtime_ns)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def load(self, max_sec: float = math.inf) -> tuple[np.ndarray, int]:
        """Read the audio: waveform (T_wav,) or (T_wav, C) and rate in Hz.

        Args:
            max_sec (float): What is longer is refused before it is read.

        Raises:
            UtteranceError: ``command_failed`` or a reason of :func:`load_audio`.
        """
        try:
            content: str | BinaryIO = self.location
            if self.is_command:
                content = _run_audio_command(self.location.removesuffix("|"))
            return load_audio(content, self.start_sec, self.end_sec, max_sec)
        except AudioError as err:
            raise UtteranceError(
                self.utt_id, err.reason, err.detail, err.limit
            ) from err


class SourceList:
    """The sources of a ``wav.scp``, or of ``segments`` of it, read as they are used.

    Only the recordings of ``segments`` are held.

    Args:
        wav_scp (str | Path): Table of audio.
        segments (str | Path | None): Table of parts of it.
    """

    def __init__(self, wav_scp: str | Path, segments: str | Path | None = None):
        self._wav_scp = wav_scp
        self._segments = segments
        self._count = count_lines(wav_scp if segments is None else segments)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[AudioSource]:
        """Give one source after the other.

        Raises:
            ValueError: A line of ``segments`` is not ``utterance recording start
                end`` or names a recording that ``wav.scp`` lacks.
        """
        if self._segments is None:
            for utt_id, location in iterate_table(self._wav_scp):
                yield AudioSource(utt_id, location)
            return
        recordings = read_table(self._wav_scp)
        for utt_id, line in iterate_table(self._segments):
            recording, start_sec, end_sec = self._parse_segment(utt_id, line)
            if recording not in recordings:
                raise ValueError(
                    f"{self._segments}: {utt_id}: recording {recording!r} is not in "
                    f"{self._wav_scp}."
                )
            yield AudioSource(utt_id, recordings[recording], start_sec, end_sec)

    def _parse_segment(self, utt_id: str, line: str) -> tuple[str, float, float | None]:
        try:
            recording, start, end = line.split()
            start_sec, end_sec = float(start), float(end)
        except ValueError as err:
            raise ValueError(
                f"{self._segments}: {utt_id}: want 'recording start end' (seconds), "
                f"got {line!r}."
            ) from err
        if math.isnan(start_sec + end_sec):
            raise ValueError(
                f"{self._segments}: {utt_id}: times must be numbers: {line!r}."
            )
        # Kaldi: -1 is the end
        return recording, start_sec, None if end_sec < 0 else end_sec


@functools.lru_cache(maxsize=1)  # segments of one recording follow each other
def _run_audio_command(command: str) -> BinaryIO:
    """Run a command; what it prints lies on disk, however long it is."""
    output = tempfile.TemporaryFile()
    result = subprocess.run(
        ["bash", "-c", command], stdout=output, stderr=subprocess.PIPE, check=False
    )
    if result.returncode != 0:
        said = result.stderr.decode("utf-8", "replace").strip().splitlines()
        raise AudioError(
            "command_failed",
            f"{command.strip()}: status {result.returncode}: {(said or [''])[-1]}",
        )
    return output
