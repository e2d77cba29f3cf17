import pytest

from espnet_vibevoice.score.columns import find_direction
from espnet_vibevoice.score.comparison import compare_systems
from espnet_vibevoice.score.comparison_systems import open_systems
from espnet_vibevoice.score.stored import check_summary


def shorten(text):
    """Hear a text without its last word."""
    return " ".join(text.split()[:-1])


def compare(*folders, names=None):
    return compare_systems(open_systems(folders, names, None), draws=1000, seed=0)


def find(comparison, measure):
    return next(found for found in comparison.measures if found.measure == measure)


def test_compare_systems_whole_list_has_figures_of_the_summary(make_scores):
    folders = [
        make_scores("exp/a/d/test", failed=("fa_3",)),
        make_scores("exp/b/d/test", shorten),
    ]
    systems = open_systems(folders, None, None)
    comparison = compare_systems(systems, draws=1000, seed=0)
    for before, after in zip(systems, comparison.systems, strict=True):
        stored, taken_again = before.scores.summary, after.scores.summary
        assert taken_again.keys() == stored.keys()
        for measure, figures in stored.items():
            for system, figure in figures.items():
                again = taken_again[measure][system]
                for name in ("value", "low", "high", "n"):
                    assert again[name] == pytest.approx(figure[name]), (measure, system)
        check_summary(taken_again, "restricted")


def test_compare_systems_one_word_less_in_each_is_found(make_scores):
    comparison = compare(
        make_scores("exp/a/d/test"), make_scores("exp/b/d/test", shorten)
    )
    deletions = find(comparison, "word_deletions")
    assert {name: figure.value for name, figure in deletions.figures.items()} == {
        "natural": 0,
        "resynthesis": 0,
        "a": 0,
        "b": 6,
    }
    assert deletions.differences == {}  # totals have no spread
    wer = find(comparison, "wer")
    assert wer.differences["b"].difference == wer.figures["b"].value == 6 / 38
    assert wer.differences["b"].p_value == 2 / 2**6
    assert wer.judge("b") == "worse"
    assert wer.judge("a") == ""


def test_compare_systems_other_order_is_better(make_scores):
    comparison = compare(
        make_scores("exp/a/d/test", shorten), make_scores("exp/b/d/test")
    )
    assert find(comparison, "cer").judge("b") == "better"


def test_compare_systems_alike_are_not_judged(make_scores):
    comparison = compare(make_scores("exp/a/d/test"), make_scores("exp/b/d/test"))
    assert find(comparison, "cer").differences["b"].p_value == 1.0
    assert {found.judge("b") for found in comparison.measures} == {""}


def test_compare_systems_measure_without_direction_differs(make_scores):
    comparison = compare(
        make_scores("exp/a/d/test"),
        make_scores("exp/b/d/test", measures={"mcd": 4.0, "silence_share": 0.1}),
    )
    assert find(comparison, "silence_share").judge("b") == "differs"
    assert find(comparison, "mcd").judge("b") == "better"
    assert "natural" not in comparison.systems[0].scores.summary["mcd"]


def test_compare_systems_failed_utterance_counts_as_deleted(make_scores):
    comparison = compare(
        make_scores("exp/a/d/test"), make_scores("exp/b/d/test", failed=("fa_3",))
    )
    cer = find(comparison, "cer")
    assert cer.figures["b"].n == 6
    assert cer.figures["b"].value > 0
    mcd = find(comparison, "mcd")
    assert (mcd.figures["a"].n, mcd.figures["b"].n, mcd.differences["b"].n) == (6, 5, 5)
    failures = find(comparison, "failure_rate")
    assert (
        failures.figures["b"].value
        == find(comparison, "empty_rate").figures["b"].value
        == pytest.approx(1 / 6)
    )


def test_compare_systems_figures_are_those_of_common_utterances(make_scores):
    hard = {"fa_7": "این جمله فقط در فهرست دوم است"}
    easy = {"fa_1": "سلام دنیا خوب", "fa_2": "هوا امروز خوب است"}
    comparison = compare(
        make_scores("exp/a/d/test", references=easy),
        make_scores("exp/b/d/test", lambda text: text[:5], references=easy | hard),
    )
    assert comparison.agreement.utterances == ("fa_1", "fa_2")
    figures = find(comparison, "cer").figures
    assert figures["b"].value == (9 + 12) / (13 + 17)
    scores = comparison.systems[1].scores
    assert {row["utterance"] for row in scores.rows} == {"fa_1", "fa_2"}
    assert scores.summary["cer"]["synthesis"]["value"] == figures["b"].value


def test_compare_systems_three_are_compared_with_the_first(make_scores):
    comparison = compare(*(make_scores(f"exp/{tag}/d/test") for tag in "abc"))
    cer = find(comparison, "cer")
    assert list(cer.figures) == ["natural", "resynthesis", "a", "b", "c"]
    assert list(cer.differences) == ["b", "c"]


def test_compare_systems_measures_nobody_has_are_left_out(make_scores):
    comparison = compare(make_scores("exp/a/d/test"), make_scores("exp/b/d/test"))
    names = [found.measure for found in comparison.measures]
    assert "speaker_similarity" not in names
    assert names[:2] == ["cer", "wer"]


def test_compare_systems_damaged_cell_raises(make_scores):
    folders = [make_scores("exp/a/d/test"), make_scores("exp/b/d/test")]
    path = folders[1] / "score" / "utterances.tsv"
    path.write_text(path.read_text("utf-8").replace("\t5.01\t", "\tfive\t"), "utf-8")
    with pytest.raises(ValueError, match="fa_2, .*: mcd is 'five', want a number"):
        compare(*folders)


@pytest.mark.parametrize(
    ("measure", "direction"),
    [
        ("cer", -1),
        ("wer@whisper", -1),
        ("cut_rate", -1),
        ("mcd", -1),
        ("speaker_similarity", 1),
        ("duration_ratio", 0),
        ("versa_utmos", 0),
    ],
)
def test_find_direction_of_each_kind(measure, direction):
    assert find_direction(measure) == direction
