"""What one utterance adds to a measure, read again from a row of ``utterances.tsv``.

Each measure is a ratio of sums over utterances: errors to characters, values to how
many there are. Error rates are counted again from the stored texts, which are exact,
where the stored rates are rounded.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from espnet_vibevoice.score.bootstrap import (
    Estimate,
    PairedEstimate,
    compare_ratio,
    estimate_ratio,
    estimate_share,
)
from espnet_vibevoice.score.columns import (
    COUNTS,
    FAILED,
    FAILURE_RATES,
    RATES,
    READING_SUFFIXES,
    SIGNAL,
    SIMILARITY,
    SYNTHESIS,
    name_of_recognizer,
)
from espnet_vibevoice.score.error_rates import score_text

Row = Mapping[str, str]
_READINGS = {suffix: zwnj for zwnj, suffix in READING_SUFFIXES.items()}
_VERSA = "versa_"

_score = functools.lru_cache(maxsize=2**15)(score_text)


@dataclass(frozen=True)
class Values:
    """One measure of one system, utterance by utterance.

    Attributes:
        measure (str): Its name.
        numerators (tuple[float | None, ...]): One per utterance, None for no value.
        denominators (tuple[float | None, ...]): Likewise.
    """

    measure: str
    numerators: tuple[float | None, ...]
    denominators: tuple[float | None, ...]

    def estimate(self, draws: int, seed: int) -> Estimate:
        """Estimate the measure as scoring does: shares, totals or ratios."""
        if self.measure in FAILURE_RATES:
            return estimate_share(
                [None if flag is None else bool(flag) for flag in self.numerators]
            )
        if self.measure in COUNTS:
            known = [value for value in self.numerators if value is not None]
            total = sum(known) if known else None
            return Estimate(total, None, None, len(known))
        return estimate_ratio(self.numerators, self.denominators, draws, seed)

    def compare(self, other: "Values", draws: int, seed: int) -> PairedEstimate | None:
        """Estimate other minus this one; None for totals, which have no spread."""
        if self.measure in COUNTS:
            return None
        return compare_ratio(
            self.numerators,
            self.denominators,
            other.numerators,
            other.denominators,
            draws,
            seed,
        )


def list_measures(rows: Iterable[Row], recognizers: Sequence[str]) -> list[str]:
    """List all measures that rows may have, in the order of a table.

    Args:
        rows (Iterable[Row]): Rows of several systems; one of each is enough.
        recognizers (Sequence[str]): Names; the first one gives ``cer``.
    """
    more = [name_of_recognizer(n, rate) for n in recognizers[1:] for rate in RATES[:2]]
    versa = sorted({c for row in rows for c in row if c.startswith(_VERSA)})
    rates = [*RATES, *more, *COUNTS] if recognizers else []
    return [*rates, *SIGNAL, SIMILARITY, *FAILURE_RATES, *versa]


def read_values(
    rows: Mapping[str, Row], utterances: Sequence[str], measure: str
) -> Values:
    """Read one measure of one system.

    Args:
        rows (Mapping): Utterance to its row; one that is missing has no value.
        utterances (Sequence[str]): Which ones, in the order wanted.
        measure (str): Measure of a scored set.

    Raises:
        ValueError: A cell that should hold a number does not.
    """
    read = _read_rate if measure.partition("@")[0] in RATES else _read_other
    pairs = [
        read(rows[utterance], measure) if utterance in rows else (None, None)
        for utterance in utterances
    ]
    numerators, denominators = zip(*pairs, strict=True)
    return Values(measure, numerators, denominators)


def _read_rate(row: Row, measure: str) -> tuple[float | None, float | None]:
    """Errors and length of the reference."""
    base, _, recognizer = measure.partition("@")
    column = f"hypothesis@{recognizer}" if recognizer else "hypothesis"
    if not row.get(measure):
        return None, None
    score = _score(row["reference"], row[column], _READINGS[base[3:]])
    counts = score.characters if base.startswith("cer") else score.words
    return counts.errors, counts.reference_length


def _read_other(row: Row, measure: str) -> tuple[float | None, float | None]:
    """A value, or a flag, and one."""
    if measure in FAILURE_RATES:
        if not row["faults"] and not _is_judged(row):
            return None, None
        faults = [name for name in row["faults"].split(",") if name]
        fault = measure.removesuffix("_rate")
        found = bool(faults) if fault == "failure" else fault in faults
        return float(found), 1.0
    cell = row.get(measure, "")
    if not cell:
        return None, None
    try:
        return float(cell), 1.0
    except ValueError as err:
        raise ValueError(
            f"{row['utterance']}, {row['system']}: {measure} is {cell!r}, want a "
            "number. Score the set again (stage 7)."
        ) from err


def _is_judged(row: Row) -> bool:
    """Whether no fault means that none was found."""
    return row["status"] != FAILED or row["system"] == SYNTHESIS
