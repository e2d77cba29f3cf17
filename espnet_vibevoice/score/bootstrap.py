"""Intervals and comparisons from the spread between utterances.

Intervals are 95% percentile bootstrap intervals (Bisani and Ney, 2004): utterances,
never characters, are drawn with replacement, since errors of one utterance belong
together. Two systems are compared on the same utterances: the interval of their
difference by the same draws, the p value by approximate randomisation (each
utterance's two results swapped or not; all ways where there are few), which stays
honest for short lists (Riezler and Maxwell, 2005).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

Values = Sequence[float | None]
DRAWS = 1000
SEED = 0
LEVEL = 0.95
SIGNIFICANT_BELOW = 0.05
_BLOCK_ELEMENTS = 2**21  # of one drawn matrix: 16 MiB
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A measure over a list of utterances.

    Attributes:
        value (float | None): The measure; None without any utterance.
        low (float | None): Lower end of the 95% interval; None for fewer than two
            utterances, whose spread nobody knows.
        high (float | None): Upper end.
        n (int): Utterances that have a value.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class PairedEstimate:
    """The second system minus the first, over the utterances that both have.

    Attributes:
        difference (float | None): None without any common utterance.
        low (float | None): Lower end of its 95% interval; None for fewer than two.
        high (float | None): Upper end.
        p_value (float | None): Chance of so large a difference, in either direction,
            if the systems were alike; None for fewer than two utterances.
        n (int): Utterances for which both have a value.
    """

    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int

    @property
    def is_significant(self) -> bool:
        """Whether p is below 0.05 and the interval leaves zero out."""
        if self.p_value is None or self.low is None or self.high is None:
            return False
        return self.p_value < SIGNIFICANT_BELOW and not self.low <= 0 <= self.high


def estimate_mean(values: Values, draws: int = DRAWS, seed: int = SEED) -> Estimate:
    """Estimate a mean over utterances; see :func:`estimate_ratio`."""
    return estimate_ratio(values, [1.0] * len(values), draws, seed)


def estimate_ratio(
    numerators: Values, denominators: Values, draws: int = DRAWS, seed: int = SEED
) -> Estimate:
    """Estimate a ratio of sums, e.g. errors per reference character.

    Args:
        numerators (Sequence): One value per utterance (N,); None or NaN for an
            utterance without one, which is left out.
        denominators (Sequence): Likewise (N,); above zero.
        draws (int): Resampled lists.
        seed (int): Seed; the same for all measures of a table, whose lists are then
            drawn alike.

    Returns:
        Estimate: Ratio of the sums and its interval.

    Raises:
        ValueError: Lists of different lengths, infinite values, a denominator that
            is not above zero, or fewer than one draw.
    """
    table = _gather([numerators, denominators], draws)
    return _estimate(table, draws, seed)


def estimate_share(flags: Sequence[bool | None]) -> Estimate:
    """Estimate the share of utterances that have some fault.

    Resampling a list without a fault gives none either, and an interval of no width;
    Wilson's interval says what none in so many is worth.

    Args:
        flags (Sequence): One per utterance (N,); None for an unknown one.

    Returns:
        Estimate: Share and its 95% interval (of Wilson), for one utterance as well.

    Example:
        >>> round(estimate_share([False] * 25).high, 3)
        0.133
    """
    known = [bool(flag) for flag in flags if flag is not None]
    if not known:
        return Estimate(None, None, None, 0)
    interval = binomtest(sum(known), len(known)).proportion_ci(LEVEL, method="wilson")
    share = sum(known) / len(known)
    return Estimate(share, float(interval.low), float(interval.high), len(known))


def compare_mean(
    first: Values, second: Values, draws: int = DRAWS, seed: int = SEED
) -> PairedEstimate:
    """Compare two means over the same utterances; see :func:`compare_ratio`."""
    ones = [1.0] * len(first)
    return compare_ratio(first, ones, second, [1.0] * len(second), draws, seed)


def compare_ratio(
    first_numerators: Values,
    first_denominators: Values,
    second_numerators: Values,
    second_denominators: Values,
    draws: int = DRAWS,
    seed: int = SEED,
) -> PairedEstimate:
    """Compare two ratios of sums over the same utterances.

    Args:
        first_numerators (Sequence): Of the first system, in one order of utterances
            for all (N,); None for an utterance without a value, which is then left
            out on both sides.
        first_denominators (Sequence): Likewise (N,); above zero.
        second_numerators (Sequence): Of the second system (N,).
        second_denominators (Sequence): Likewise (N,); above zero.
        draws (int): Resampled lists, and swapped lists.
        seed (int): Seed.

    Returns:
        PairedEstimate: Second minus first.

    Raises:
        ValueError: As of :func:`estimate_ratio`.
    """
    table = _gather(
        [first_numerators, first_denominators, second_numerators, second_denominators],
        draws,
    )
    n = len(table)
    if n == 0:
        return PairedEstimate(None, None, None, None, 0)
    difference = float(_subtract(table.sum(axis=0)))
    if n == 1:
        return PairedEstimate(difference, None, None, None, 1)
    low, high = _take_interval(_subtract(_resample(table, draws, seed)))
    p_value = _compute_p_value(table, difference, draws, seed)
    return PairedEstimate(difference, low, high, p_value, n)


def _gather(columns: list[Values], draws: int) -> np.ndarray:
    """Return complete rows (N, columns) of numerators and denominators in turn."""
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        raise ValueError(f"lists of one length wanted, one value each; got {lengths}")
    if draws < 1:
        raise ValueError(f"draws: got {draws}, wanted 1 or more")
    table = np.array(columns, dtype=np.float64).T  # None becomes NaN
    table = table[~np.isnan(table).any(axis=1)]
    if np.isinf(table).any():
        raise ValueError("got an infinite value; wanted finite ones, None for unknown")
    if (table[:, 1::2] <= 0).any():
        raise ValueError(
            f"got a denominator of {table[:, 1::2].min():g}, wanted above 0. Give None "
            "for an utterance without reference"
        )
    return table


def _estimate(table: np.ndarray, draws: int, seed: int) -> Estimate:
    n = len(table)
    if n == 0:
        return Estimate(None, None, None, 0)
    value = float(_divide(table.sum(axis=0)))
    if n == 1:
        return Estimate(value, None, None, 1)
    return Estimate(value, *_take_interval(_divide(_resample(table, draws, seed))), n)


def _divide(sums: np.ndarray) -> np.ndarray:
    """Ratios of sums (..., 2)."""
    return sums[..., 0] / sums[..., 1]


def _subtract(sums: np.ndarray) -> np.ndarray:
    """Second ratio minus first of sums (..., 4)."""
    return _divide(sums[..., 2:]) - _divide(sums[..., :2])


def _resample(table: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Sums (draws, columns) over lists of N rows drawn with replacement."""
    generator = np.random.default_rng(seed)
    n = len(table)
    parts = [
        table[generator.integers(n, size=(rows, n))].sum(axis=1)
        for rows in _divide_work(draws, table.size)
    ]
    return np.concatenate(parts)


