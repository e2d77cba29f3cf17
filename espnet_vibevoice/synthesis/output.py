"""How a command's texts are spoken, and where their audio goes."""

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from torch import Tensor

from espnet_vibevoice.synthesis.audio_out import (
    AudioFile,
    AudioSink,
    RawStream,
    find_format,
)

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Task:
    """How texts are spoken.

    Args:
        out (str): Audio file for all of them, folder for a file of each, or ``-`` for
            raw samples on standard output.
        audio_format (str): Format of the files in a folder: wav | flac | ogg.
        seed (int): Seed of the first piece; each later one has the next.
        batch_size (int): Pieces spoken side by side.
        is_stream (bool): Whether audio is written while it is made.

    Raises:
        ValueError: If they do not go together.
    """

    out: str
    audio_format: str = "wav"
    seed: int = 0
    batch_size: int = 1
    is_stream: bool = False

    def __post_init__(self) -> None:
        """Check before a model is loaded."""
        if self.batch_size < 1:
            raise ValueError(f"--batch_size {self.batch_size}: give 1 or more.")
        if self.is_stream and self.batch_size > 1:
            raise ValueError(
                f"--stream speaks one text at a time, --batch_size {self.batch_size} "
                "several: leave one out."
            )
        if not self.is_folder and self.out != STANDARD_OUTPUT:
            find_format(Path(self.out))

    @property
    def is_folder(self) -> bool:
        """Whether each text gets a file of its own."""
        if self.out == STANDARD_OUTPUT:
            return False
        return Path(self.out).is_dir() or not Path(self.out).suffix


class Output(AbstractContextManager):
    """Where the audio of a task goes.

    Args:
        task (Task): The task.
        fs (int): Sampling rate in Hz.
    """

    def __init__(self, task: Task, fs: int):
        self._task = task
        self._fs = fs
        self._sink: AudioSink | None = None

    def __enter__(self) -> "Output":
        if self._task.out == STANDARD_OUTPUT:
            self._sink = RawStream(sys.stdout.buffer)
        elif not self._task.is_folder:
            self._sink = AudioFile(Path(self._task.out), self._fs).__enter__()
        return self

    def begin(self, number: int) -> None:
        """Open the file of a text, where each has its own.

        Args:
            number (int): Its number.
        """
        if self._task.is_folder:
            self.end()
            path = Path(self._task.out) / f"{number:04d}.{self._task.audio_format}"
            self._sink = AudioFile(path, self._fs).__enter__()

    def end(self) -> None:
        """Finish the file of a text, where each has its own."""
        if self._task.is_folder:
            self._close(None, None, None)

    def write(self, waveform: Tensor) -> None:
        """Append samples (T_wav,) to what is open."""
        assert self._sink is not None, "begin a text first"
        self._sink.write(waveform)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(kind, error, trace)

    def _close(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish what is open, or do away with it after an error."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.__exit__(kind, error, trace)
