"""The case tables: every raw text must get one of its accepted readings."""

import re
from pathlib import Path

import pytest

from espnet_vibevoice.text import normalize_persian

CASES = Path(__file__).parent / "cases"
ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})|\\([tnr])")
PLAIN = {"t": "\t", "n": "\n", "r": "\r"}
MIN_CASES = 400


def unescape(text):
    """Resolve the escapes of invisible characters (U+200C ZERO WIDTH NON-JOINER)."""
    return ESCAPE.sub(
        lambda m: PLAIN[m[3]] if m[3] else chr(int(m[1] or m[2], 16)), text
    )


def read_cases():
    """Read rows of category, raw text and accepted readings, joined by ``|``."""
    cases = []
    for path in sorted(CASES.glob("*.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            category, raw, accepted = line.split("\t")
            readings = [unescape(reading) for reading in accepted.split("|")]
            cases.append((category, unescape(raw), readings))
    return cases


ALL_CASES = read_cases()
CATEGORIES = sorted({category for category, _, _ in ALL_CASES})


def test_cases_are_many_and_none_twice():
    raws = [raw for _, raw, _ in ALL_CASES]
    assert len(raws) >= MIN_CASES
    assert sorted(raws) == sorted(set(raws))


@pytest.mark.parametrize("category", CATEGORIES)
def test_category_has_all_readings(category, capsys):
    cases = [(raw, accepted) for name, raw, accepted in ALL_CASES if name == category]
    wrong = [
        f"{raw!r}: got {normalize_persian(raw)!r}, accepted {accepted}"
        for raw, accepted in cases
        if normalize_persian(raw) not in accepted
    ]
    with capsys.disabled():
        print(f" {category} {len(cases) - len(wrong)}/{len(cases)}", end="")
    assert not wrong, "\n".join(wrong)


def test_reading_of_an_accepted_reading_is_itself():
    readings = {reading for _, _, accepted in ALL_CASES for reading in accepted}
    changed = [r for r in sorted(readings) if normalize_persian(r) != r]
    assert changed == []
