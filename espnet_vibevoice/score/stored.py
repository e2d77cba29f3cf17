"""A scored set on disk: `utterances.tsv`, `summary.json` and `meta.json`.

The figures of a set are a folder that anyone can read again: rows as text, so that
nothing is rounded twice; the summary as numbers; and what was scored, with what.
`meta.json` is written last: a folder that has it is whole.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.files import write_lines, write_text
from espnet_vibevoice.data.kaldi import iterate_lines
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.score.columns import COLUMNS, STATUSES, SYSTEMS

UTTERANCES = "utterances.tsv"
SUMMARY = "summary.json"
META = "meta.json"


@dataclass(frozen=True)
class StoredScores:
    """What scoring found of one set.

    Attributes:
        meta (dict): What was scored, with what, when; see `score.meta`.
        summary (dict): Measure to system to ``value``, ``low``, ``high`` (float or
            None), ``n`` (int) and, where there is no value, ``reason`` (str).
        rows (list[dict[str, str]]): One for each utterance and system, column to
            text; an empty text is no value.
    """

    meta: dict
    summary: dict
    rows: list[dict[str, str]]


def read_scores(score_dir: str | Path) -> StoredScores:
    """Read what `write_scores` wrote.

    Args:
        score_dir (str | Path): Folder of the scores, ``.../SET/score``.

    Raises:
        FileNotFoundError: A file is missing; says how to score.
        ValueError: A file is not what `write_scores` writes, with file and line.
    """
    folder = Path(score_dir)
    missing = [n for n in (UTTERANCES, SUMMARY, META) if not (folder / n).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} has no {', '.join(missing)}: it is no folder of scores, or "
            "scoring has not finished. Score the set first: run.sh --stage 7 "
            "--stop-stage 7."
        )
    return StoredScores(
        read_json(folder / META),
        read_summary(folder / SUMMARY),
        list(iterate_rows(folder / UTTERANCES)),
    )


def write_scores(
    score_dir: str | Path,
    *,
    meta: Mapping[str, object],
    summary: Mapping[str, Mapping[str, Mapping[str, object]]],
    rows: Iterable[Mapping[str, str]],
    more_columns: Sequence[str] = (),
) -> None:
    """Write a scored set; each file whole or not at all, `meta.json` last.

    Args:
        score_dir (str | Path): Folder; created.
        meta (Mapping): As in `StoredScores`.
        summary (Mapping): As in `StoredScores`.
        rows (Iterable): As in `StoredScores`; columns that a row lacks are empty.
            Written as they come.
        more_columns (Sequence[str]): Columns behind `columns.COLUMNS`.

    Raises:
        ValueError: A figure or a row that `read_scores` would refuse.
    """
    folder = Path(score_dir)
    check_summary(summary, folder / SUMMARY)
    (folder / META).unlink(missing_ok=True)
    write_rows(folder / UTTERANCES, rows, more_columns)
    write_figures(folder, summary, meta)


def write_figures(
    folder: Path, summary: Mapping[str, Mapping], meta: Mapping[str, object]
) -> None:
    """Write summary and then meta beside rows that are there; see `write_scores`."""
    check_summary(summary, folder / SUMMARY)
    write_json(folder / SUMMARY, summary)
    write_json(folder / META, meta)


def write_rows(
    path: Path, rows: Iterable[Mapping[str, str]], more_columns: Sequence[str] = ()
) -> None:
    """Write ``utterances.tsv`` row by row; see `write_scores`."""
    columns = [*COLUMNS, *more_columns]
    write_lines(path, _format_rows(path, rows, columns))


def iterate_rows(path: str | Path) -> Iterator[dict[str, str]]:
    """Give the rows of ``utterances.tsv`` one after the other.

    Raises:
        ValueError: Another header, another number of columns, an unknown system or
            status, or the same utterance and system twice; with file and line.
    """
    lines = iterate_lines(path)
    columns = next(lines, "").split("\t")
    if columns[: len(COLUMNS)] != list(COLUMNS) or len(set(columns)) < len(columns):
        raise ValueError(
            f"{path}:1: want the columns {', '.join(COLUMNS)} and any others behind "
            f"them, got {', '.join(columns)}. Score the set again (stage 7)."
        )
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, start=2):
        fields = line.split("\t")
        if len(fields) != len(columns):
            raise ValueError(
                f"{path}:{number}: want {len(columns)} columns, got {len(fields)}. "
                "Score the set again (stage 7)."
            )
        row = dict(zip(columns, fields, strict=True))
        _check_row(f"{path}:{number}", row)
        key = (row["utterance"], row["system"])
        if key in seen:
            raise ValueError(f"{path}:{number}: {key[0]}, {key[1]} is there twice.")
        seen.add(key)
        yield row


def read_summary(path: str | Path) -> dict:
    """Read ``summary.json``.

    Raises:
        ValueError: Not JSON, or a figure is not of the form of `StoredScores`.
    """
    summary = read_json(Path(path))
    check_summary(summary, path)
    return summary


def check_summary(summary: Mapping, path: str | Path) -> None:
    """Refuse figures that are not of the form of `StoredScores`, all at once.

    Raises:
        ValueError: With the measures and systems at fault.
    """
    faults = []
    for measure, systems in summary.items():
        if not isinstance(systems, Mapping):
            faults.append(f"{measure}: got {systems!r}, want system to figure")
            continue
        for system, figure in systems.items():
            fault = _find_fault(system, figure)
            if fault:
                faults.append(f"{measure}, {system}: {fault}")
    if faults:
        raise ValueError(
            f"{path}: {summarize_faults(faults)}. Score the set again (stage 7)."
        )


def write_json(path: Path, content: Mapping) -> bool:
    """Write a mapping as JSON, in its own order, atomically.

    Returns:
        bool: Whether the file was written; one that holds this already is not.

    Raises:
        ValueError: NaN or an infinite number, which JSON has not.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")


