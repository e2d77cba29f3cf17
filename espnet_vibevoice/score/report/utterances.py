"""The part of a page that belongs to one utterance: its text, its recordings.

Each recording is a clip: a button, a strip of its mel spectrogram that shows where one
is and can be clicked, and what was recognised in it.
"""

from collections.abc import Iterable, Mapping, Sequence

from espnet_vibevoice.data.audio import AudioError
from espnet_vibevoice.score.report.clips import Clip, make_clip
from espnet_vibevoice.score.report.differences import mark_hypothesis, mark_reference
from espnet_vibevoice.score.report.markup import Markup, element, join
from espnet_vibevoice.score.report.page import make_data_url
from espnet_vibevoice.score.table import format_value

Row = Mapping[str, str]
_TICKS = (1, 2, 5, 10)  # seconds between two lines; at most 15 of them
PLAY_ICON = Markup(
    '<svg viewBox="0 0 24 24" aria-hidden="true">'
    '<path class="to-play" d="M8 5v14l11-7z"/>'
    '<path class="to-pause" d="M7 5h4v14H7zM13 5h4v14h-4z"/></svg>'
)


def build_utterance(
    rows: Mapping[str, Row],
    number: int,
    *,
    main: Row,
    tags: Sequence[str] = (),
    is_marked: bool = True,
    keys: Mapping[str, str] | None = None,
) -> Markup:
    """Show one utterance: its text and its recordings below one another.

    Args:
        rows (Mapping): Title of a recording to its row of ``utterances.tsv``.
        number (int): Place of the utterance in the set, from 1.
        main (Row): The row whose text, error rate and duration stand for all.
        tags (Sequence[str]): Remarks beside the id, besides faults.
        is_marked (bool): Mark in the text what was heard otherwise in ``main``.
        keys (Mapping | None): More values to sort by, name to number or empty.
    """
    faults = list_faults(rows.values())
    labels = [element("span", fault, class_="tag fault") for fault in faults]
    labels += [element("span", tag, class_="tag") for tag in tags]
    head = element(
        "header",
        element("h3", main["utterance"]),
        element("span", main["speaker"], class_="small"),
        *labels,
        element("span", _tell_rate(main, "cer") if is_marked else "", class_="rate"),
    )
    values = {"cer": main["cer"], "seconds": main["seconds"], **(keys or {})}
    return element(
        "article",
        head,
        build_reference(main, is_marked),
        *build_clips(rows),
        class_="utterance",
        data_id=main["utterance"],
        data_order=number,
        data_faults=" ".join(faults),
        **{f"data_{name}": value for name, value in values.items()},
    )


def list_faults(rows: Iterable[Row]) -> list[str]:
    """Faults of any of the recordings, each once."""
    found = [fault for row in rows for fault in row["faults"].split(",") if fault]
    return list(dict.fromkeys(found))


def build_reference(row: Row, is_marked: bool) -> Markup:
    """Show what was to be said; marked where a recogniser heard otherwise."""
    if not row["reference"]:
        return element("p", row["reason"] or "no reference text", class_="small")
    text = row["reference"]
    if is_marked and row["cer"] and row["hypothesis"]:
        text = mark_reference(row["reference"], row["hypothesis"])
    return element("p", text, class_="reference", dir="rtl", lang="fa")


def build_clips(rows: Mapping[str, Row]) -> list[Markup]:
    """Show the recordings of one sentence, all on the same time axis.

    Args:
        rows (Mapping): Name of a system to its row.
    """
    clips = {name: _read_clip(row) for name, row in rows.items()}
    heard = [clip.heard_seconds for clip in clips.values() if isinstance(clip, Clip)]
    longest = max(heard, default=0.0)
    return [
        _build_missing(name, rows[name], clip)
        if isinstance(clip, str)
        else _build_clip(name, rows[name], clip, longest)
        for name, clip in clips.items()
    ]


def choose_tick(seconds: float) -> float:
    """Seconds between the lines of a time axis."""
    fitting = [tick for tick in _TICKS if seconds / tick <= 15]
    return fitting[0] if fitting else seconds / 10


def _read_clip(row: Row) -> Clip | str:
    """Make the clip of a row, or say why there is none."""
    if not row["wav"]:
        return row["reason"] or "no recording"
    try:
        return make_clip(row["wav"])
    except AudioError as err:
        return row["reason"] or str(err)


def _build_missing(name: str, row: Row, reason: str) -> Markup:
    line = element("p", element("b", name, class_="name"), _tell_facts(row))
    said = element("p", reason, class_="reason")
    return element("div", line, said, class_="clip missing")


def _build_clip(name: str, row: Row, clip: Clip, longest: float) -> Markup:
    share = 100 * clip.heard_seconds / longest
    lines = longest / choose_tick(longest)
    facts = f"{clip.seconds:.2f} s"
    if clip.heard_seconds < clip.seconds:
        facts += f", the first {clip.heard_seconds:.0f} s here"
    picture = element(
        "img",
        src=make_data_url("image/jpeg", clip.picture),
        alt="",
        loading="lazy",
        decoding="async",
        style=f"width:{share:.2f}%",
    )
    strip = element(
        "div",
        picture,
        element("i", class_="place"),
        class_="strip",
        style=f"--share:{share / 100:.4f};--lines:{lines:.3f}",
        title="Mel spectrogram: click to listen from there",
    )
    return element(
        "div",
        element("button", PLAY_ICON, class_="play", type="button", aria_label=name),
        element(
            "p",
            element("b", name, class_="name"),
            element("span", facts, class_="small"),
            _tell_facts(row),
        ),
        strip,
        *_build_heard(row),
        element(
            "audio",
            src=make_data_url("audio/mpeg", clip.audio),
            preload="none",
            controls=True,
        ),
        class_="clip",
        data_name=name,
        data_seconds=f"{clip.heard_seconds:.3f}",
    )


def _build_heard(row: Row) -> Sequence[Markup]:
    """Show what was recognised, where something was asked for it."""
    if not row["cer"]:
        return []
    if not row["hypothesis"]:
        return [element("p", "nothing recognised", class_="reason")]
    marked = mark_hypothesis(row["reference"], row["hypothesis"])
    return [element("p", marked, class_="heard", dir="rtl", lang="fa")]


def _tell_facts(row: Row) -> Markup:
    told = [_tell_rate(row, rate) for rate in ("cer", "wer") if row[rate]]
    return join(element("span", text, class_="small") for text in told)


def _tell_rate(row: Row, rate: str) -> str:
    if not row[rate]:
        return ""
    return f"{rate.upper()} {format_value(rate, float(row[rate]))} %"
