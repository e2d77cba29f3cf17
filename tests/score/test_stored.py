import pytest

from espnet_vibevoice.score.columns import COLUMNS, SYNTHESIS
from espnet_vibevoice.score.stored import read_scores, write_scores

SUMMARY = {
    "cer": {
        "natural": {"value": 0.1, "low": 0.0, "high": 0.2, "n": 2},
        "synthesis": {"value": None, "low": None, "high": None, "n": 0, "reason": "x"},
    }
}
ROW = {
    "utterance": "a",
    "system": SYNTHESIS,
    "status": "ok",
    "reference": "می\u200cرود",
}


def write(folder, **changes):
    given = {"meta": {"set": "test"}, "summary": SUMMARY, "rows": [ROW]}
    write_scores(folder, **(given | changes))


def test_read_scores_gives_what_was_written(tmp_path):
    write(tmp_path, more_columns=["cer@whisper"], rows=[ROW | {"cer@whisper": "0.5"}])
    stored = read_scores(tmp_path)
    assert stored.meta == {"set": "test"}
    assert stored.summary == SUMMARY
    (row,) = stored.rows
    assert list(row) == [*COLUMNS, "cer@whisper"]
    assert {name: row[name] for name in row if row[name]} == {
        **ROW,
        "cer@whisper": "0.5",
    }


def test_write_scores_tabs_and_line_ends_within_a_text_become_blanks(tmp_path):
    write(tmp_path, rows=[ROW | {"reason": "one\ttwo\nthree"}])
    assert read_scores(tmp_path).rows[0]["reason"] == "one two three"


@pytest.mark.parametrize("name", ["utterances.tsv", "summary.json", "meta.json"])
def test_read_scores_missing_file_says_how_to_score(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"no {name}: .*--stage 7"):
        read_scores(tmp_path)


@pytest.mark.parametrize(
    ("find", "replacement", "message"),
    [
        ("utterance\tspeaker", "utterance", r"utterances.tsv:1: want the columns"),
        ("\tsynthesis", "\trobot", r"utterances.tsv:2: system must be one of"),
        ("\tok", "\tfine", r"utterances.tsv:2: status must be one of"),
        ("\tsynthesis\t", "\tsynthesis\t\t", r"utterances.tsv:2: want 29 columns"),
    ],
)
def test_read_scores_damaged_table_raises(tmp_path, find, replacement, message):
    write(tmp_path)
    path = tmp_path / "utterances.tsv"
    path.write_text(path.read_text("utf-8").replace(find, replacement), "utf-8")
    with pytest.raises(ValueError, match=message):
        read_scores(tmp_path)


def test_read_scores_same_utterance_twice_raises(tmp_path):
    write(tmp_path, rows=[ROW, ROW])
    with pytest.raises(ValueError, match="tsv:3: a, synthesis is there twice"):
        read_scores(tmp_path)


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        ({"value": 1.0, "low": 0.0, "n": 1}, "want value, low, high and n"),
        ({"value": None, "low": None, "high": None, "n": 0}, "no value and no reason"),
        (
            {"value": "1", "low": None, "high": None, "n": 1},
            "value, low and high must be numbers or null",
        ),
        ({"value": 1.0, "low": None, "high": None, "n": 1.5}, "n must be a count"),
        (
            {"value": float("nan"), "low": None, "high": None, "n": 1},
            "value, low and high must be numbers or null",
        ),
    ],
)
def test_write_scores_wrong_figure_is_refused_before_anything_is_written(
    tmp_path, figure, message
):
    with pytest.raises(ValueError, match=f"cer, natural: {message}"):
        write(tmp_path, summary={"cer": {"natural": figure}})
    assert list(tmp_path.iterdir()) == []


def test_write_scores_unknown_column_raises_and_leaves_no_meta(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match=r"a: no column for \['mos'\]"):
        write(tmp_path, rows=[ROW | {"mos": "3"}])
    assert not (tmp_path / "meta.json").exists()


def test_read_scores_summary_that_is_no_json_raises(tmp_path):
    write(tmp_path)
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="summary.json: not JSON"):
        read_scores(tmp_path)
