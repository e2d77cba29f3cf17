"""Find the audio file that a row of a corpus means."""

import os
from pathlib import Path

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus")
_FOLDERS = ("", "wavs", "wav", "audio", "clips")


class AudioFinder:
    """Find files by what a list calls them: with or without folder and ending.

    The combination that was right for one row is tried first for the next.

    Args:
        root (Path): Folder of the list. Names may lead out of it: refuse those of
            corpora that others made, see :func:`leaves_folder`.
    """

    def __init__(self, root: Path):
        self._root = root
        self._ways = [(f, s) for s in ("", *AUDIO_SUFFIXES) for f in _FOLDERS]

    def find(self, name: str) -> Path | None:
        """Return the file, None if there is none."""
        if not name or "\0" in name:
            return None
        for position, (folder, suffix) in enumerate(self._ways):
            path = self._root / folder / f"{name}{suffix}"
            if os.path.isfile(path):
                if position:
                    self._ways.insert(0, self._ways.pop(position))
                return path
        return None

    def guess(self, name: str) -> Path:
        """Return the file, or where it should be."""
        return self.find(name) or self._root / name


def leaves_folder(name: str) -> bool:
    """Tell whether a relative name could lead out of its folder."""
    parts = name.replace("\\", "/").split("/")
    return os.path.isabs(name) or ".." in parts


def looks_like_audio(name: str) -> bool:
    """Tell whether a name has the ending of an audio file."""
    return name.lower().endswith(AUDIO_SUFFIXES)


def strip_ending(name: str) -> str:
    """Take the ending of an audio file off a name; other dots stay.

    Example:
        >>> strip_ending("wavs/1.2.wav"), strip_ending("1.2")
        ('wavs/1.2', '1.2')
    """
    return name[: name.rindex(".")] if looks_like_audio(name) else name
