"""Text files, written whole or not at all, and left alone when nothing changed."""

from collections.abc import Iterable
from pathlib import Path

from espnet_vibevoice.data.atomic import write_bytes_atomic


def write_text(path: str | Path, text: str) -> bool:
    """Write a UTF-8 file under a temporary name and move it into place.

    A file that has this text already is not touched, so that its time of change
    tells when its content last changed.

    Returns:
        bool: Whether the file was written.

    Raises:
        OSError: The file cannot be written; see :func:`write_bytes_atomic`.
    """
    path = Path(path)
    content = text.encode("utf-8")
    if path.is_file() and path.stat().st_size == len(content):
        if path.read_bytes() == content:
            return False
    write_bytes_atomic(path, content)
    return True


def write_lines(path: str | Path, lines: Iterable[str]) -> bool:
    """Write lines, each with a newline; see :func:`write_text`."""
    return write_text(path, "".join(f"{line}\n" for line in lines))
