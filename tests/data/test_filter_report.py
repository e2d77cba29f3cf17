import pytest

from espnet_vibevoice.data.dropped import Dropped
from espnet_vibevoice.data.filter_report import FilterReport


def make_tiny_report(**tables):
    dropped = {"c": Dropped("too_long", "1 h"), "x": Dropped("unreadable", "x.wav")}
    durations = {"a": 3600.0, "b": 1800.0, "c": 900.0}
    speakers = {"utt2spk": {"a": "s", "b": "s", "c": "t"}}
    return FilterReport.collect(["a", "b"], dropped, durations, speakers | tables)


def test_format_table_has_counts_and_hours_by_reason():
    trims = {"a": "18.000 0.000", "b": "9.000 9.000", "c": "1.000 1.000"}
    assert make_tiny_report(utt2trim=trims).format_table().splitlines() == [
        "                 utterances   hours",
        "kept                      2    1.50",
        "dropped                   2    0.25",
        "  too_long                1    0.25",
        "  unreadable              1       -",
        "silence cut off           -    0.01",
    ]


def test_format_table_without_trim_table_says_nothing_of_silence():
    report = make_tiny_report()
    assert "silence" not in report.format_table()
    assert report.num_speakers == 1
    assert sum(report.dropped_hours.values()) == pytest.approx(0.25)
