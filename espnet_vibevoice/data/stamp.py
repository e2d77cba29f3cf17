"""Finished work is not redone unless its input or its options changed.

A stamp is a JSON file written after the work: the options and a fingerprint of each
input. Files up to 16 MiB (tables, configs) count by content (SHA-256), larger ones
by size and time; a folder counts by the visible files directly in it, so for a data
directory that means its tables. This module must import fast: a recipe asks often.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from espnet_vibevoice.data.files import write_text

_MAX_HASHED_BYTES = 16 * 2**20
_VERSION = 1


def fingerprint_path(path: str | Path, ignored: Iterable[str | Path] = ()) -> str:
    """Fingerprint a file or a folder.

    Args:
        path (str | Path): File or folder.
        ignored (Iterable): Files that do not count, e.g. a stamp inside the folder.

    Returns:
        str: Begins with ``sha256:``, ``stat:`` or ``dir:``, or is ``missing``.
    """
    path = Path(path)
    if path.is_dir():
        skipped = {Path(p).resolve() for p in ignored}
        entries = [
            f"{file.name} {fingerprint_path(file)}"
            for file in sorted(path.iterdir())
            if not file.name.startswith(".")
            and file.is_file()
            and file.resolve() not in skipped
        ]
        digest = hashlib.sha256("\n".join(entries).encode()).hexdigest()
        return f"dir:{digest}"
    if not path.is_file():
        return "missing"
    stat = path.stat()
    if stat.st_size > _MAX_HASHED_BYTES:
        return f"stat:{stat.st_size}:{stat.st_mtime_ns}"
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def write_stamp(
    stamp: str | Path,
    options: Mapping[str, str],
    inputs: Sequence[str | Path],
) -> None:
    """Record that work was finished with these options from these inputs.

    Args:
        stamp (str | Path): File to write, atomically.
        options (Mapping[str, str]): Name and value of what shaped the work.
        inputs (Sequence[str | Path]): Files and folders that were read.

    Raises:
        FileNotFoundError: An input does not exist.
    """
    record = _make_record(stamp, options, inputs)
    missing = [p for p, value in record["inputs"].items() if value == "missing"]
    if missing:
        raise FileNotFoundError(
            f"Cannot stamp {stamp}: input {', '.join(missing)} does not exist."
        )
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    write_text(stamp, text + "\n")


def find_changes(
    stamp: str | Path,
    options: Mapping[str, str],
    inputs: Sequence[str | Path],
    outputs: Sequence[str | Path] = (),
) -> list[str]:
    """Tell why work has to be done again.

    Args:
        stamp (str | Path): File of :func:`write_stamp`.
        options (Mapping[str, str]): Options as they are now.
        inputs (Sequence[str | Path]): Inputs of the work.
        outputs (Sequence[str | Path]): What the work left; must exist.

    Returns:
        list[str]: One reason each; empty if nothing is to be done.
    """
    stamp = Path(stamp)
    if not stamp.is_file():
        return ["not done yet"]
    try:
        old = json.loads(stamp.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return [f"{stamp} is not a stamp"]
    if not isinstance(old, dict) or old.get("version") != _VERSION:
        return [f"{stamp} is of another version"]
    new = _make_record(stamp, options, inputs)
    changes = [f"output {path} is gone" for path in outputs if not Path(path).exists()]
    changes += _compare("option", old["options"], new["options"])
    for path in _differing(old["inputs"], new["inputs"]):
        changes.append(f"input {path} {_describe_input(path, old, new)}")
    return changes


def _make_record(
    stamp: str | Path, options: Mapping[str, str], inputs: Sequence[str | Path]
) -> dict:
    return {
        "version": _VERSION,
        "options": dict(options),
        "inputs": {str(path): fingerprint_path(path, [stamp]) for path in inputs},
    }


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return sorted(key for key in old.keys() | new if old.get(key) != new.get(key))


def _compare(kind: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [
        f"{kind} {key}: was {old.get(key, 'not set')!r}, is {new.get(key, 'not set')!r}"
        for key in _differing(old, new)
    ]


def _describe_input(path: str, old: dict, new: dict) -> str:
    if path not in old["inputs"]:
        return "is new"
    if path not in new["inputs"]:
        return "is no longer used"
    return "is missing" if new["inputs"][path] == "missing" else "changed"
