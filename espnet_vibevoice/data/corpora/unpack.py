"""Unpack an archive so that nothing can leave the folder it is unpacked to.

Only plain files and folders are taken. Links, devices, absolute paths and ``..`` are
refused by name, and nothing of such an archive is kept. Members go to a folder beside
the target, which is moved into place when all are there; files that an interrupted run
has finished are not written again.
"""

import gzip
import json
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.data.files import write_text

DEFAULT_MAX_BYTES = 200 * 2**30
_MARKER = ".unpacked"
_CHUNK_BYTES = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,  # a way of compression that zipfile does not know
    FileExistsError,  # a file and a folder of one name
    NotADirectoryError,
    IsADirectoryError,
)


@dataclass(frozen=True)
class _Member:
    """One entry of an archive; ``file`` is None for a folder."""

    name: str
    size: int
    file: IO[bytes] | None


def unpack_archive(
    archive: str | Path, target: str | Path, max_bytes: int = DEFAULT_MAX_BYTES
) -> bool:
    """Unpack a tar (also .gz, .bz2, .xz) or zip archive.

    Args:
        archive (str | Path): Archive. It may be gone once it was unpacked.
        target (str | Path): Folder to make.
        max_bytes (int): Refuse what would become larger than this.

    Returns:
        bool: Whether it was unpacked now; False if that had been done before.

    Raises:
        FileNotFoundError: There is no archive.
        FileExistsError: The target exists and is not what this archive gave.
        ValueError: A member that must not be unpacked, a broken or encrypted
            archive, or too many bytes.
    """
    archive, target = Path(archive), Path(target)
    marker = target / _MARKER
    if marker.is_file() and not archive.exists():
        return False
    if not archive.is_file():
        raise FileNotFoundError(f"{archive}: no such archive. Download it first.")
    record = _describe(archive)
    if marker.is_file() and marker.read_text(encoding="utf-8") == record:
        return False
    if target.exists():
        raise FileExistsError(
            f"{target} exists and was not unpacked from {archive} as it is now. Move "
            "it away, or name another folder."
        )
    partial = target.with_name(f".{target.name}.unpacking")
    _begin(partial, record)
    try:
        _write_members(archive, partial, max_bytes)
    except ValueError:
        shutil.rmtree(partial)
        raise
    write_text(partial / _MARKER, record)
    (partial / f"{_MARKER}.source").unlink()
    os.replace(partial, target)
    return True


def _describe(archive: Path) -> str:
    entry = archive.stat()
    return json.dumps({"archive": archive.name, "bytes": entry.st_size}) + "\n"


def _begin(partial: Path, record: str) -> None:
    """Keep what an interrupted run of the same archive has left, else begin anew."""
    source = partial / f"{_MARKER}.source"
    if source.is_file() and source.read_text(encoding="utf-8") == record:
        return
    if partial.exists():
        shutil.rmtree(partial)
    write_text(source, record)


def _write_members(archive: Path, folder: Path, max_bytes: int) -> None:
    total = 0
    with _explain_broken(archive):
        for member in _read_members(archive):
            path = folder / _check_name(archive, member.name)
            total += member.size
            if total > max_bytes:
                raise ValueError(
                    f"{archive}: becomes larger than {max_bytes} bytes at member "
                    f"{member.name!r}. If that is right, allow more (--max_bytes)."
                )
            if member.file is None:
                path.mkdir(parents=True, exist_ok=True)
            elif path == folder:
                raise ValueError(
                    f"{archive}: member {member.name!r} would replace the folder it "
                    "is unpacked to. Do not trust this archive."
                )
            elif not (path.is_file() and path.stat().st_size == member.size):
                _write_member(archive, member, path)


def _write_member(archive: Path, member: _Member, path: Path) -> None:
    """Copy a member under a temporary name; not a byte more than it declares."""
    temporary = path.with_name(f".{path.name}.part")
    with explain_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            while chunk := member.file.read(_CHUNK_BYTES):
                if file.tell() + len(chunk) > member.size:
                    break
                file.write(chunk)
            written = file.tell()
    if written != member.size:
        raise ValueError(
            f"{archive}: member {member.name!r} does not have the {member.size} bytes "
            "it declares. Download the archive again."
        )
    os.replace(temporary, path)


def _check_name(archive: Path, name: str) -> Path:
    """Return the path below the target; refuse one that could lead elsewhere."""
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    while parts and not parts[-1]:
        parts.pop()
    is_outside = name.startswith(("/", "\\")) or ".." in parts or "" in parts
    if is_outside or "\0" in name or (parts and parts[0].endswith(":")):
        raise ValueError(
            f"{archive}: member {name!r} would leave the folder it is unpacked to. "
            "Nothing was unpacked: do not trust this archive."
        )
    if parts and parts[0].startswith(_MARKER):
        raise ValueError(f"{archive}: member {name!r} has a name that is kept for us.")
    return Path(*parts)


def _refuse_kind(archive: Path, name: str, kind: str) -> ValueError:
    return ValueError(
        f"{archive}: member {name!r} is {kind}; only plain files and folders are "
        "unpacked. Nothing was unpacked: do not trust this archive."
    )


def _read_members(archive: Path) -> Iterator[_Member]:
    if zipfile.is_zipfile(archive):
        return _read_zip(archive)
    return _read_tar(archive)


def _read_tar(archive: Path) -> Iterator[_Member]:
    """List the members, then read on to the checksum of gzip, which tarfile skips."""
    with archive.open("rb") as file:
        is_gzip = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    with gzip.open(archive) if is_gzip else archive.open("rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|*") as tar:
            for info in tar:
                yield _open_tar_member(archive, tar, info)
                tar.members.clear()  # a list that grows with the archive
        while stream.read(_CHUNK_BYTES):
            pass


def _open_tar_member(
    archive: Path, tar: tarfile.TarFile, info: tarfile.TarInfo
) -> _Member:
    if info.issym() or info.islnk():
        raise _refuse_kind(archive, info.name, f"a link to {info.linkname!r}")
    if not (info.isfile() or info.isdir()):
        raise _refuse_kind(archive, info.name, "a device or pipe")
    file = tar.extractfile(info) if info.isfile() else None
    return _Member(info.name, info.size if file else 0, file)


def _read_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as folder:
        for info in folder.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind == stat.S_IFLNK:
                raise _refuse_kind(archive, info.filename, "a link")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refuse_kind(archive, info.filename, "a device or pipe")
            if info.flag_bits & 1:
                raise _refuse_kind(archive, info.filename, "encrypted")
            if info.is_dir():
                yield _Member(info.filename, 0, None)
                continue
            with folder.open(info) as file:
                yield _Member(info.filename, info.file_size, file)


@contextmanager
def _explain_broken(archive: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as err:
        raise ValueError(
            f"{archive}: broken or no tar or zip archive ({err}). Download it again."
        ) from err
