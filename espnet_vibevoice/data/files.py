"""Text files, written whole or not at all, and left alone when nothing changed."""

from collections.abc import Iterable
from pathlib import Path

from espnet_vibevoice.data.atomic import open_atomic


def write_text(path: str | Path, text: str) -> bool:
    """Write a UTF-8 file under a temporary name and move it into place.

    A file that has this text already is not touched, so that its time of change
    tells when its content last changed.

    Returns:
        bool: Whether the file was written.

    Raises:
        OSError: The file cannot be written; see :func:`open_atomic`.
    """
    return _write(Path(path), [text])


def write_lines(path: str | Path, lines: Iterable[str]) -> bool:
    """Write lines, each with a newline, as they come; see :func:`write_text`."""
    return _write(Path(path), (f"{line}\n" for line in lines))


def _write(path: Path, parts: Iterable[str]) -> bool:
    before = _identify(path)
    with open_atomic(path, keep_equal=True) as file:
        for part in parts:
            file.write(part.encode("utf-8"))
    return _identify(path) != before


def _identify(path: Path) -> tuple[int, int] | None:
    """Inode and time of a file; another file under the name differs in them."""
    if not path.is_file():
        return None
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns
