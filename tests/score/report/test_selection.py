import random

import pytest

from espnet_vibevoice.score.report.selection import (
    HIGHEST,
    LOWEST,
    TYPICAL,
    select_by_chance,
    select_by_error,
    spread_evenly,
)

RATES = {f"u{i:02}": i / 100 for i in random.Random(0).sample(range(30), 30)}


def test_select_by_error_takes_worst_best_and_typical():
    selection = select_by_error(RATES, 7)
    found = {}
    for utterance, group in selection.groups.items():
        found.setdefault(group, set()).add(utterance)
    assert found == {
        HIGHEST: {"u29", "u28", "u27"},
        LOWEST: {"u00", "u01"},
        TYPICAL: {"u14", "u15"},
    }
    assert list(selection.groups) == [u for u in RATES if u in selection.groups]
    assert selection.describe() == (
        "7 of 30 utterances are shown (23.3 %). By the character error rate of the "
        "synthesis: the 3 highest, the 2 lowest, and 2 around the median."
    )


@pytest.mark.parametrize("count", range(31))
def test_select_by_error_gives_as_many_as_asked_for(count):
    assert len(select_by_error(RATES, count).groups) == count


def test_select_by_error_all_fit_says_so():
    selection = select_by_error(RATES, 30)
    assert selection.describe() == "All 30 utterances of the set are shown."
    assert set(selection.groups.values()) == {""}


def test_select_by_error_equal_rates_are_decided_by_id():
    rates = dict.fromkeys(["c", "a", "d", "b"], 0.5)
    groups = select_by_error(rates, 2).groups
    assert groups == {"a": HIGHEST, "d": LOWEST}


def test_select_by_error_without_rates_spreads():
    selection = select_by_error(dict.fromkeys(RATES), 3)
    assert list(selection.groups) == [list(RATES)[i] for i in (5, 15, 25)]
    assert "no error rates" in selection.describe()


def test_select_by_error_few_rates_are_all_taken():
    rates = dict.fromkeys(RATES) | {"u07": 0.1, "u03": 0.2}
    selection = select_by_error(rates, 4)
    assert {"u07", "u03"} < set(selection.groups)
    assert len(selection.groups) == 4


def test_select_by_chance_follows_the_seed_alone():
    names = list(RATES)
    first = select_by_chance(names, 5, 1)
    assert first == select_by_chance(names, 5, 1)
    assert set(first.groups) == set(select_by_chance(names[::-1], 5, 1).groups)
    assert first.groups != select_by_chance(names, 5, 2).groups
    assert len(first.groups) == 5 and "seed 1" in first.describe()
    assert len(select_by_chance(names, 99, 1).groups) == 30


def test_spread_evenly_takes_no_name_twice():
    for count in range(12):
        taken = spread_evenly("abcdefghij", count)
        assert len(set(taken)) == min(count, 10)
