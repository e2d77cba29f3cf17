import re

from espnet_vibevoice.score.report.score_table import (
    build_headline,
    build_score_table,
    build_table,
)


def figure(value, low=None, high=None, n=4, reason=None):
    found = {"value": value, "low": low, "high": high, "n": n}
    return found if reason is None else {**found, "reason": reason}


SUMMARY = {
    "cer": {"natural": figure(0.0123, 0.01, 0.02), "synthesis": figure(0.5, n=3)},
    "char_reference": {"natural": figure(60), "synthesis": figure(60)},
    "char_substitutions": {"natural": figure(1), "synthesis": figure(7)},
    "char_insertions": {"natural": figure(2), "synthesis": figure(8)},
    "char_deletions": {"natural": figure(3), "synthesis": figure(9)},
    "speaker_similarity": {
        "natural": figure(None, n=0, reason="no <model>"),
        "synthesis": figure(None, n=0, reason="no <model>"),
    },
    "versa_x": {"synthesis": figure(3.0)},
}


def read_rows(markup):
    rows = re.findall("<tr>(.*?)</tr>", markup)
    return [
        [
            " ".join(re.sub("<[^>]+>", " ", cell).split())
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        ]
        for row in rows
    ]


def test_build_score_table_rows_intervals_and_reasons():
    made = build_score_table(SUMMARY)
    assert read_rows(made) == [
        ["measure", "natural", "synthesis"],
        ["CER (%) \u2193", "1.23 1.00 to 2.00", "50.00 n = 3"],
        [
            "characters: in the texts / substituted / inserted / deleted",
            "60 / 1 / 2 / 3",
            "60 / 7 / 8 / 9",
        ],
        ["speaker similarity \u2191", "- 1", "- 1"],
        ["x (VERSA)", "-", "3.000"],
    ]
    assert made.count("<li>") == 1 and "<sup>1</sup> no &lt;model&gt;" in made
    assert "4 utterances;" in made


def test_build_score_table_columns_by_name():
    summary = {"cer": {"b": figure(0.1), "a": figure(0.2)}}
    rows = read_rows(build_score_table(summary, ["a", "b"]))
    assert rows[0] == ["measure", "a", "b"]
    assert rows[1][1:] == ["20.00", "10.00"]


def test_build_headline_tells_value_interval_and_reason():
    summary = {
        "cer": {
            "natural": figure(0.0123, 0.01, 0.02),
            "synthesis": figure(None, n=0, reason="no recogniser"),
        },
        "wer": {"natural": figure(0.2)},
    }
    text = re.sub("<[^>]+>", "|", build_headline(summary))
    for part in ("1.23", "1.00 to 2.00", "WER 20.00 %", "no recogniser"):
        assert part in text
    assert "resynthesis" not in text


def test_build_table_escapes_cells():
    made = build_table([["a", "<b>"], ["c", "d"]])
    assert read_rows(made) == [["a", "&lt;b&gt;"], ["c", "d"]]
