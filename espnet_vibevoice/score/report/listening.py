"""The listening report of a scored set: its figures, and utterances to hear."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from espnet_vibevoice.score.columns import FAULTS, SYNTHESIS, SYSTEMS
from espnet_vibevoice.score.report.curves import build_curves, read_curves
from espnet_vibevoice.score.report.markup import Markup, element
from espnet_vibevoice.score.report.page import write_page
from espnet_vibevoice.score.report.score_table import (
    build_headline,
    build_score_table,
)
from espnet_vibevoice.score.report.selection import Selection, select_by_error
from espnet_vibevoice.score.report.utterances import Row, build_utterance
from espnet_vibevoice.score.stored import StoredScores, read_scores

_ORDERS = {
    "cer": "CER",
    "order": "place in set",
    "id": "id",
    "seconds": "duration",
    "faults": "faults",
}


def write_report(
    score_dir: str | Path,
    out: str | Path,
    max_utts: int,
    experiment_dir: str | Path | None = None,
) -> Selection:
    """Write the listening report of a scored set: one HTML file, audio included.

    Args:
        score_dir (str | Path): Folder of the scores.
        out (str | Path): HTML file.
        max_utts (int): Utterances to hear at most; about 0.2 MB each at 5 seconds.
        experiment_dir (str | Path | None): Folder of the training, for its curves.

    Returns:
        Selection: The utterances on the page.

    Raises:
        FileNotFoundError: There are no scores.
        ValueError: The scores are damaged, or max_utts is below 0.
    """
    if max_utts < 0:
        raise ValueError(f"max_utts: got {max_utts}, want 0 or more.")
    scores = read_scores(score_dir)
    utterances = group_rows(scores.rows)
    rates = {
        utterance: read_number(rows.get(SYNTHESIS, {}).get("cer", ""))
        for utterance, rows in utterances.items()
    }
    selection = select_by_error(rates, max_utts)
    curves = Markup() if experiment_dir is None else show_training(experiment_dir)
    title = f"{scores.meta['experiment']}: listening report, {scores.meta['set']}"
    body = _iterate_body(scores, curves, utterances, selection)
    write_page(Path(out), title, ["player.js", "listening.js"], body)
    return selection


def show_training(experiment_dir: str | Path) -> Markup:
    """Make the section of the training curves, or say why there are none."""
    try:
        return build_curves(read_curves(Path(experiment_dir)))
    except FileNotFoundError as err:
        reason = element("p", str(err), class_="reason")
        return element("section", element("h2", "Training"), reason)


def group_rows(rows: list[dict[str, str]]) -> dict[str, dict[str, Row]]:
    """Utterance to system to row, systems in their order."""
    utterances: dict[str, dict[str, Row]] = {}
    for row in rows:
        utterances.setdefault(row["utterance"], {})[row["system"]] = row
    return {
        utterance: {system: found[system] for system in SYSTEMS if system in found}
        for utterance, found in utterances.items()
    }


def read_number(cell: str) -> float | None:
    """Read a cell of a table; an empty one is None."""
    return float(cell) if cell else None


def build_meta(meta: Mapping) -> Markup:
    """Show with what a set was scored, folded up."""
    rows = [
        part
        for name, value in flatten(meta)
        for part in (element("dt", name), element("dd", value))
    ]
    return element(
        "details",
        element("summary", "How this was scored: command, recognisers, versions"),
        element("dl", *rows, class_="meta"),
    )


def flatten(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Give nested values with their names joined by dots.

    Example:
        >>> list(flatten({"a": {"b": 1}, "c": [None]}))
        [('a.b', '1'), ('c.1', 'none')]
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flatten(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from flatten(inner, f"{name}.{number}")
    else:
        yield name, "none" if value is None else str(value)


def _iterate_body(
    scores: StoredScores,
    curves: Markup,
    utterances: Mapping[str, Mapping[str, Row]],
    selection: Selection,
) -> Iterator[Markup]:
    meta = scores.meta
    yield build_top(
        "Listening report",
        meta["experiment"],
        f"{meta['set']}: {meta['utterances']} utterances, {meta['decoding']}, scored "
        f"{meta['date']}",
    )
    yield Markup("<main>")
    yield build_headline(scores.summary)
    yield build_score_table(scores.summary)
    yield curves
    yield build_meta(scores.meta)
    yield element("h2", "Utterances")
    yield element("p", selection.describe())
    yield build_legend()
    yield build_tools(_ORDERS)
    yield Markup('<div id="list">')
    for number, (utterance, rows) in enumerate(utterances.items(), start=1):
        if utterance in selection.groups:
            group = selection.groups[utterance]
            main = rows.get(SYNTHESIS, next(iter(rows.values())))
            tags = [f"{group} CER"] if group else []
            yield build_utterance(rows, number, main=main, tags=tags)
    yield Markup("</div>")
    yield element("p", "No utterance has this fault.", id="none", hidden=True)
    yield Markup("</main>")


def build_top(kind: str, title: str, told: str) -> Markup:
    """Make the head of a page: what it is, of what, and a line about it."""
    return element(
        "header",
        element("p", kind, class_="kicker"),
        element("h1", title),
        element("p", told, class_="small"),
        class_="top",
    )


def build_legend() -> Markup:
    """Explain the marks in the texts and the keys."""
    marks = element(
        "p",
        element("mark", "changed", class_="changed"),
        " heard as another word, ",
        element("ins", "extra"),
        " heard in addition, ",
        element("del", "missing"),
        " not heard; ",
        element("span", "\u200c", class_="zwnj"),
        " a zero-width non-joiner within a marked word.",
        class_="small legend",
    )
    keys = element(
        "p",
        "Keys: space plays and pauses, \u2191 \u2193 go to another utterance, "
        "\u2190 \u2192 to another recording of it.",
        class_="small keys",
    )
    pictures = element(
        "p",
        "Pictures: mel spectrograms on one time axis, a line each second (fewer lines "
        "where a recording is long). Click into one to listen from there.",
        class_="small",
    )
    return Markup(marks + pictures + keys)


def build_tools(names: Mapping[str, str]) -> Markup:
    """Make the bar that sorts and filters a list.

    Args:
        names (Mapping): What to sort by to its title; the first one is chosen.
    """
    orders = [element("option", text, value=name) for name, text in names.items()]
    faults = [element("option", "all", value="")]
    faults += [element("option", "any fault", value="any")]
    faults += [element("option", fault, value=fault) for fault in FAULTS]
    return element(
        "div",
        element("label", "Sort by ", element("select", *orders, id="order")),
        element(
            "button",
            "highest first",
            id="direction",
            type="button",
            aria_pressed="true",
        ),
        element("label", "Show ", element("select", *faults, id="filter")),
        element("output", "", id="count", class_="small"),
        class_="tools",
    )
