"""Kaldi data directories: one set of a corpus as tables with the same keys.

``wav.scp``, ``text`` and ``utt2spk`` (with its inverse ``spk2utt``) are required;
``text.*``, ``utt2*``, ``feats.scp`` and ``segments`` are optional and must cover the
same utterances. With ``segments``, ``wav.scp`` is keyed by recording instead.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.kaldi import (
    count_lines,
    describe_ids,
    iterate_table,
    read_table,
    write_table,
)
from espnet_vibevoice.data.sentences import find_text_key
from espnet_vibevoice.errors import summarize_faults

REQUIRED_FILES = ("wav.scp", "text", "utt2spk", "spk2utt")
_OTHER_FILES = ("feats_type",)  # one word for the whole set, not a table

Tables = dict[str, dict[str, str]]


def list_table_names(path: str | Path) -> list[str]:
    """Names of the per-utterance tables of a data directory, ``wav.scp`` included."""
    names = []
    for file in Path(path).iterdir():
        name = file.name
        is_table = name in ("wav.scp", "text", "feats.scp", "segments")
        is_table |= name.startswith(("text.", "utt2"))
        if is_table and file.is_file() and not name.endswith((".bak", ".tmp")):
            names.append(name)
    return sorted(names)


def read_data_dir(path: str | Path) -> Tables:
    """Read all per-utterance tables of a data directory, without judging them.

    Raises:
        FileNotFoundError: The folder or one of wav.scp, text, utt2spk is missing.
    """
    path = Path(path)
    check_required_files(path)
    return {name: read_table(path / name) for name in list_table_names(path)}


def check_required_files(path: Path) -> None:
    """Raise FileNotFoundError if wav.scp, text or utt2spk, or the folder is missing."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path}: no such data directory. Run the stage that makes it."
        )
    missing = [n for n in REQUIRED_FILES[:3] if not (path / n).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{path}: {', '.join(missing)} missing. A data directory needs "
            f"{', '.join(REQUIRED_FILES)}."
        )


def validate_data_dir(path: str | Path) -> int:
    """Check a data directory; one without faults is not held in memory.

    Args:
        path (str | Path): Data directory.

    Returns:
        int: Number of utterances.

    Raises:
        FileNotFoundError: The folder or a required file is missing.
        ValueError: Files that disagree on the utterances, unsorted files, empty
            values, or a ``spk2utt`` that is not the inverse of ``utt2spk``.
    """
    path = Path(path)
    check_required_files(path)
    if not (path / "spk2utt").is_file():
        raise FileNotFoundError(f"{path}: spk2utt missing. Run fix_data_dir {path}.")
    names = list_table_names(path)
    if not any(True for _ in iterate_table(path / "text")):
        faults = ["there are no utterances"]
    else:
        faults = []
    if "segments" in names or any(not _has_keys_of_text(path, n) for n in names):
        faults += _find_differing_keys(read_data_dir(path))
    for name in names:
        faults += _find_row_faults(path / name)
    if not is_spk2utt_inverse(path):
        faults.append("spk2utt is not the inverse of utt2spk")
    if faults:
        raise ValueError(
            f"{path}: {summarize_faults(faults)}. Mend the script that made it, or "
            f"run fix_data_dir {path} to keep what all files have."
        )
    return count_lines(path / "text")


def _has_keys_of_text(path: Path, name: str) -> bool:
    """Whether a table has the keys of ``text`` in the same order."""
    pairs = itertools.zip_longest(
        iterate_table(path / "text"), iterate_table(path / name), fillvalue=("", "")
    )
    return all(one[0] == other[0] for one, other in pairs)


def _find_row_faults(path: Path) -> list[str]:
    """Faults of the order of a table and of its values."""
    empty, previous, is_sorted = [], "", True
    for key, value in iterate_table(path):
        is_sorted &= previous < key
        previous = key
        if not value:
            empty.append(key)
    if not is_sorted:
        read_table(path)  # names a repeated key
    faults = [] if is_sorted else [f"{path.name} is not sorted (use LC_ALL=C sort)"]
    if empty:
        faults.append(f"{path.name} has no value for {describe_ids(empty)}")
    return faults


