"""Kaldi data directories: one set of a corpus as tables with the same keys.

``wav.scp``, ``text`` and ``utt2spk`` (with its inverse ``spk2utt``) are required;
``text.*``, ``utt2*``, ``feats.scp`` and ``segments`` are optional and must cover the
same utterances. With ``segments``, ``wav.scp`` is keyed by recording instead.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import (
    describe_ids,
    invert_utt2spk,
    read_table,
    write_table,
)
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
    return {name: read_table(path / name) for name in list_table_names(path)}


def validate_data_dir(path: str | Path) -> int:
    """Check a data directory.

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
    tables = read_data_dir(path)
    if not (path / "spk2utt").is_file():
        raise FileNotFoundError(f"{path}: spk2utt missing. Run fix_data_dir {path}.")
    faults = [] if tables["text"] else ["there are no utterances"]
    faults += _find_differing_keys(tables)
    for name, table in tables.items():
        if list(table) != sorted(table):
            faults.append(f"{name} is not sorted (use LC_ALL=C sort)")
        empty = [utt_id for utt_id, value in table.items() if not value]
        if empty:
            faults.append(f"{name} has no value for {describe_ids(empty)}")
    if read_table(path / "spk2utt") != invert_utt2spk(tables["utt2spk"]):
        faults.append("spk2utt is not the inverse of utt2spk")
    if faults:
        raise ValueError(
            f"{path}: {summarize_faults(faults)}. Mend the script that made it, or "
            f"run fix_data_dir {path} to keep what all files have."
        )
    return len(tables["text"])


def find_unusable(tables: Tables) -> dict[str, str]:
    """Find utterances that a table lacks or that have an empty value.

    Returns:
        dict[str, str]: Reason of each, e.g. ``missing in wav.scp``, ``empty text``.
    """
    keys = _utterances_by_file(tables)
    unusable: dict[str, str] = {}
    for utt_id in sorted(set().union(*keys.values())):
        for name, utterances in keys.items():
            if utt_id not in utterances:
                unusable.setdefault(utt_id, f"missing in {name}")
            elif tables[name].get(utt_id, "audio") == "":
                unusable.setdefault(utt_id, f"empty {name}")
    return unusable


def write_data_dir(
    path: str | Path, tables: Mapping[str, Mapping[str, object]]
) -> None:
    """Write tables and ``spk2utt``; other per-utterance tables there are removed."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for name in set(list_table_names(path)) - set(tables):
        (path / name).unlink()
    for name, table in tables.items():
        write_table(path / name, table)
    speakers = {utt_id: str(spk) for utt_id, spk in tables["utt2spk"].items()}
    write_table(path / "spk2utt", invert_utt2spk(speakers))


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
    tables = read_data_dir(source)
    if utterances is not None:
        unknown = set(utterances) - set(tables["utt2spk"])
        if unknown:
            raise ValueError(f"{source} does not have {describe_ids(unknown)}.")
        tables = subset_tables(tables, utterances)
    write_data_dir(target, tables)
    copy_speaker_tables(source, target)
    for name in _OTHER_FILES:
        if (source / name).is_file():
            write_text(target / name, (source / name).read_text(encoding="utf-8"))
    return len(tables["utt2spk"])


def copy_speaker_tables(source: str | Path, target: str | Path) -> None:
    """Copy per-speaker tables (``spk2gender``, ``spk2sid``, ...) as they are."""
    for file in sorted(Path(source).glob("spk2*")):
        if file.name != "spk2utt":
            write_table(Path(target) / file.name, read_table(file))


def fix_data_dir(path: str | Path) -> dict[str, str]:
    """Keep the utterances that all tables have, sort, and renew ``spk2utt``.

    Returns:
        dict[str, str]: Dropped utterances and why.

    Raises:
        ValueError: No utterance is left; nothing is changed then.
    """
    tables = read_data_dir(path)
    dropped = find_unusable(tables)
    kept = set(tables["utt2spk"]) - set(dropped)
    if not kept:
        raise ValueError(
            f"{path}: no utterance is in all of {', '.join(tables)}. Check that "
            "these files use the same ids."
        )
    write_data_dir(path, subset_tables(tables, kept))
    return dropped


def check_disjoint(*paths: str | Path) -> None:
    """Check that data directories share no utterance and no sentence.

    Sentences are compared by their words, so spacing makes no difference.

    Args:
        paths (str | Path): Training, validation and test directories.

    Raises:
        ValueError: Two of them overlap; names the pair, the count and the ids.
    """
    texts = {str(path): read_table(Path(path) / "text") for path in paths}
    names = list(texts)
    faults = []
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            faults += _find_overlap(first, second, texts)
    if faults:
        raise ValueError(
            f"Sets must share neither utterances nor sentences: "
            f"{summarize_faults(faults)}. Remove them from the training set."
        )


def _find_overlap(first: str, second: str, texts: Tables) -> list[str]:
    faults = []
    shared = texts[first].keys() & texts[second].keys()
    if shared:
        faults.append(f"{first} and {second} share utterances: {describe_ids(shared)}")
    sentences = {" ".join(text.split()) for text in texts[second].values()}
    same_text = [
        utt_id
        for utt_id, text in texts[first].items()
        if " ".join(text.split()) in sentences and utt_id not in shared
    ]
    if same_text:
        faults.append(
            f"{first} has sentences of {second}: utterances {describe_ids(same_text)}"
        )
    return faults


def _utterances_by_file(tables: Tables) -> dict[str, set[str]]:
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
    keys = _utterances_by_file(tables)
    faults = []
    for name in keys:
        for sign, ids in (
            (f"only in text, not in {name}", keys["text"] - keys[name]),
            (f"only in {name}, not in text", keys[name] - keys["text"]),
        ):
            if ids:
                faults.append(f"utterances {sign}: {describe_ids(ids)}")
    return faults
