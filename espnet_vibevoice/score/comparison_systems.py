"""Systems to compare: where their scores are, how they are called, whether they fit.

Two systems can be compared where the same ears judged them: the same recogniser and
the same normaliser, on utterances with the same texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.columns import SIMILARITY, SYNTHESIS, SYSTEMS
from espnet_vibevoice.score.stored import META, StoredScores, read_scores

_FOLDER = "score"
# Below a decode folder of a set, a decode folder, an experiment.
_PLACES = (_FOLDER, f"*/{_FOLDER}", f"*/*/{_FOLDER}")
_NAME_PARTS = 3  # experiment, decoding, set


@dataclass(frozen=True)
class ComparedSystem:
    """One side of a comparison.

    Attributes:
        name (str): Short name, unique among those compared.
        score_dir (Path): Folder of its scores.
        scores (StoredScores): What is there.
    """

    name: str
    score_dir: Path
    scores: StoredScores


@dataclass(frozen=True)
class Agreement:
    """What compared systems have in common.

    Attributes:
        utterances (tuple[str, ...]): Synthesised by all, with the same reference.
        recognizers (tuple[str, ...]): Names of recognisers that judged all.
        left_out (tuple[str, ...]): Measures taken with different models.
        notes (tuple[str, ...]): What is left out and why, for the reader.
    """

    utterances: tuple[str, ...]
    recognizers: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


def open_systems(
    folders: Sequence[Path], names: Sequence[str] | None, set_name: str | None
) -> list[ComparedSystem]:
    """Find and read the scores of systems.

    Args:
        folders (Sequence[Path]): Two or more; see :func:`find_score_dir`.
        names (Sequence[str] | None): One for each; None for what their paths differ
            in.
        set_name (str | None): Which set, where a folder has several.

    Raises:
        FileNotFoundError: A folder has no scores.
        ValueError: Fewer than two systems, one twice, an ambiguous folder, or names
            that do not fit.
    """
    if len(folders) < 2:
        raise ValueError(f"got {len(folders)} system, want two or more to compare.")
    found = [find_score_dir(folder, set_name) for folder in folders]
    twice = sorted({str(path) for path in found if found.count(path) > 1})
    if twice:
        raise ValueError(f"given more than once: {summarize_faults(twice)}.")
    chosen = _name_folders(found) if names is None else _check_names(names, len(found))
    return [
        ComparedSystem(name, path, read_scores(path))
        for name, path in zip(chosen, found, strict=True)
    ]


def find_score_dir(folder: Path, set_name: str | None = None) -> Path:
    """Find the scores that a folder stands for.

    Args:
        folder (Path): A scored set (``exp/TAG/DECODING/SET``), its ``score`` folder, a
            decode folder or an experiment with one scored set.
        set_name (str | None): Look at sets of this name only.

    Returns:
        Path: The folder ``score``, resolved.

    Raises:
        FileNotFoundError: No such folder, or no finished scores in it.
        ValueError: Several sets; lists them.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder. Give an experiment's.")
    folder = folder.resolve()
    if (folder / META).is_file():
        found = [folder]
    else:
        levels = (sorted(folder.glob(f"{place}/{META}")) for place in _PLACES)
        found = [path.parent for path in next(filter(None, levels), [])]
    if set_name is not None:
        found = [path for path in found if path.parent.name == set_name]
    if not found:
        of_set = f" of a set {set_name}" if set_name else ""
        raise FileNotFoundError(
            f"{folder}: no finished scores{of_set} (score/{META}) in it. Score the set "
            "first: run.sh --stage 7 --stop-stage 7."
        )
    if len(found) > 1:
        choices = [str(path.parent.relative_to(folder)) for path in found]
        raise ValueError(
            f"{folder} has {len(found)} scored sets: {summarize_faults(choices)}. Give "
            "one of these folders, or --set where they differ in that alone."
        )
    return found[0]


def agree(systems: Sequence[ComparedSystem]) -> Agreement:
    """Check that systems can be compared, and on what.

    Raises:
        ValueError: Different normalisers or (first) recognisers, or not one utterance
            in common.
    """
    notes: list[str] = []
    _check_equal(systems, "normaliser", "normalizer")
    recognizers = _find_judges(systems, notes)
    left_out = []
    for key, measure in (("speaker_model", SIMILARITY), ("versa", "versa")):
        if any(s.scores.meta[key] != systems[0].scores.meta[key] for s in systems):
            notes.append(f"{measure} is left out: {key} is not the same for all.")
            left_out.append(measure)
    utterances = _find_common(systems, notes)
    return Agreement(utterances, recognizers, tuple(left_out), tuple(notes))


