"""``RESULTS.md`` of an experiment, in the manner of ESPnet's, updated in place.

Environments of the newest scoring, then a section for each decoding and set. Each
part of ours stands between two marks, which Markdown does not show; whatever stands
outside of them was written by somebody and stays.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.score.columns import COUNTS, FAILURE_RATES, RATES, SYSTEMS
from espnet_vibevoice.score.table import (
    format_figure,
    format_interval,
    format_markdown_table,
    format_value,
    has_value,
    name_measure,
)

TITLE = "# RESULTS\n"
_ENVIRONMENTS = "environments"
_SHARES = ("Corr", "Sub", "Del", "Ins", "Err")
_TELL_N = "With the 95 % interval. n: utterances with a value, where not all have one."
_DATE = re.compile(rf"<!-- begin {_ENVIRONMENTS}\b[^`]*- date: `([^`]*)`")
_VARIATIONS = {*RATES[2:], *COUNTS, *FAILURE_RATES[1:]}


def update_results(path: Path, meta: Mapping, summary: Mapping) -> bool:
    """Put the scores of one set and decoding into the file.

    Args:
        path (Path): ``RESULTS.md``; made if it is not there.
        meta (Mapping): As of `stored.StoredScores`.
        summary (Mapping): As of `stored.StoredScores`.

    Returns:
        bool: Whether the file changed.

    Raises:
        ValueError: A mark was damaged by hand: one of a pair is missing.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else TITLE
    if meta["date"] >= _find_date(text):  # sets are scored one after the other
        text = replace_part(text, _ENVIRONMENTS, describe_environments(meta), path)
    name = f"scores of {meta['decoding']}/{meta['set']}"
    return write_text(
        path, replace_part(text, name, describe_scores(meta, summary), path)
    )


def replace_part(text: str, name: str, content: str, path: Path) -> str:
    """Replace what stands between the marks of a name; append it if there are none.

    Raises:
        ValueError: Only one of the two marks is there, or one is there twice.
    """
    begin = f"<!-- begin {name}: each scoring writes this part anew -->\n"
    end = f"<!-- end {name} -->\n"
    # what a mark says behind the name is free
    mark = rf"<!-- begin {re.escape(name)}(?::[^\n]*)? -->\n"
    part = f"{begin}{content.rstrip()}\n{end}"
    counts = (len(re.findall(mark, text)), text.count(end))
    if counts == (0, 0):
        separator = "" if not text or text.endswith("\n\n") else "\n"
        return (
            f"{text}{separator}{part}" if text.endswith("\n") else f"{text}\n\n{part}"
        )
    pattern = re.compile(mark + ".*?" + re.escape(end), re.DOTALL)
    if counts != (1, 1) or not pattern.search(text):
        raise ValueError(
            f"{path}: want the marks {begin.strip()} and {end.strip()} once each and "
            f"in this order, got {counts[0]} and {counts[1]} of them. Remove what is "
            "left of them: the part is then written anew."
        )
    return pattern.sub(lambda _: part, text)


def _find_date(text: str) -> str:
    """Date of the environments in the file, which sorts as text; empty if none."""
    found = _DATE.search(text)
    return found.group(1) if found else ""


def describe_environments(meta: Mapping) -> str:
    """List date, versions and commit of the newest scoring."""
    versions = meta["versions"]
    commit = meta["git_commit"]
    rows = [
        f"- date: `{meta['date']}`",
        f"- python version: `{versions['python']}`",
        f"- espnet version: `espnet {versions['espnet']}`",
        f"- pytorch version: `pytorch {versions['torch']}`",
        f"- transformers version: `{versions['transformers']}`",
        f"- espnet_vibevoice version: `{versions['espnet_vibevoice']}`",
        f"- Git hash: `{commit['hash'] if commit else 'none: not a Git checkout'}`",
    ]
    if commit:
        rows.append(f"  - Commit date: `{commit['date']}`")
    return "## Environments\n\n" + "\n".join(rows)


