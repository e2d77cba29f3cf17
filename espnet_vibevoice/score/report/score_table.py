"""The figures of a set as a page shows them: the main ones large, then the table."""

from collections.abc import Mapping, Sequence

from espnet_vibevoice.score.columns import (
    COUNTS,
    SYSTEMS,
    find_direction,
)
from espnet_vibevoice.score.report.markup import Markup, element
from espnet_vibevoice.score.table import (
    NO_VALUE,
    format_interval,
    format_value,
    name_measure,
)

Summary = Mapping[str, Mapping[str, Mapping]]
_UNITS = {"char": "characters", "word": "words"}
_KINDS = {
    "reference": "in the texts",
    "substitutions": "substituted",
    "insertions": "inserted",
    "deletions": "deleted",
}
_LEGEND = (
    "{count} utterances; n where a figure has fewer. Small: 95 % interval, from "
    "drawing the utterances anew (of failures: Wilson's). Arrows point to the better "
    "side."
)


def build_headline(summary: Summary) -> Markup:
    """Show the character error rate of each system, large, its interval below."""
    figures = summary.get("cer", {})
    tiles = [
        element("div", *_fill_tile(summary, system), class_=f"tile {system}")
        for system in SYSTEMS
        if system in figures
    ]
    note = element("span", "95 % interval below", class_="small")
    caption = element("h2", "Character error rate ", note)
    return element("section", caption, element("dl", *tiles, class_="tiles"))


def _fill_tile(summary: Summary, system: str) -> list[Markup]:
    figure = summary["cer"][system]
    name = element("dt", system)
    if figure["value"] is None:
        value = element("dd", NO_VALUE, class_="value")
        return [name, value, element("dd", figure["reason"], class_="small")]
    number = format_value("cer", figure["value"])
    interval = format_interval("cer", figure)
    told = [] if interval == NO_VALUE else [interval]
    words = summary.get("wer", {}).get(system)
    if words is not None and words["value"] is not None:
        told.append(f"WER {format_value('wer', words['value'])} %")
    value = element("dd", number, element("span", " %", class_="unit"), class_="value")
    return [name, value, *(element("dd", text, class_="small") for text in told)]


def build_score_table(summary: Summary, names: Sequence[str] = SYSTEMS) -> Markup:
    """Show every measure for every system, with intervals and reasons.

    Args:
        summary (Mapping): Measure to system to figure, as in ``summary.json``.
        names (Sequence[str]): Systems, in the order of the columns.
    """
    systems = [s for s in names if any(s in row for row in summary.values())]
    figures = [figure for row in summary.values() for figure in row.values()]
    count = max((figure["n"] for figure in figures), default=0)
    notes: list[str] = []
    rows = []
    for label, measures in _arrange(summary):
        cells = [_build_cell(summary, measures, s, count, notes) for s in systems]
        rows.append(element("tr", element("th", label, scope="row"), *cells))
    heads = [element("th", name, scope="col") for name in ("measure", *systems)]
    parts = [
        element("h2", "All measures"),
        _build_scrolled(heads, rows, is_wide=len(systems) > len(SYSTEMS)),
        element("p", _LEGEND.format(count=count), class_="small"),
    ]
    if notes:
        parts.append(_build_notes(notes))
    return element("section", *parts)


def build_table(rows: Sequence[Sequence[str]]) -> Markup:
    """Show plain cells; the first row is the head, the first column names rows."""
    heads = [element("th", cell, scope="col") for cell in rows[0]]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell) for cell in row[1:]),
        )
        for row in rows[1:]
    ]
    return _build_scrolled(heads, body)


def _build_scrolled(
    heads: Sequence[Markup], rows: Sequence[Markup], is_wide: bool = False
) -> Markup:
    """A table that scrolls in a box of its own where the screen is narrow."""
    head = element("thead", element("tr", *heads))
    kind = "scores wide" if is_wide else "scores"
    table = element("table", head, element("tbody", *rows), class_=kind)
    return element(
        "div", table, class_="scroll", tabindex="0", role="region", aria_label="Scores"
    )


def _arrange(summary: Summary) -> list[tuple[Markup, list[str]]]:
    """Titles of rows and their measures; counts of one unit share a row."""
    rows: list[tuple[Markup, list[str]]] = []
    done: set[str] = set()
    for measure in summary:
        if measure not in COUNTS:
            title = element("span", name_measure(measure), _point(measure))
            rows.append((title, [measure]))
            continue
        unit = measure.split("_")[0]
        if unit not in done:
            done.add(unit)
            kinds = [kind for kind in _KINDS if f"{unit}_{kind}" in summary]
            title = f"{_UNITS[unit]}: {' / '.join(_KINDS[kind] for kind in kinds)}"
            measures = [f"{unit}_{kind}" for kind in kinds]
            rows.append((element("span", title), measures))
    return rows


def _point(measure: str) -> Markup:
    """An arrow to the better side, where there is one."""
    direction = find_direction(measure)
    if direction == 0:
        return Markup()
    if direction < 0:
        arrow = element("span", "\u2193", class_="aim", title="lower is better")
    else:
        arrow = element("span", "\u2191", class_="aim", title="higher is better")
    return Markup("\u00a0" + arrow)  # NO-BREAK SPACE


def _build_cell(
    summary: Summary, measures: list[str], system: str, count: int, notes: list[str]
) -> Markup:
    figures = [summary.get(measure, {}).get(system) for measure in measures]
    first = figures[0]
    if first is None:
        return element("td", NO_VALUE)
    if first["value"] is None:
        if first["reason"] not in notes:
            notes.append(first["reason"])
        number = str(notes.index(first["reason"]) + 1)
        return element("td", NO_VALUE, element("sup", number), title=first["reason"])
    values = [
        format_value(measure, figure["value"] if figure else None)
        for measure, figure in zip(measures, figures, strict=True)
    ]
    interval = format_interval(measures[0], first)
    small = [element("small", interval)] if interval != NO_VALUE else []
    if first["n"] < count:
        small.append(element("small", f"n = {first['n']}", class_="n"))
    return element("td", " / ".join(values), " ", *small)


def _build_notes(notes: Sequence[str]) -> Markup:
    items = [
        element("li", element("sup", str(number)), " ", note)
        for number, note in enumerate(notes, start=1)
    ]
    return element("ul", *items, class_="notes small")
