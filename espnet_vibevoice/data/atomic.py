"""Files that are either the old or the new version, never half of one.

Data goes to a temporary name in the same folder and is then renamed, so a process
killed at any point leaves nothing that a later stage could take for finished work.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_PIECE_BYTES = 2**20


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it.

    The temporary name is fixed (``.NAME.tmp``), so whoever repeats interrupted work
    overwrites the remains of it. A path has one writer at a time.

    Args:
        path (str | Path): File to write; its folder is created.
        data (bytes): Whole content.

    Raises:
        OSError: The file cannot be written; see :func:`explain_full_disk`.
    """
    with open_atomic(path) as file:
        file.write(data)


@contextmanager
def open_atomic(path: str | Path, keep_equal: bool = False) -> Iterator[BinaryIO]:
    """Open a temporary file that gets its real name when the block ends well.

    Args:
        path (str | Path): File to write; its folder is created.
        keep_equal (bool): Leave a file alone that has this content already, so that
            its time of change tells when the content last changed.

    Raises:
        OSError: The file cannot be written; see :func:`explain_full_disk`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                yield file
            if keep_equal and _have_equal_content(path, temporary):
                temporary.unlink()
            else:
                os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Make the error of a full disk or quota say what is free and what to do.

    Args:
        path (Path): File that is written inside the ``with`` block.

    Raises:
        OSError: What the block raised; with the longer message if space ran out.
    """
    try:
        yield
    except OSError as err:
        if err.errno not in _NO_SPACE:
            raise
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free / 2**20
        reason = "quota used up" if err.errno == errno.EDQUOT else "no space left"
        raise OSError(
            err.errno,
            f"{reason} while writing {path} ({free:.1f} MiB free on its disk). Free "
            "some space or choose another disk (--dumpdir, --expdir), then run the "
            "same command again: finished files are kept",
        ) from err


def _have_equal_content(first: Path, second: Path) -> bool:
    """Compare two files piece by piece; one that is missing equals none."""
    if not first.is_file() or first.stat().st_size != second.stat().st_size:
        return False
    with open(first, "rb") as one, open(second, "rb") as other:
        for piece in iter(lambda: one.read(_PIECE_BYTES), b""):
            if piece != other.read(_PIECE_BYTES):
                return False
    return True
