import pytest

from espnet_vibevoice.score.table import (
    align_columns,
    format_figure,
    format_markdown_table,
    format_terminal_table,
    format_value,
    name_measure,
)


@pytest.mark.parametrize(
    ("measure", "value", "name", "text"),
    [
        ("cer", 0.12345, "CER (%)", "12.35"),
        ("wer@whisper", 1.0, "WER (%), whisper", "100.00"),
        ("cer_zwnj_merged", 0.0, "CER (%), ZWNJ left out", "0.00"),
        ("char_deletions", 3, "char deletions", "3"),
        ("mcd", 5.678, "MCD (dB)", "5.68"),
        ("failure_rate", 0.04, "failures (%)", "4.0"),
        ("empty_rate", None, "empty (%)", "-"),
        ("versa_utmos", 3.5, "utmos (VERSA)", "3.500"),
    ],
)
def test_measure_is_written_with_its_unit(measure, value, name, text):
    assert (name_measure(measure), format_value(measure, value)) == (name, text)


def test_format_figure_adds_the_interval():
    figure = {"value": 0.1, "low": 0.05, "high": 0.2, "n": 3}
    assert format_figure("cer", figure) == "10.00 (5.00 to 20.00)"
    assert format_figure("cer", figure | {"low": None}) == "10.00"
    assert format_figure("cer", None) == "-"


def test_terminal_table_shows_measures_that_have_values():
    none = {"value": None, "low": None, "high": None, "n": 0, "reason": "x"}
    one = none | {"value": 0.5, "n": 1}
    summary = {"cer": {"natural": one, "synthesis": none}, "wer": {"natural": none}}
    assert format_terminal_table(summary) == [
        "             CER (%)",
        "natural        50.00",
        "resynthesis        -",
        "synthesis          -",
    ]


def test_align_columns_pads_the_first_to_the_right_of_its_text():
    assert align_columns([["a", "bb"], ["ccc", "d"]]) == ["a    bb", "ccc   d"]


def test_markdown_table_keeps_bars_within_cells():
    rows = format_markdown_table([["a", "b"], ["x|y", "1"]])
    assert rows == ["|a|b|", "|---|---:|", "|x\\|y|1|"]