def describe_scores(meta: Mapping, summary: Mapping) -> str:
    """Write the section of one set: error rates first, then all other measures."""
    lines = [f"## {meta['decoding']}, {meta['set']}", "", _tell_setting(meta), ""]
    for rate, unit in (("cer", "char"), ("wer", "word")):
        if has_value(summary, rate):
            lines += [f"### {name_measure(rate)}", ""]
            lines += [*_tabulate_rate(meta, summary, rate, unit), ""]
    others = [m for m in summary if m not in ("cer", "wer", *COUNTS)]
    shown = [m for m in others if has_value(summary, m)]
    if shown:
        lines += ["### Other measures", "", _TELL_N, ""]
        lines += [*_tabulate_others(meta, summary, shown), ""]
    lines += _list_reasons(summary)
    lines += ["Command:", "", "```sh", meta["command"], "```"]
    return "\n".join(lines)


def _tell_setting(meta: Mapping) -> str:
    """One sentence each: when and on what, recognisers, speed of decoding."""
    said = [f"Scored {meta['date']}: {meta['utterances']} utterances."]
    names = [f"{r['name']} ({r['kind']}, `{r['model']}`)" for r in meta["recognizers"]]
    said.append(f"Recogniser: {', '.join(names) if names else 'none'}.")
    if meta["real_time_factor"] is not None:
        said.append(f"Real-time factor of decoding: {meta['real_time_factor']:.3f}.")
    first_audio_sec = (meta["first_audio_sec"] or {}).get("median")
    if first_audio_sec is not None:
        said.append(f"First audio after {first_audio_sec:.3f} s (median).")
    return " ".join(said)


def _tabulate_rate(meta: Mapping, summary: Mapping, rate: str, unit: str) -> list[str]:
    """ESPnet's columns: units of the references, shares of them in percent."""
    name = {"char": "Chr", "word": "Wrd"}[unit]
    rows = [["dataset", "system", "Snt", name, *_SHARES, "95 % interval"]]
    for system in SYSTEMS:
        figure = summary[rate].get(system)
        if figure is None:
            continue
        total, *edits = (
            summary[f"{unit}_{kind}"][system]["value"]
            for kind in ("reference", "substitutions", "deletions", "insertions")
        )
        shares = [None] * 4
        if total:
            correct = total - edits[0] - edits[1]
            shares = [count / total for count in (correct, *edits)]
        cells = [format_value(rate, share) for share in (*shares, figure["value"])]
        counts = [str(figure["n"]), format_value(f"{unit}_reference", total)]
        interval = format_interval(rate, figure)
        rows.append([meta["set"], system, *counts, *cells, interval])
    return format_markdown_table(rows)


def _tabulate_others(meta: Mapping, summary: Mapping, measures: list[str]) -> list[str]:
    rows = [["measure", *SYSTEMS]]
    for measure in measures:
        cells = [
            _write_cell(measure, summary[measure].get(system), meta["utterances"])
            for system in SYSTEMS
        ]
        rows.append([name_measure(measure), *cells])
    return format_markdown_table(rows)


def _write_cell(measure: str, figure: Mapping | None, utterances: int) -> str:
    text = format_figure(measure, figure)
    is_partial = figure is not None and 0 < figure["n"] < utterances
    return f"{text}, n {figure['n']}" if is_partial else text


def _list_reasons(summary: Mapping) -> list[str]:
    """Say once for each reason which measures of which systems lack a value.

    Measures that only vary another one (ZWNJ, kinds of edits) are left out.
    """
    lacking: dict[tuple[str, str], list[str]] = {}
    for measure, systems in summary.items():
        if measure in _VARIATIONS:
            continue
        without = {s: f["reason"] for s, f in systems.items() if f["value"] is None}
        for reason in dict.fromkeys(without.values()):
            names = ", ".join(s for s in without if without[s] == reason)
            lacking.setdefault((reason, names), []).append(name_measure(measure))
    if not lacking:
        return []
    rows = [
        f"- {', '.join(measures)} of {systems}: {reason}"
        for (reason, systems), measures in lacking.items()
    ]
    return ["Without a value:", "", *rows, ""]
