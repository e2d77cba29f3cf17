import pytest

from espnet_vibevoice.score.comparison_votes import (
    VOTE_COLUMNS,
    count_preferences,
    read_votes,
)

NAMES = ["natural", "base", "tuned"]
HEADER = [*VOTE_COLUMNS[:3], "side_a", *VOTE_COLUMNS[3:]]


def make_vote(utterance="fa_1", a="base", b="tuned", vote="system_b", **changes):
    given = {"side_a": "B", "listener": "one", "time": "2026-05-01T10:00:00Z"}
    given |= changes
    return [utterance, a, b, given["side_a"], vote, given["listener"], given["time"]]


@pytest.fixture
def write(tmp_path):
    def write_file(*rows, name="votes.tsv", header=HEADER):
        path = tmp_path / name
        lines = ["\t".join(row) + "\n" for row in [header, *rows]]
        path.write_text("".join(lines), encoding="utf-8")
        return path

    return write_file


def count(path, utterances=("fa_1", "fa_2", "fa_3")):
    return count_preferences(read_votes([path], NAMES), NAMES, utterances)


def test_count_preferences_votes_go_to_names_not_to_sides(write):
    path = write(
        make_vote("fa_1", vote="system_b"),
        make_vote("fa_2", a="tuned", b="base", vote="system_a"),
        make_vote("fa_3", vote="system_a"),
        make_vote("fa_3", vote="same", listener="two"),
    )
    (found,) = count(path)
    assert (found.system, found.other) == ("tuned", "base")
    assert (found.wins, found.losses, found.ties) == (2, 1, 1)
    assert (found.share.value, found.share.n) == (2 / 3, 3)


def test_count_preferences_ten_of_ten_has_exact_p_value(write):
    path = write(*(make_vote(f"fa_{i}") for i in range(10)))
    (found,) = count(path, [f"fa_{i}" for i in range(10)])
    assert found.p_value == pytest.approx(2 / 2**10)
    # Wilson: n / (n + z^2)
    assert found.share.low == pytest.approx(10 / 13.8415, rel=1e-4)
    assert found.share.high == 1.0


def test_count_preferences_ties_only_have_no_share(write):
    (found,) = count(write(make_vote(vote="same")))
    assert (found.ties, found.share.value, found.p_value) == (1, None, None)


def test_count_preferences_each_pair_apart_and_other_utterances_left_out(write):
    path = write(
        make_vote("fa_1"),
        make_vote("fa_1", a="tuned", b="natural", vote="system_b"),
        make_vote("fa_9"),
    )
    found = count(path)
    assert [(f.system, f.other, f.wins, f.losses) for f in found] == [
        ("tuned", "natural", 0, 1),
        ("tuned", "base", 1, 0),
    ]


def test_read_votes_saved_twice_count_once_and_the_newest(write):
    late = make_vote("fa_1", vote="same", time="2026-05-01T10:05:00Z")
    first = write(late, make_vote("fa_2"), name="second.tsv")
    second = write(make_vote("fa_1"), name="first.tsv")
    votes = read_votes([first, second], NAMES)
    assert sorted((v.utterance, v.vote) for v in votes) == [
        ("fa_1", "same"),
        ("fa_2", "system_b"),
    ]


def test_read_votes_two_listeners_are_two(write):
    path = write(make_vote(), make_vote(listener="two"))
    assert len(read_votes([path], NAMES)) == 2


def test_read_votes_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.tsv: no such file of votes"):
        read_votes([tmp_path / "none.tsv"], NAMES)


def test_read_votes_other_table_raises(write):
    path = write(header=["utterance", "cer"])
    with pytest.raises(ValueError, match="votes.tsv:1: want the columns utterance"):
        read_votes([path], NAMES)


def test_read_votes_empty_file_raises(tmp_path):
    path = tmp_path / "votes.tsv"
    path.touch()
    with pytest.raises(ValueError, match=":1: want the columns"):
        read_votes([path], NAMES)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (make_vote(a="other"), "'other' is none of the systems natural, base, tuned"),
        (make_vote(a="tuned"), "'tuned' is on both sides"),
        (make_vote(vote="A"), "vote is 'A', want one of system_a, system_b, same"),
        (["fa_1", "base"], "got 2 columns, want 7"),
    ],
)
def test_read_votes_bad_line_raises_with_its_place(write, row, message):
    with pytest.raises(ValueError, match=f"votes.tsv:3: {message}"):
        read_votes([write(make_vote(), row)], NAMES)