def read_json(path: Path) -> dict:
    """Read a JSON object.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Not JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(
            f"{path}: not JSON ({err}). Score the set again (stage 7)."
        ) from err
    if not isinstance(content, dict):
        raise ValueError(f"{path}: want a JSON object, got {type(content).__name__}.")
    return content


def _find_fault(system: str, figure: object) -> str:
    """Say what is wrong with one figure; empty if it is fine."""
    if system not in SYSTEMS:
        return f"the system must be one of {', '.join(SYSTEMS)}"
    if not isinstance(figure, Mapping) or not figure.keys() >= {
        "value",
        "low",
        "high",
        "n",
    }:
        return f"want value, low, high and n, got {figure!r}"
    numbers = [figure[name] for name in ("value", "low", "high")]
    if not all(number is None or _is_number(number) for number in numbers):
        return f"value, low and high must be numbers or null, got {numbers}"
    if type(figure["n"]) is not int or figure["n"] < 0:
        return f"n must be a count, got {figure['n']!r}"
    if figure["value"] is None and not isinstance(figure.get("reason"), str):
        return "no value and no reason for it"
    return ""


def _is_number(value: object) -> bool:
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def _check_row(where: str, row: Mapping[str, str]) -> None:
    for column, choices in (("system", SYSTEMS), ("status", STATUSES)):
        if row[column] not in choices:
            raise ValueError(
                f"{where}: {column} must be one of {', '.join(choices)}, got "
                f"{row[column]!r}. Score the set again (stage 7)."
            )


def _format_rows(
    path: Path, rows: Iterable[Mapping[str, str]], columns: Sequence[str]
) -> Iterator[str]:
    yield "\t".join(columns)
    for row in rows:
        _check_row(f"{path}, {row['utterance']}", row)
        unknown = sorted(row.keys() - set(columns))
        if unknown:
            raise ValueError(f"{path}, {row['utterance']}: no column for {unknown}.")
        # a tab or line end within a text is not told from the table's own
        yield "\t".join(" ".join(row.get(c, "").split()) for c in columns)
