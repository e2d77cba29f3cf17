"""Folders that are either whole or absent."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espnet_vibevoice.data.atomic import explain_full_disk


@contextmanager
def make_new_folder(out: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name, then rename it.

    Args:
        out (Path): Folder to make; it may exist if it is empty.

    Yields:
        Path: Folder beside it to write into. It becomes ``out`` at the end of the
            ``with`` block, or is removed if the block raises.

    Raises:
        FileExistsError: If ``out`` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out}: exists and is not empty. Give another folder.")
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    with explain_full_disk(out):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if out.exists():
                out.rmdir()
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # gone once it is renamed
