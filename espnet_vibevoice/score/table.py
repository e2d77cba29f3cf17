"""Figures as people read them: error rates in percent, with interval and unit.

Used by the table on the terminal and by RESULTS.md; `summary.json` keeps fractions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from espnet_vibevoice.score.columns import (
    COUNTS,
    FAILURE_RATES,
    RATES,
    SYSTEMS,
)

NO_VALUE = "-"
# What the small table on the terminal shows, in this order, where it has values.
MAIN_MEASURES = (
    "cer",
    "wer",
    "mcd",
    "log_f0_rmse",
    "duration_ratio",
    "silence_share",
    "speaker_similarity",
    "failure_rate",
)
_READINGS = {"_zwnj_merged": ", ZWNJ left out", "_zwnj_space": ", ZWNJ as space"}


@dataclass(frozen=True)
class _Form:
    """How a measure is written.

    Args:
        name (str): Title, with the unit.
        factor (float): From the stored to the shown value.
        digits (int): Behind the point.
    """

    name: str
    factor: float = 1.0
    digits: int = 3


_FORMS = {
    "mcd": _Form("MCD (dB)", digits=2),
    "log_f0_rmse": _Form("log-F0 RMSE"),
    "duration_ratio": _Form("duration ratio"),
    "silence_share": _Form("silence (%)", 100, 1),
    "speaker_similarity": _Form("speaker similarity"),
}


def name_measure(measure: str) -> str:
    """Write the title of a measure.

    Example:
        >>> name_measure("cer_zwnj_space")
        'CER (%), ZWNJ as space'
        >>> name_measure("wer@whisper")
        'WER (%), whisper'
    """
    return _find_form(measure).name


def format_value(measure: str, value: float | None) -> str:
    """Write one value, without its unit; ``-`` for none.

    Example:
        >>> format_value("cer", 0.0321)
        '3.21'
    """
    if value is None:
        return NO_VALUE
    form = _find_form(measure)
    return f"{value * form.factor:.{form.digits}f}"


def format_interval(measure: str, figure: Mapping) -> str:
    """Write the interval of a figure, e.g. ``2.80 to 3.60``; ``-`` for none."""
    if figure["low"] is None or figure["high"] is None:
        return NO_VALUE
    low, high = (format_value(measure, figure[end]) for end in ("low", "high"))
    return f"{low} to {high}"


def format_figure(measure: str, figure: Mapping | None) -> str:
    """Write value and interval, e.g. ``3.21 (2.80 to 3.60)``."""
    if figure is None:
        return NO_VALUE
    value, interval = (
        format_value(measure, figure["value"]),
        format_interval(measure, figure),
    )
    return value if interval == NO_VALUE else f"{value} ({interval})"


def format_terminal_table(summary: Mapping) -> list[str]:
    """Make the small table: systems in rows, the main measures in columns.

    Args:
        summary (Mapping): As of `stored.StoredScores`.
    """
    measures = [m for m in MAIN_MEASURES if has_value(summary, m)]
    head = ["", *(name_measure(measure) for measure in measures)]
    rows = [
        [
            system,
            *(
                format_value(m, summary[m].get(system, _NONE)["value"])
                for m in measures
            ),
        ]
        for system in SYSTEMS
    ]
    return align_columns([head, *rows])


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad cells to columns: the first one to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def format_markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Make a table in Markdown; the first row is its head."""
    lines = [
        "|" + "|".join(cell.replace("|", "\\|") for cell in row) + "|" for row in rows
    ]
    rule = "|---|" + "---:|" * (len(rows[0]) - 1)
    return [lines[0], rule, *lines[1:]]


_NONE: Mapping = {"value": None, "low": None, "high": None, "n": 0}


def has_value(summary: Mapping, measure: str) -> bool:
    """Tell whether any system has a value of a measure."""
    figures = summary.get(measure, {}).values()
    return any(figure["value"] is not None for figure in figures)


def _find_form(measure: str) -> _Form:
    base, _, recognizer = measure.partition("@")
    suffix = f", {recognizer}" if recognizer else ""
    if base in RATES:
        name, reading = base[:3].upper(), base[3:]
        return _Form(f"{name} (%){_READINGS.get(reading, '')}{suffix}", 100, 2)
    if base in COUNTS:
        return _Form(base.replace("_", " ") + suffix, digits=0)
    if base in FAILURE_RATES:
        name = base.removesuffix("_rate").replace("failure", "failures")
        return _Form(f"{name} (%)", 100, 1)
    if base.startswith("versa_"):
        return _Form(f"{base.removeprefix('versa_')} (VERSA)")
    return _FORMS.get(base, _Form(base))
