import pytest

from espnet_vibevoice.score.comparison import compare_systems
from espnet_vibevoice.score.comparison_files import (
    COLUMNS,
    format_markdown,
    format_p_value,
    tabulate_differences,
    write_markdown,
    write_tsv,
)
from espnet_vibevoice.score.comparison_systems import open_systems
from espnet_vibevoice.score.comparison_votes import Vote, count_preferences


def shorten(text):
    """Hear a text without its last word."""
    return " ".join(text.split()[:-1])


@pytest.fixture
def comparison(make_scores):
    folders = [make_scores("exp/a/d/test"), make_scores("exp/b/d/test", shorten)]
    return compare_systems(open_systems(folders, None, None), draws=1000, seed=3)


@pytest.fixture
def preferences(comparison):
    votes = [
        Vote(utterance, "a", "b", "system_a", "one", "")
        for utterance in comparison.agreement.utterances
    ]
    return count_preferences(votes, comparison.names, comparison.agreement.utterances)


def read_tsv(path):
    header, *lines = path.read_text("utf-8").splitlines()
    assert header.split("\t") == list(COLUMNS)
    rows = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines]
    return {(row["measure"], row["system"]): row for row in rows}


def test_write_tsv_has_each_measure_and_system_as_fractions(
    comparison, preferences, tmp_path
):
    write_tsv(tmp_path / "compare.tsv", comparison, preferences)
    rows = read_tsv(tmp_path / "compare.tsv")
    first, second = rows["wer", "a"], rows["wer", "b"]
    assert (first["value"], first["difference"], first["judgement"]) == ("0", "", "")
    assert second["value"] == second["difference"] == f"{6 / 38:.6g}"
    assert float(second["difference_low"]) > 0
    assert (second["p_value"], second["n_pairs"]) == ("0.03125", "6")
    assert second["judgement"] == "worse"
    assert rows["mcd", "natural"]["n"] == "0"
    assert rows["mcd", "natural"]["value"] == ""
    assert rows["word_deletions", "b"]["value"] == "6"
    voted = rows["preference:a", "b"]
    assert (voted["value"], voted["n"], voted["p_value"]) == ("0", "6", "0.03125")


def test_write_markdown_has_figures_differences_and_votes(
    comparison, preferences, tmp_path
):
    write_markdown(tmp_path / "compare.md", comparison, preferences)
    lines = (tmp_path / "compare.md").read_text("utf-8").splitlines()
    assert lines[0] == "# a / b"
    assert "- 6 utterances that all have, with the same references." in lines
    assert "|measure|natural|resynthesis|a|b|" in lines
    (figures,) = [line for line in lines if line.startswith("|WER (%)|0.00 (")]
    assert figures.split("|")[5] == "15.79 (13.64 to 18.75)"
    (difference,) = [line for line in lines if line.startswith("|WER (%)|+")]
    assert difference == "|WER (%)|+15.79|+13.64 to +18.75|0.031|6|**worse**|"
    (same,) = [line for line in lines if line.startswith("|MCD (dB)|+0.00|")]
    assert same.endswith("|not shown to differ|")
    assert "|b against a|0|6|0|0.0 (0.0 to 39.0)|0.031|" in lines
    assert "1000 draws, seed 3" in lines[-1]


def test_format_markdown_without_votes_has_no_such_section(comparison):
    assert "## Blind listening" not in format_markdown(comparison)


def test_tabulate_differences_has_one_cell_for_each_further_system(comparison):
    head, *rows = tabulate_differences(comparison)
    assert head == ["measure", "b minus a"]
    cells = dict(rows)
    assert cells["WER (%)"] == "+15.79 (+13.64 to +18.75), p 0.031, worse"
    assert cells["MCD (dB)"] == "+0.00 (+0.00 to +0.00), p 1.000"
    assert "word deletions" not in cells


@pytest.mark.parametrize(
    ("p_value", "text"), [(None, "-"), (0.0004, "< 0.001"), (0.049, "0.049")]
)
def test_format_p_value_of_each_size(p_value, text):
    assert format_p_value(p_value) == text
