import math

import numpy as np
import pytest

from espnet_vibevoice.score import bootstrap
from espnet_vibevoice.score.bootstrap import (
    Estimate,
    PairedEstimate,
    compare_mean,
    compare_ratio,
    estimate_mean,
    estimate_ratio,
    estimate_share,
)


def test_estimate_ratio_is_ratio_of_sums_not_mean_of_ratios():
    estimate = estimate_ratio([1, 9], [10, 10_000])
    assert estimate.value == 10 / 10_010
    assert (estimate.low, estimate.high) == (9 / 10_000, 1 / 10)


def test_estimate_mean_two_values_has_exact_interval():
    # each resample is 0, 0.5 or 1, the ends with a quarter each
    assert estimate_mean([0, 1]) == Estimate(0.5, 0.0, 1.0, 2)


def test_estimate_mean_equal_values_have_no_width():
    assert estimate_mean([0.25] * 7) == Estimate(0.25, 0.25, 0.25, 7)


def test_estimate_mean_one_value_has_no_interval():
    assert estimate_mean([3.0]) == Estimate(3.0, None, None, 1)


@pytest.mark.parametrize("values", [[], [None], [None, math.nan]])
def test_estimate_mean_no_value_is_none(values):
    assert estimate_mean(values) == Estimate(None, None, None, 0)


def test_estimate_ratio_unknown_values_are_left_out_as_pairs():
    with_gaps = estimate_ratio([1, None, 3, 4, 5], [10, 20, None, 40, math.nan])
    assert with_gaps == estimate_ratio([1, 4], [10, 40])
    assert with_gaps.n == 2


def test_estimate_mean_same_seed_same_interval_other_seed_another():
    values = np.random.default_rng(1).random(40).tolist()
    first = estimate_mean(values, seed=5)
    assert estimate_mean(values, seed=5) == first
    other = estimate_mean(values, seed=6)
    assert (other.value, other.n) == (first.value, first.n)
    assert (other.low, other.high) != (first.low, first.high)


def test_estimate_mean_blocks_change_nothing(monkeypatch):
    values = np.random.default_rng(2).random(50).tolist()
    whole = estimate_mean(values, draws=100)
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 777)
    assert estimate_mean(values, draws=100) == whole


def test_estimate_mean_interval_agrees_with_theory():
    values = np.random.default_rng(3).standard_normal(400)
    estimate = estimate_mean(values.tolist(), draws=4000)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert estimate.low == pytest.approx(estimate.value - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(estimate.value + half, abs=0.1 * half)


def test_estimate_ratio_interval_covers_truth_as_often_as_it_says():
    generator = np.random.default_rng(4)
    trials, truth, covered = 300, 0.1, 0
    for trial in range(trials):
        lengths = generator.integers(20, 100, size=60)
        # errors of an utterance come together: each has a rate of its own
        rates = generator.beta(1, 9, size=60)
        errors = generator.binomial(lengths, rates)
        estimate = estimate_ratio(errors.tolist(), lengths.tolist(), 200, trial)
        covered += estimate.low <= truth <= estimate.high
    # 95% less what a percentile interval of 60 skewed values loses
    assert 0.90 <= covered / trials <= 0.98


@pytest.mark.parametrize(
    ("numerators", "denominators", "draws", "message"),
    [
        ([1], [1, 2], 10, r"one length wanted.*got \[1, 2\]"),
        ([1], [0], 10, "denominator of 0, wanted above 0"),
        ([1, 1], [5, -2], 10, "denominator of -2"),
        ([math.inf], [1], 10, "infinite value"),
        ([1], [1], 0, "draws: got 0, wanted 1 or more"),
    ],
)
def test_estimate_ratio_bad_values_raise(numerators, denominators, draws, message):
    with pytest.raises(ValueError, match=message):
        estimate_ratio(numerators, denominators, draws)


def test_estimate_share_no_fault_has_an_upper_end():
    estimate = estimate_share([False] * 25 + [None])
    # Wilson: z^2 / (n + z^2) with z = 1.96
    assert (estimate.value, estimate.low, estimate.n) == (0.0, 0.0, 25)
    assert estimate.high == pytest.approx(3.8415 / 28.8415, rel=1e-4)


def test_estimate_share_of_nothing_is_none():
    assert estimate_share([None]) == Estimate(None, None, None, 0)


def test_compare_mean_is_second_minus_first():
    paired = compare_mean([1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6, 7])
    assert (paired.low, paired.difference, paired.high) == pytest.approx((1, 1, 1))
    # of 64 ways to swap, only none and all give so large a difference
    assert paired.p_value == 2 / 64
    assert paired.is_significant


def test_compare_mean_five_of_five_is_not_enough():
    paired = compare_mean([0] * 5, [1, 2, 3, 4, 5])
    assert paired.p_value == 2 / 32
    assert paired.low > 0
    assert not paired.is_significant


def test_compare_mean_equal_systems_have_p_one():
    values = np.random.default_rng(5).random(30).tolist()
    assert compare_mean(values, values) == PairedEstimate(0.0, 0.0, 0.0, 1.0, 30)


@pytest.mark.parametrize(
    ("first", "second", "n", "difference"),
    [([], [], 0, None), ([1], [3], 1, 2.0), ([1, None], [3, 5], 1, 2.0)],
)
def test_compare_mean_too_few_has_no_interval(first, second, n, difference):
    paired = compare_mean(first, second)
    assert paired == PairedEstimate(difference, None, None, None, n)
    assert not paired.is_significant


def test_compare_ratio_swapped_systems_change_the_sign_only():
    generator = np.random.default_rng(6)
    lengths = generator.integers(20, 60, size=40).tolist()
    first = generator.integers(0, 10, size=40).tolist()
    second = generator.integers(0, 12, size=40).tolist()
    forth = compare_ratio(first, lengths, second, lengths)
    back = compare_ratio(second, lengths, first, lengths)
    assert forth.difference == pytest.approx(
        (sum(second) - sum(first)) / sum(lengths), abs=1e-12
    )
    assert back.difference == pytest.approx(-forth.difference)
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))
    assert back.p_value == forth.p_value


def test_compare_mean_pairing_sees_what_separate_intervals_hide():
    generator = np.random.default_rng(7)
    difficulty = generator.random(100)
    second = difficulty + 0.02 + 0.01 * generator.standard_normal(100)
    alone = estimate_mean(difficulty.tolist()), estimate_mean(second.tolist())
    assert alone[0].high > alone[1].low  # they overlap
    paired = compare_mean(difficulty.tolist(), second.tolist())
    assert paired.is_significant
    assert paired.low < 0.02 < paired.high
    assert paired.p_value == pytest.approx(1 / 1001)


def test_compare_mean_alike_systems_are_rarely_significant():
    generator = np.random.default_rng(8)
    trials = 300
    found = 0
    for trial in range(trials):
        first, second = generator.exponential(size=(2, 30)).tolist()
        found += compare_mean(first, second, draws=200, seed=trial).is_significant
    assert 0.01 <= found / trials <= 0.08


def test_compare_mean_exact_and_drawn_p_values_agree(monkeypatch):
    generator = np.random.default_rng(9)
    first = generator.random(12).tolist()
    second = (generator.random(12) + 0.15).tolist()
    drawn = compare_mean(first, second, draws=4000)
    exact = compare_mean(first, second, draws=4096)
    assert exact.p_value * 4096 == pytest.approx(round(exact.p_value * 4096))
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.03)
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", 480)
    assert compare_mean(first, second, draws=4096).p_value == exact.p_value
