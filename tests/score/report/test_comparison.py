import dataclasses

import pytest

from espnet_vibevoice.score.report.comparison import (
    join_summaries,
    join_systems,
    write_comparison_page,
)


def test_write_comparison_page_has_tables_and_all_recordings(comparison):
    text = comparison.read_text(encoding="utf-8")
    assert text.count('src="data:audio/mpeg;base64,') == 11
    assert "-1.00 (p &lt; 0.05)" in text
    assert "All 4 utterances of the set are shown." in text
    assert 'data-seed="3"' in text


def test_write_comparison_page_draws_by_seed_not_by_score(compared, tmp_path):
    drawn = {}
    for seed in range(6):
        for _ in range(2):
            selection = write_comparison_page(
                compared, tmp_path / "x.html", max_utts=1, seed=seed
            )
            drawn.setdefault(seed, set()).add(tuple(selection.groups))
    assert all(len(found) == 1 for found in drawn.values())
    assert len(set.union(*drawn.values())) > 1


def test_join_systems_keeps_common_utterances(compared):
    (first, a), (other, b) = compared
    rows = [row for row in b.rows if row["utterance"] != "u2"]
    joined = join_systems([(first, a), (other, dataclasses.replace(b, rows=rows))])
    assert list(joined) == ["u1", "u3", "u4"]
    assert list(joined["u1"]) == ["natural", "first", "other"]
    assert joined["u3"]["other"]["reason"] == "no end <found>"


def test_join_summaries_takes_ceilings_of_the_first(compared):
    joined = join_summaries(compared)
    assert list(joined["cer"]) == ["natural", "resynthesis", "first", "other"]


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "natural"], []])
def test_write_comparison_page_wrong_names_raise(compared, tmp_path, names):
    systems = [(name, compared[0][1]) for name in names]
    with pytest.raises(ValueError, match="want two or more, with names of their own"):
        write_comparison_page(systems, tmp_path / "x.html", max_utts=1)
    assert list(tmp_path.iterdir()) == []


def test_write_comparison_page_nothing_in_common_raises(compared, tmp_path):
    (first, a), (other, b) = compared
    empty = dataclasses.replace(b, rows=[])
    with pytest.raises(ValueError, match="first, other have no utterance in common"):
        write_comparison_page(
            [(first, a), (other, empty)], tmp_path / "x.html", max_utts=1
        )


def test_write_comparison_page_negative_max_utts_raises(compared, tmp_path):
    with pytest.raises(ValueError, match="max_utts: got -1, want 0 or more"):
        write_comparison_page(compared, tmp_path / "x.html", max_utts=-1)
