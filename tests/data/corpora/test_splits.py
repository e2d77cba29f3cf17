"""Sets are disjoint, repeatable and stable when a corpus grows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from espnet_vibevoice.data.corpora.index import CorpusIndex, IndexedUtterance
from espnet_vibevoice.data.corpora.splits import SetSize, SplitOptions, assign_sets

Rows = list[tuple[str, str, str, str | None]]  # id, sentence, speaker, set


def make_rows(count: int, split: str | None = None) -> Rows:
    """Make ``count`` utterances; each sentence twice, 40 speakers."""
    return [(f"u{i:04d}", f"text {i // 2}", f"s{i % 40}", split) for i in range(count)]


@contextmanager
def index_of(path: Path, rows: Rows) -> Iterator[CorpusIndex]:
    with CorpusIndex(path / "index") as index:
        for utt_id, text, speaker, split in rows:
            index.add(
                IndexedUtterance(utt_id, "a", text, text, text, speaker, split, {})
            )
        index.finish_adding()
        yield index


def split_rows(path: Path, rows: Rows, options: SplitOptions) -> dict[str, str]:
    """Return the set of each utterance that is left."""
    with index_of(path, rows) as index:
        assign_sets(index, options)
        return {
            utterance.utt_id: name
            for name in ("train", "valid", "test")
            for utterance in index.list_utterances(name)
        }


def check_disjoint(sets: dict[str, str], rows: Rows, column: int) -> None:
    owner: dict[str, str] = {}
    for row in rows:
        if row[0] in sets:
            assert owner.setdefault(row[column], sets[row[0]]) == sets[row[0]]


SHARES = SplitOptions(SetSize(share=0.1), SetSize(share=0.2))


def test_assign_sets_by_share_shares_no_sentence_and_has_its_size(tmp_path):
    rows = make_rows(2000)
    sets = split_rows(tmp_path, rows, SHARES)
    assert len(sets) == 2000
    check_disjoint(sets, rows, 1)
    names = list(sets.values())
    assert 140 < names.count("valid") < 230
    assert 340 < names.count("test") < 460


@pytest.mark.parametrize("by_speaker", [False, True])
def test_assign_sets_by_share_grown_corpus_moves_nothing(tmp_path, by_speaker):
    options = SplitOptions(SetSize(share=0.2), SetSize(share=0.2), by_speaker, seed=1)
    small = split_rows(tmp_path, make_rows(500), options)
    large = split_rows(tmp_path, make_rows(1000), options)
    if by_speaker:  # a new sentence may be in two sets now, and stays in the better one
        assert all(large.get(utt_id, name) == name for utt_id, name in small.items())
    else:
        assert {utt_id: large[utt_id] for utt_id in small} == small


def test_assign_sets_order_of_rows_changes_nothing(tmp_path):
    rows = make_rows(300)
    first = split_rows(tmp_path, rows, SHARES)
    assert split_rows(tmp_path, rows[::-1], SHARES) == first
    other = SplitOptions(SHARES.valid_size, SHARES.test_size, seed=1)
    assert split_rows(tmp_path, rows, other) != first


def test_assign_sets_by_count_gives_the_count(tmp_path):
    options = SplitOptions(SetSize(count=20), SetSize(count=30))
    rows = make_rows(400)
    sets = split_rows(tmp_path, rows, options)
    names = list(sets.values())
    assert (names.count("valid"), names.count("test")) == (20, 30)
    check_disjoint(sets, rows, 1)


def test_assign_sets_by_count_grown_corpus_moves_few(tmp_path):
    options = SplitOptions(SetSize(count=40), SetSize(count=40))
    small = split_rows(tmp_path, make_rows(400), options)
    large = split_rows(tmp_path, make_rows(440), options)
    moved = [utt_id for utt_id in small if small[utt_id] != large[utt_id]]
    assert len(moved) <= 2 * 40  # at most one out for each one in, of both sets


def test_assign_sets_by_speaker_shares_no_speaker(tmp_path):
    rows = [(f"u{i:04d}", f"text {i // 3}", f"s{i % 20:02d}", None) for i in range(600)]
    options = SplitOptions(SetSize(share=0.2), SetSize(share=0.2), by_speaker=True)
    with index_of(tmp_path, rows) as index:
        assign_sets(index, options)
        refused = list(index.list_refused())
    sets = split_rows(tmp_path, rows, options)
    check_disjoint(sets, rows, 1)
    check_disjoint(sets, rows, 2)
    assert len(sets) + len(refused) == 600
    assert {row.reason for row in refused} == {"duplicate_text"}


def test_assign_sets_given_ones_are_kept_and_duplicates_leave_the_lesser(tmp_path):
    rows = [
        ("a", "one", "s1", "train"),
        ("b", "one", "s2", "test"),
        ("c", "two", "s2", "valid"),
        ("d", "two", "s2", "test"),
        ("e", "three", "s3", "train"),
        ("f", "four", "s4", "valid"),
    ]
    with index_of(tmp_path, rows) as index:
        assign_sets(index, SplitOptions())
        refused = {row.name: (row.reason, row.limit) for row in index.list_refused()}
    assert refused == {
        "a": ("duplicate_text", "not in train what test has"),
        "c": ("duplicate_text", "not in valid what test has"),
    }
    assert split_rows(tmp_path, rows, SplitOptions()) == {
        "e": "train",
        "f": "valid",
        "b": "test",
        "d": "test",
    }


def test_assign_sets_speaker_in_given_test_set_leaves_train(tmp_path):
    rows = [("a", "1", "s", "train"), ("b", "2", "s", "test"), ("c", "3", "t", "train")]
    options = SplitOptions(SetSize(count=0), by_speaker=True)
    assert split_rows(tmp_path, rows, options) == {"c": "train", "b": "test"}


def test_assign_sets_missing_set_is_drawn_from_train_only(tmp_path):
    rows = make_rows(200, "train") + [("t", "other", "s99", "test")]
    sets = split_rows(tmp_path, rows, SHARES)
    assert [utt_id for utt_id, name in sets.items() if name == "test"] == ["t"]
    assert 0 < list(sets.values()).count("valid") < 60


def test_assign_sets_nothing_to_draw_is_refused(tmp_path):
    with pytest.raises(
        ValueError,
        match="The set test is empty: .* wanted valid 0.01 of.*--local_data_opts",
    ):
        split_rows(tmp_path, [("a", "1", "s", None)], SplitOptions(seed=3))
    with pytest.raises(ValueError, match="The set train is empty"):
        split_rows(
            tmp_path,
            [("a", "1", "s", None)],
            SplitOptions(SetSize(count=0), SetSize(count=1)),
        )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.02", SetSize(share=0.02)),
        ("2%", SetSize(share=0.02)),
        ("200", SetSize(count=200)),
        ("0", SetSize(count=0)),
    ],
)
def test_set_size_parse_tells_share_from_count(text, size):
    assert SetSize.parse(text) == size


@pytest.mark.parametrize("text", ["", "many", "1.5", "-3", "100%", "nan"])
def test_set_size_parse_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="wanted a share .* or a number of utt"):
        SetSize.parse(text)
