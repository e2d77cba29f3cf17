import pytest

from espnet_vibevoice.data.dropped import (
    Dropped,
    check_dropped_share,
    count_reasons,
    read_dropped,
    read_dropped_of,
    write_dropped,
)


def test_write_dropped_reads_back_sorted_on_one_line_each(tmp_path):
    path = tmp_path / "dropped.tsv"
    entries = {"b": Dropped("x", "two\n lines\t"), "a": Dropped("y", "1", "2 s")}
    write_dropped(path, entries)
    assert list(read_dropped(path).items()) == [
        ("a", Dropped("y", "1", "2 s")),
        ("b", Dropped("x", "two lines")),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\tc\n", "dropped.tsv:1: want the header"),
        ("", "dropped.tsv:1: want the header"),
        (
            "utterance\treason\tvalue\tlimit\na\tb\n",
            "dropped.tsv:2: want 4 columns, got 2",
        ),
    ],
)
def test_read_dropped_other_file_raises(tmp_path, content, message):
    (tmp_path / "dropped.tsv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_dropped(tmp_path / "dropped.tsv")


def test_count_reasons_puts_most_frequent_first():
    dropped = {str(i): Dropped(reason, "") for i, reason in enumerate("abb")}
    assert list(count_reasons(dropped).items()) == [("b", 2), ("a", 1)]


def test_write_dropped_tab_in_id_keeps_the_columns(tmp_path):
    write_dropped(tmp_path / "dropped.tsv", {"a\tb": Dropped("tab_in_id", "x")})
    assert list(read_dropped(tmp_path / "dropped.tsv")) == ["a\\tb"]


def test_write_dropped_what_was_read_gives_same_bytes(tmp_path):
    path = tmp_path / "dropped.tsv"
    names = ("a\tb", "a4", "a", "a b", "ab")
    write_dropped(path, {name: Dropped("x", "1") for name in names})
    first = path.read_bytes()
    write_dropped(path, read_dropped(path))
    assert path.read_bytes() == first


def test_write_dropped_long_value_is_cut(tmp_path):
    write_dropped(tmp_path / "dropped.tsv", {"a": Dropped("no_letters", "؟" * 999)})
    value = read_dropped(tmp_path / "dropped.tsv")["a"].value
    assert len(value) == 200 and value.endswith("؟...")


def test_read_dropped_of_directory_without_list_is_empty(tmp_path):
    assert read_dropped_of(tmp_path) == {}


def test_check_dropped_share_above_names_largest_reason_and_way_out():
    dropped = {str(i): Dropped("too_long", "31 s", "30 s") for i in range(3)}
    dropped["x"] = Dropped("clipped", "1 %")
    message = (
        r"4 of 200 utterances are unusable, the limit is 1.00%: 0: too_long: 31 s; .*"
        r"The largest reason is too_long: 3 \(1.50%\). All are in list: .*"
        r"raise --max_wav_duration .*or raise --max_dropped"
    )
    with pytest.raises(ValueError, match=message):
        check_dropped_share(dropped, 200, 0.01, "list")


def test_check_dropped_share_at_the_limit_passes():
    check_dropped_share({"a": Dropped("silent", "")}, 100, 0.01, "list")
