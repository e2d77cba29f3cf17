"""Fingerprints of bases: whether two folders hold the same weights.

A checkpoint of trained parameters is worth something on its own base only, wherever
that lies and however it is cut into files. So names and bytes of the weights count, and
files do not. Encoders do not count either: audio is encoded before training, and the
released realtime base has none until somebody adds one.
"""

import hashlib
import json
import math
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import UNUSED_EMBEDDING, find_weights

ENCODER_PREFIXES = (
    "model.acoustic_tokenizer.encoder.",
    "model.semantic_tokenizer.encoder.",
)
_MAX_THREADS = 8


@dataclass(frozen=True)
class _Place:
    """Where a weight lies in its file.

    Attributes:
        name (str): Original name.
        dtype (str): Type as the file names it, such as ``BF16``.
        shape (tuple[int, ...]): Its sizes.
        path (Path): The file.
        begin (int): First byte in the file.
        end (int): Byte after the last.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    begin: int
    end: int


def fingerprint_weights(folder: Path) -> str:
    """Compute the fingerprint of a base.

    It is the SHA-256 of one line per weight, sorted by name: name, type, shape and the
    SHA-256 of the bytes. Encoders are left out, and so is the embedding table of the
    realtime base's upper part, which nothing reads.

    Args:
        folder (Path): Base folder in the original format, in one file or many.

    Returns:
        str: 64 hexadecimal digits.

    Raises:
        FileNotFoundError: If a file of weights is absent.
        ValueError: If a file is not in the safetensors format.
    """
    found = find_weights(Path(folder))
    wanted = {
        name: path
        for name, path in found.items()
        if not name.startswith(ENCODER_PREFIXES) and name != UNUSED_EMBEDDING
    }
    places = [
        place
        for path in sorted(set(wanted.values()))
        for place in _read_places(path)
        if wanted.get(place.name) == path
    ]
    places.sort(key=lambda place: place.name)
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        lines = pool.map(_describe, places)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def find_revision(base: str) -> str | None:
    """Find the commit of a base that comes from the hub.

    Args:
        base (str): What ``base`` of ``tts_conf`` names, see `resolve_base`.

    Returns:
        str | None: Commit of the snapshot; None for a local folder.

    Raises:
        FileNotFoundError: If there is no such base.
    """
    if Path(base).expanduser().exists():
        return None
    folder = resolve_base(base)
    return folder.name if folder.parent.name == "snapshots" else None


def _read_places(path: Path) -> list[_Place]:
    """Read from the head of a safetensors file where its weights lie."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(size))
    return [
        _Place(
            name,
            entry["dtype"],
            tuple(entry["shape"]),
            path,
            *(8 + size + offset for offset in entry["data_offsets"]),
        )
        for name, entry in head.items()
        if name != "__metadata__"
    ]


def _describe(place: _Place) -> str:
    """Write the line of one weight."""
    digest = hashlib.sha256()
    if math.prod(place.shape):  # an empty file cannot be mapped
        with (
            open(place.path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
            view[place.begin : place.end] as data,
        ):
            digest.update(data)
    return f"{place.name} {place.dtype} {place.shape} {digest.hexdigest()}\n"


def check_fingerprint(base: str, wanted: str | None) -> str:
    """Compute the fingerprint of a base and compare it.

    Args:
        base (str): Folder, its config.json, or hub id.
        wanted (str | None): What ``tts_conf`` says it is; None: nothing.

    Returns:
        str: The fingerprint.

    Raises:
        ValueError: If it is another one.
    """
    found = fingerprint_weights(resolve_base(base))
    if wanted is not None and wanted != found:
        raise ValueError(
            f"{base} has the fingerprint {found}, but tts_conf base_fingerprint is "
            f"{wanted}: the weights are another base's, or were changed. Set base to "
            "the one that was trained on."
        )
    return found