def group_rows(scores: StoredScores) -> dict[str, dict[str, dict[str, str]]]:
    """System to utterance to row."""
    grouped: dict[str, dict[str, dict[str, str]]] = {system: {} for system in SYSTEMS}
    for row in scores.rows:
        grouped[row["system"]][row["utterance"]] = row
    return grouped


def _name_folders(score_dirs: Sequence[Path]) -> list[str]:
    """Name systems after the parts in which their paths differ, as few as needed."""
    parts = [path.parent.parts for path in score_dirs]
    shortest = min(map(len, parts))
    names: list[str] = []
    for count in range(min(_NAME_PARTS, shortest), shortest + 1):
        places = list(zip(*(part[-count:] for part in parts), strict=True))
        differing = [place for place in places if len(set(place)) > 1]
        names = ["/".join(found) for found in zip(*differing, strict=True)]
        if len(set(names)) == len(parts):
            return names
    return [str(path.parent) for path in score_dirs]


def _check_names(names: Sequence[str], count: int) -> list[str]:
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"--names: got {', '.join(names)}; want {count} different ones, one for "
            "each system."
        )
    bad = [n for n in names if n in SYSTEMS or not n.strip() or "\t" in n or "\n" in n]
    if bad:
        raise ValueError(
            f"--names: got {bad[0]!r}; want names that are not empty, without tabs, "
            f"and none of {', '.join(SYSTEMS)}."
        )
    return list(names)


def _find_judges(
    systems: Sequence[ComparedSystem], notes: list[str]
) -> tuple[str, ...]:
    """List recognisers that judged all, the first one first; note the others."""
    judges = [
        {
            spec["name"]: {key: value for key, value in spec.items() if key != "name"}
            for spec in system.scores.meta["recognizers"]
        }
        for system in systems
    ]
    first = [next(iter(known.values()), None) for known in judges]
    if any(spec != first[0] for spec in first):
        _refuse(systems, "recogniser", [str(spec) for spec in first])
    names = list(judges[0])
    shared = [
        name
        for name in names[1:]
        if all(known.get(name) == judges[0][name] for known in judges)
    ]
    firsts = {next(iter(known), None) for known in judges}
    others = {name for known in judges for name in known} - firsts - set(shared)
    if others:
        notes.append(
            f"Recognisers that did not judge all: {', '.join(sorted(others))}."
        )
    return (*names[:1], *shared)


def _check_equal(systems: Sequence[ComparedSystem], title: str, key: str) -> None:
    values = [system.scores.meta[key] for system in systems]
    if any(value != values[0] for value in values):
        _refuse(systems, title, [str(value) for value in values])


def _refuse(
    systems: Sequence[ComparedSystem], title: str, values: Sequence[str]
) -> None:
    told = [f"{s.name}: {value}" for s, value in zip(systems, values, strict=True)]
    raise ValueError(
        f"not scored with the same {title}, so the error rates tell nothing about the "
        f"systems: {summarize_faults(told)}. Score them alike (stage 7 of each)."
    )


def _find_common(
    systems: Sequence[ComparedSystem], notes: list[str]
) -> tuple[str, ...]:
    """List utterances that all have, with one reference; note what is left out."""
    spoken: list[Mapping[str, str]] = [
        {
            utterance: row["reference"]
            for utterance, row in group_rows(system.scores)[SYNTHESIS].items()
        }
        for system in systems
    ]
    in_all = [u for u in spoken[0] if all(u in known for known in spoken)]
    common = [u for u in in_all if len({known[u] for known in spoken}) == 1]
    for system, known in zip(systems, spoken, strict=True):
        others = [utterance for utterance in known if utterance not in set(in_all)]
        if others:
            notes.append(
                f"{len(others)} of {len(known)} utterances of {system.name} are not in "
                f"all systems: {summarize_faults(others, 5)}."
            )
    changed = [utterance for utterance in in_all if utterance not in set(common)]
    if changed:
        notes.append(
            f"{len(changed)} utterances have different references and are left out: "
            f"{summarize_faults(changed, 5)}."
        )
    if not common:
        told = [f"{s.name} {len(k)}" for s, k in zip(systems, spoken, strict=True)]
        raise ValueError(
            f"no utterance with the same text in common ({', '.join(told)}). Compare "
            "systems that were decoded on the same set."
        )
    return tuple(common)