def write_data_dir(
    path: str | Path, tables: Mapping[str, Mapping[str, object]]
) -> None:
    """Write tables and ``spk2utt``; other per-utterance tables there are removed."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    remove_other_tables(path, tables)
    for name, table in tables.items():
        write_table(path / name, table)
    write_spk2utt(path)


def remove_other_tables(path: Path, names: Iterable[str]) -> None:
    """Remove the per-utterance tables that are not named."""
    for name in set(list_table_names(path)) - set(names):
        (path / name).unlink()


def write_spk2utt(path: Path) -> None:
    """Write the inverse of ``utt2spk``, which must be sorted."""
    members = _join_utterances(path)
    lines = (f"{spk} {members[spk].decode()}" for spk in sorted(members))
    write_lines(path / "spk2utt", lines)


def is_spk2utt_inverse(path: Path) -> bool:
    """Whether ``spk2utt`` is what :func:`write_spk2utt` would write."""
    members = _join_utterances(path)
    for speaker, utterances in iterate_table(path / "spk2utt"):
        if members.pop(speaker, b"").decode() != utterances:
            return False
    return not members


def _join_utterances(path: Path) -> dict[str, bytearray]:
    """Join the utterances of each speaker, in order, with blanks (UTF-8)."""
    members: dict[str, bytearray] = {}
    for utt_id, speaker in iterate_table(path / "utt2spk"):
        joined = members.setdefault(speaker, bytearray())
        joined += (b" " if joined else b"") + utt_id.encode()
    return members


def subset_tables(tables: Tables, utterances: Collection[str]) -> Tables:
    """Keep these utterances in all tables (recordings only if still in use)."""
    kept = set(utterances)
    subset = {
        name: {key: value for key, value in table.items() if key in kept}
        for name, table in tables.items()
    }
    if "segments" in tables:
        recordings = {line.split()[0] for line in subset["segments"].values()}
        wavs = tables["wav.scp"]
        subset["wav.scp"] = {key: wavs[key] for key in wavs if key in recordings}
    return subset


def copy_data_dir(
    source: str | Path,
    target: str | Path,
    utterances: Collection[str] | None = None,
) -> int:
    """Copy the tables of a data directory, all utterances or some of them.

    Per-speaker tables (``spk2*``) and ``feats_type`` are copied as they are.

    Args:
        source (str | Path): Data directory; never changed.
        target (str | Path): Data directory to make or renew.
        utterances (Collection[str] | None): Utterances to keep; all if None.

    Returns:
        int: Number of utterances copied.

    Raises:
        FileNotFoundError: The source or one of its required files is missing.
        ValueError: ``utterances`` names some that the source does not have.
    """
    source, target = Path(source), Path(target)
    check_required_files(source)
    known = {utt_id for utt_id, _ in iterate_table(source / "utt2spk")}
    kept = known if utterances is None else set(utterances)
    if kept - known:
        raise ValueError(f"{source} does not have {describe_ids(kept - known)}.")
    names = list_table_names(source)
    if target.is_dir():
        remove_other_tables(target, names)
    for name in names:  # one at a time in memory
        keys = kept
        if name == "wav.scp" and "segments" in names:
            segments = iterate_table(source / "segments")
            keys = {value.split()[0] for key, value in segments if key in kept}
        rows = read_table(source / name).items()
        write_table(target / name, {key: row for key, row in rows if key in keys})
    write_spk2utt(target)
    copy_speaker_tables(source, target)
    for name in _OTHER_FILES:
        if (source / name).is_file():
            write_text(target / name, (source / name).read_text(encoding="utf-8"))
    return len(kept)


def copy_speaker_tables(source: str | Path, target: str | Path) -> None:
    """Copy per-speaker tables (``spk2gender``, ``spk2sid``, ...) as they are."""
    for file in sorted(Path(source).glob("spk2*")):
        if file.name != "spk2utt":
            write_table(Path(target) / file.name, read_table(file))


def utterances_by_file(tables: Tables) -> dict[str, set[str]]:
    """Utterances of each table; with segments, those whose recording exists."""
    keys = {name: set(table) for name, table in tables.items()}
    if "segments" in tables:
        wavs = tables["wav.scp"]
        keys["wav.scp"] = {
            utt_id
            for utt_id, line in tables["segments"].items()
            if line and line.split()[0] in wavs
        }
    return keys


def _find_differing_keys(tables: Tables) -> list[str]:
    keys = utterances_by_file(tables)
    faults = []
    for name in keys:
        for sign, ids in (
            (f"only in text, not in {name}", keys["text"] - keys[name]),
            (f"only in {name}, not in text", keys[name] - keys["text"]),
        ):
            if ids:
                faults.append(f"utterances {sign}: {describe_ids(ids)}")
    return faults


def check_disjoint(*paths: str | Path, compare_texts: bool = True) -> None:
    """Check that data directories share no utterance and no sentence.

    Sentences are compared by their letters, so spacing and marks make no difference.

    Args:
        paths (str | Path): Training, validation and test directories.
        compare_texts (bool): Whether sentences are compared as well.

    Raises:
        ValueError: Two of them overlap; names the pair, the count and the ids.
    """
    keys = {str(path): _read_text_keys(path, compare_texts) for path in paths}
    faults = []
    for first, second in itertools.combinations(keys, 2):
        shared = keys[first].keys() & keys[second].keys()
        if shared:
            faults.append(
                f"{first} and {second} share utterances: {describe_ids(shared)}"
            )
        sentences = set(keys[second].values()) - {""}
        same = {u for u, key in keys[first].items() if key in sentences} - shared
        if same:
            faults.append(
                f"{first} has sentences of {second}: utterances {describe_ids(same)}"
            )
    if faults:
        raise ValueError(
            f"Sets must share neither utterances nor sentences: "
            f"{summarize_faults(faults)}. Remove them from the training set."
        )


def _read_text_keys(path: str | Path, compare_texts: bool) -> dict[str, str]:
    rows = iterate_table(Path(path) / "text")
    return {utt: find_text_key(text) if compare_texts else "" for utt, text in rows}
