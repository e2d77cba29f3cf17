"""A comparison as files: ``compare.tsv`` for programs, ``compare.md`` for readers."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.score.bootstrap import Estimate, PairedEstimate
from espnet_vibevoice.score.comparison import CEILINGS, ComparedMeasure, Comparison
from espnet_vibevoice.score.comparison_votes import Preference
from espnet_vibevoice.score.table import (
    NO_VALUE,
    format_figure,
    format_markdown_table,
    format_value,
    name_measure,
)

COLUMNS = (
    "measure",
    "system",
    "value",
    "low",
    "high",
    "n",
    "difference",
    "difference_low",
    "difference_high",
    "p_value",
    "n_pairs",
    "judgement",
)
_PREFERENCE = "preference"


def write_tsv(
    path: Path, comparison: Comparison, preferences: Sequence[Preference] = ()
) -> None:
    """Write one line per measure and system; rates and shares as fractions.

    Votes are lines of the measure ``preference:OTHER``.
    """
    write_lines(path, _iterate_lines(comparison, preferences))


def write_markdown(
    path: Path, comparison: Comparison, preferences: Sequence[Preference] = ()
) -> None:
    """Write the systems, one table of measures, and one of differences."""
    write_lines(path, format_markdown(comparison, preferences))


def format_markdown(
    comparison: Comparison, preferences: Sequence[Preference] = ()
) -> list[str]:
    """Give the lines of ``compare.md``."""
    first, *others = comparison.names
    lines = [f"# {' / '.join(comparison.names)}", ""]
    lines += [f"- {system.name}: `{system.score_dir}`" for system in comparison.systems]
    count = len(comparison.agreement.utterances)
    lines += [f"- {count} utterances that all have, with the same references."]
    lines += [f"- {note}" for note in comparison.agreement.notes]
    lines += ["", "## Measures (95 % interval)", ""]
    lines += format_markdown_table(_tabulate_figures(comparison))
    for name in others:
        lines += ["", f"## {name} minus {first}", ""]
        lines += format_markdown_table(_tabulate_pair(comparison, name))
    if preferences:
        lines += ["", "## Blind listening", ""]
        lines += format_markdown_table(_tabulate_preferences(preferences))
    return [*lines, "", *_explain(comparison)]


def tabulate_differences(comparison: Comparison) -> list[list[str]]:
    """Give all differences in one table, one column for each further system."""
    first, *others = comparison.names
    table = [["measure", *(f"{name} minus {first}" for name in others)]]
    for found in comparison.measures:
        cells = [_summarize_difference(found, name) for name in others]
        if any(cell != NO_VALUE for cell in cells):
            table.append([name_measure(found.measure), *cells])
    return table


def _tabulate_figures(comparison: Comparison) -> list[list[str]]:
    columns = [*CEILINGS, *comparison.names]
    rows = [["measure", *columns]]
    for found in comparison.measures:
        cells = [
            format_figure(found.measure, asdict(found.figures[name]))
            for name in columns
        ]
        rows.append([name_measure(found.measure), *cells])
    return rows


def _summarize_difference(found: ComparedMeasure, name: str) -> str:
    paired = found.differences.get(name)
    if paired is None or paired.difference is None:
        return NO_VALUE
    told = f"{_sign(found.measure, paired.difference)} ({_span(found.measure, paired)})"
    judgement = found.judge(name)
    return f"{told}, p {format_p_value(paired.p_value)}" + (
        f", {judgement}" if judgement else ""
    )


def _tabulate_pair(comparison: Comparison, name: str) -> list[list[str]]:
    rows = [["measure", "difference", "95 % interval", "p", "n", name]]
    for found in comparison.measures:
        paired = found.differences.get(name)
        if paired is None or paired.difference is None:
            continue
        rows.append(
            [
                name_measure(found.measure),
                _sign(found.measure, paired.difference),
                _span(found.measure, paired),
                format_p_value(paired.p_value),
                str(paired.n),
                _describe_judgement(found, name),
            ]
        )
    return rows


def _span(measure: str, paired: PairedEstimate) -> str:
    if paired.low is None or paired.high is None:
        return NO_VALUE
    return f"{_sign(measure, paired.low)} to {_sign(measure, paired.high)}"


def _describe_judgement(found: ComparedMeasure, name: str) -> str:
    judgement = found.judge(name)
    return f"**{judgement}**" if judgement else "not shown to differ"


def _tabulate_preferences(preferences: Sequence[Preference]) -> list[list[str]]:
    rows = [["pair", "for the former", "for the latter", "neither", "share (%)", "p"]]
    for found in preferences:
        rows.append(
            [
                f"{found.system} against {found.other}",
                *(str(count) for count in (found.wins, found.losses, found.ties)),
                _format_share(found.share),
                format_p_value(found.p_value),
            ]
        )
    return rows


def _explain(comparison: Comparison) -> list[str]:
    first = comparison.names[0]
    return [
        f"Intervals: percentile bootstrap over utterances ({comparison.draws} draws, "
        f"seed {comparison.seed}), Wilson's for shares. Differences are to {first}, "
        "utterance by utterance; p by approximate randomisation, two-sided, not "
        "corrected for the number of measures and systems. A difference is marked "
        "where p is below 0.05 and the interval leaves zero out; where none is "
        "marked, none was shown, which does not show that there is none. natural and "
        f"resynthesis are those of {first}.",
    ]


def _iterate_lines(
    comparison: Comparison, preferences: Sequence[Preference]
) -> Iterator[str]:
    yield "\t".join(COLUMNS)
    for found in comparison.measures:
        for name, figure in found.figures.items():
            cells = [found.measure, name, *_write_estimate(figure)]
            cells += _write_paired(found.differences.get(name))
            yield "\t".join([*cells, found.judge(name)])
    for found in preferences:
        cells = [f"{_PREFERENCE}:{found.other}", found.system]
        cells += [*_write_estimate(found.share), "", "", ""]
        yield "\t".join([*cells, _write(found.p_value), "", ""])


def _write_estimate(figure: Estimate) -> list[str]:
    ends = [_write(number) for number in (figure.value, figure.low, figure.high)]
    return [*ends, str(figure.n)]


def _write_paired(paired: PairedEstimate | None) -> list[str]:
    if paired is None:
        return [""] * 5
    numbers = (paired.difference, paired.low, paired.high, paired.p_value)
    return [*(_write(number) for number in numbers), str(paired.n)]


def _write(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def _sign(measure: str, value: float) -> str:
    return f"{'' if value < 0 else '+'}{format_value(measure, value)}"


def format_p_value(p_value: float | None) -> str:
    """Write a p value.

    Example:
        >>> format_p_value(0.0004), format_p_value(0.25), format_p_value(None)
        ('< 0.001', '0.250', '-')
    """
    if p_value is None:
        return NO_VALUE
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _format_share(share: Estimate) -> str:
    if share.value is None or share.low is None or share.high is None:
        return NO_VALUE
    ends = f"{100 * share.low:.1f} to {100 * share.high:.1f}"
    return f"{100 * share.value:.1f} ({ends})"
