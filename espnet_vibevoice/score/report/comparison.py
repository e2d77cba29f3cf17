"""The page of several systems: one table, all recordings, and a blind comparison.

Who votes hears two systems under the names A and B, in an order and on sides drawn
from the seed and the listener's name, and learns at the end which was which.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from espnet_vibevoice.score.columns import NATURAL, RESYNTHESIS, SYNTHESIS
from espnet_vibevoice.score.report.listening import (
    build_legend,
    build_tools,
    build_top,
    group_rows,
)
from espnet_vibevoice.score.report.markup import Markup, element
from espnet_vibevoice.score.report.page import write_page
from espnet_vibevoice.score.report.score_table import build_score_table, build_table
from espnet_vibevoice.score.report.selection import Selection, select_by_chance
from espnet_vibevoice.score.report.utterances import PLAY_ICON, Row, build_utterance
from espnet_vibevoice.score.stored import StoredScores

_CEILINGS = (NATURAL, RESYNTHESIS)
_VOTES = (
    ("A", "A better", "1"),
    ("same", "same", "0"),
    ("B", "B better", "2"),
)


def write_comparison_page(
    systems: Sequence[tuple[str, StoredScores]],
    out: str | Path,
    *,
    max_utts: int,
    table: Sequence[Sequence[str]] = (),
    seed: int = 0,
) -> Selection:
    """Write the page on which several systems are heard: one HTML file.

    Args:
        systems (Sequence): Name and scores of each; utterances that one of them lacks
            are left out. Their summaries make the first table.
        out (str | Path): HTML file.
        max_utts (int): Utterances at most, drawn by chance: a choice by the scores of
            one system would favour another.
        table (Sequence): A second table, e.g. of differences: rows of cells as the
            reader sees them, the first one the head; empty for none.
        seed (int): Of that draw, and of order and sides of the blind comparison.

    Returns:
        Selection: The utterances on the page.

    Raises:
        ValueError: Fewer than two systems, names that are not unique, no common
            utterance, or max_utts below 0.
    """
    names = [name for name, _ in systems]
    if len(systems) < 2 or len({*names, *_CEILINGS}) < len(names) + 2:
        raise ValueError(
            f"systems: got {', '.join(names) or 'none'}; want two or more, with names "
            f"of their own, none of them {' or '.join(_CEILINGS)}."
        )
    if max_utts < 0:
        raise ValueError(f"max_utts: got {max_utts}, want 0 or more.")
    utterances = join_systems(systems)
    if not utterances:
        raise ValueError(
            f"{', '.join(names)} have no utterance in common: score them on one set."
        )
    selection = select_by_chance(list(utterances), max_utts, seed)
    title = f"Comparison: {', '.join(names)}"
    body = _iterate_body(systems, table, utterances, selection, seed)
    scripts = ["player.js", "listening.js", "comparison.js"]
    write_page(Path(out), title, scripts, body)
    return selection


def join_systems(
    systems: Sequence[tuple[str, StoredScores]],
) -> dict[str, dict[str, Row]]:
    """Utterance to the natural row and the synthesis of each system, by name.

    Utterances without a synthesis row in one of the systems are left out.
    """
    grouped = [(name, group_rows(scores.rows)) for name, scores in systems]
    joined = {}
    for utterance, first in grouped[0][1].items():
        found = {NATURAL: first[NATURAL]} if NATURAL in first else {}
        for name, rows in grouped:
            if SYNTHESIS in rows.get(utterance, {}):
                found[name] = rows[utterance][SYNTHESIS]
        if all(name in found for name, _ in systems):
            joined[utterance] = found
    return joined


def join_summaries(
    systems: Sequence[tuple[str, StoredScores]],
) -> dict[str, dict[str, Mapping]]:
    """Measure to the ceilings of the first system and the synthesis of each."""
    first = systems[0][1].summary
    measures = {m: None for _, scores in systems for m in scores.summary}
    joined: dict[str, dict[str, Mapping]] = {}
    for measure in measures:
        ceilings = first.get(measure, {})
        found = {name: ceilings[name] for name in _CEILINGS if name in ceilings}
        for name, scores in systems:
            if SYNTHESIS in scores.summary.get(measure, {}):
                found[name] = scores.summary[measure][SYNTHESIS]
        joined[measure] = found
    return joined


def _iterate_body(
    systems: Sequence[tuple[str, StoredScores]],
    table: Sequence[Sequence[str]],
    utterances: Mapping[str, Mapping[str, Row]],
    selection: Selection,
    seed: int,
) -> Iterator[Markup]:
    names = [name for name, _ in systems]
    meta = systems[0][1].meta
    told = f"{meta['set']}: {len(utterances)} utterances that all systems have"
    yield build_top("Comparison", " \u00b7 ".join(names), told)  # MIDDLE DOT
    yield Markup("<main>")
    yield _build_blind(names, selection, seed)
    columns = [NATURAL, RESYNTHESIS, *names]
    yield build_score_table(join_summaries(systems), columns)
    if table:
        yield element("section", element("h2", "Differences"), build_table(table))
    yield element("h2", "Utterances")
    yield element("p", selection.describe())
    yield build_legend()
    orders = {"order": "place in set", "id": "id"}
    orders |= {f"cer{i}": f"CER of {name}" for i, name in enumerate(names)}
    yield build_tools({**orders, "seconds": "duration", "faults": "faults"})
    yield Markup('<div id="list">')
    for number, (utterance, rows) in enumerate(utterances.items(), start=1):
        if utterance in selection.groups:
            keys = {f"cer{i}": rows[name]["cer"] for i, name in enumerate(names)}
            main = rows[names[0]]
            yield build_utterance(rows, number, main=main, is_marked=False, keys=keys)
    yield Markup("</div>")
    yield element("p", "No utterance has this fault.", id="none", hidden=True)
    yield Markup("</main>")


def _build_blind(names: Sequence[str], selection: Selection, seed: int) -> Markup:
    """The blind comparison: choice of systems, the trial, and the result."""
    content = "\n".join([str(seed), *names, *selection.groups])
    return element(
        "section",
        element("h2", "Blind comparison"),
        _build_setup(names),
        _build_trial(),
        _build_end(),
        id="blind",
        class_="blind",
        data_seed=seed,
        data_page=hashlib.sha256(content.encode("utf-8")).hexdigest()[:16],
    )


def _build_end() -> Markup:
    buttons = (
        element("button", "Download the votes", type="button", class_="save primary"),
        element("button", "Close", type="button", class_="stop"),
        element("button", "Discard them, start over", type="button", id="restart"),
    )
    return element(
        "div",
        element("h3", "Which was which"),
        element("p", "", id="result"),
        element("div", id="reveal", class_="scroll", tabindex="0"),
        element("p", *buttons, class_="rest"),
        id="end",
        class_="trial",
        hidden=True,
    )


def _build_setup(names: Sequence[str]) -> Markup:
    choices = [*names, NATURAL]
    selects = [
        _build_choice(title, f"system_{letter}", choices, names[index])
        for index, (letter, title) in enumerate(
            (("a", "First system"), ("b", "Second system"))
        )
    ]
    told = (
        "Two recordings of each sentence, without names, in an order drawn by chance. "
        "Listen to both, then vote. One may stop at any time and go on later in the "
        "same browser; nothing leaves this page but the file that you download."
    )
    listener = element(
        "label",
        "Your name or a number",
        element("input", id="listener", autocomplete="off", maxlength="60"),
    )
    start = element("button", "Start", class_="primary", type="submit")
    return Markup(
        element("p", told, class_="intro")
        + element("form", *selects, listener, start, class_="setup", id="setup")
        + element("p", "", id="trouble", class_="small", role="status")
    )


def _build_choice(title: str, name: str, choices: Sequence[str], chosen: str) -> Markup:
    options = [
        element("option", choice, value=choice, selected=choice == chosen)
        for choice in choices
    ]
    return element("label", title, element("select", *options, id=name))


def _build_trial() -> Markup:
    buttons = (
        element("button", "Undo the last vote", type="button", id="undo"),
        element("button", "Stop here", type="button", class_="stop"),
        element("button", "Download the votes", type="button", class_="save"),
    )
    return element(
        "div",
        element("output", "", id="progress", class_="small"),
        element("div", element("i"), class_="bar"),
        element("p", "", class_="reference", dir="rtl", lang="fa"),
        element("div", *map(_build_side, ("A", "B")), class_="sides"),
        element("div", *map(_build_vote, _VOTES), class_="votes"),
        element("p", "Listen to both, then vote.", id="hint", class_="small"),
        element("p", *buttons, class_="rest"),
        element(
            "p",
            "Keys: space or \u2190 \u2192 play A and B; 1, 2, 0 vote.",
            class_="small keys",
        ),
        id="trial",
        class_="trial",
        hidden=True,
    )


def _build_side(side: str) -> Markup:
    """One of the two players; its recording is set by the script."""
    return element(
        "div",
        element("button", PLAY_ICON, class_="play", type="button", aria_label=side),
        element("b", side, class_="name"),
        element("span", element("i"), class_="track"),
        element("audio", preload="none"),
        class_="clip",
        data_side=side,
        data_seconds="0",
    )


def _build_vote(vote: tuple[str, str, str]) -> Markup:
    choice, text, key = vote
    return element(
        "button",
        f"{text} ",
        element("kbd", key),
        type="button",
        data_vote=choice,
        disabled=True,
    )
