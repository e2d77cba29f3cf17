import json
import re

import pytest

from espnet_vibevoice.score.report.listening import flatten, write_report

AUDIO = 'src="data:audio/mpeg;base64,'


def test_write_report_is_one_file_with_everything_in_it(report):
    text = report.read_text(encoding="utf-8")
    assert text.count(AUDIO) == 11  # of 12 recordings, one is missing
    assert text.count("data:image/jpeg;base64,") == 11
    assert set(re.findall(r'(?:src|href)="(\w+):', text)) == {"data"}
    assert "no end &lt;found&gt;" in text
    assert "All 4 utterances of the set are shown." in text
    assert "score --set &quot;test&quot; &lt;x" in text


def test_write_report_bounds_its_size_by_max_utts(make_scores, tmp_path):
    score_dir = make_scores()
    sizes = []
    for count in (0, 2, 4):
        out = tmp_path / f"{count}.html"
        selection = write_report(score_dir, out, max_utts=count)
        text = out.read_text(encoding="utf-8")
        assert len(selection.groups) == count
        assert text.count("<article") == count and text.count(AUDIO) == 3 * count
        assert selection.describe() in text
        sizes.append(len(text))
    assert sizes == sorted(sizes) and sizes[0] < 50_000


def test_write_report_twice_gives_equal_files(make_scores, tmp_path):
    score_dir = make_scores()
    for name in "ab":
        write_report(score_dir, tmp_path / name, max_utts=2)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_write_report_shows_training_or_why_not(make_scores, tmp_path):
    import torch

    score_dir, out = make_scores(), tmp_path / "x.html"
    write_report(score_dir, out, max_utts=0, experiment_dir=tmp_path)
    assert "checkpoint.pth is missing" in out.read_text(encoding="utf-8")
    stats = {1: {"train": {"loss": 2.0}, "valid": {"loss": 1.0}}}
    torch.save({"reporter": {"stats": stats}}, tmp_path / "checkpoint.pth")
    write_report(score_dir, out, max_utts=0, experiment_dir=tmp_path)
    assert "best 1 in epoch 1" in out.read_text(encoding="utf-8")


def test_write_report_without_error_rates_is_written(make_scores, tmp_path):
    score_dir = make_scores(lambda row: {"cer": "", "wer": "", "hypothesis": ""})
    path = score_dir / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    for figure in summary["cer"].values():
        figure |= {"value": None, "low": None, "high": None, "n": 0}
        figure["reason"] = "the recogniser does not load"
    path.write_text(json.dumps(summary), encoding="utf-8")
    selection = write_report(score_dir, tmp_path / "x.html", max_utts=2)
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert list(selection.groups) == ["u2", "u4"]
    assert "the recogniser does not load" in text and text.count(AUDIO) == 6


def test_write_report_negative_max_utts_raises(make_scores, tmp_path):
    with pytest.raises(ValueError, match="max_utts: got -1, want 0 or more"):
        write_report(make_scores(), tmp_path / "x.html", max_utts=-1)


def test_write_report_without_scores_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="Score the set first"):
        write_report(tmp_path, tmp_path / "x.html", max_utts=1)


def test_flatten_names_what_is_nested():
    nested = {"a": {"b": 1, "c": None}, "d": [{"e": "x"}, 2.5], "f": []}
    assert list(flatten(nested)) == [
        ("a.b", "1"),
        ("a.c", "none"),
        ("d.1.e", "x"),
        ("d.2", "2.5"),
    ]