def _divide_work(draws: int, elements: int) -> Iterator[int]:
    """Yield how many draws to hold at a time, so that memory stays bounded."""
    rows = max(1, _BLOCK_ELEMENTS // elements)
    for start in range(0, draws, rows):
        yield min(rows, draws - start)


def _take_interval(drawn: np.ndarray) -> tuple[float, float]:
    """Percentiles of drawn values (draws,)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def _compute_p_value(
    table: np.ndarray, difference: float, draws: int, seed: int
) -> float:
    """Share of swapped lists whose difference is as large, in either direction."""
    n = len(table)
    change = np.roll(table, 2, axis=1) - table  # what a swap adds to each column
    generator = np.random.default_rng(seed)
    is_exact = n < 63 and 2**n <= draws
    ways = np.arange(2**n) if is_exact else None
    extreme = start = 0
    for rows in _divide_work(2**n if is_exact else draws, table.size):
        if ways is None:
            swaps = generator.integers(2, size=(rows, n))
        else:
            swaps = ways[start : start + rows, None] >> np.arange(n) & 1
        start += rows
        swapped = _subtract(table.sum(axis=0) + swaps @ change)
        extreme += int((np.abs(swapped) >= abs(difference) - _ROUNDING).sum())
    return extreme / start if is_exact else (extreme + 1) / (start + 1)
