import pytest

from espnet_vibevoice.data.dropped import (
    Dropped,
    count_reasons,
    read_dropped,
    write_dropped,
)


def test_write_dropped_reads_back_sorted_on_one_line_each(tmp_path):
    path = tmp_path / "dropped.tsv"
    write_dropped(path, {"b": Dropped("x", "two\n lines\t"), "a": Dropped("y", "1")})
    assert list(read_dropped(path).items()) == [
        ("a", Dropped("y", "1")),
        ("b", Dropped("x", "two lines")),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\tb\tc\n", "dropped.tsv:1: want the header"),
        ("", "dropped.tsv:1: want the header"),
        ("utterance\treason\tvalue\na\tb\n", "dropped.tsv:2: want 3 columns, got 2"),
    ],
)
def test_read_dropped_other_file_raises(tmp_path, content, message):
    (tmp_path / "dropped.tsv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_dropped(tmp_path / "dropped.tsv")


def test_count_reasons_puts_most_frequent_first():
    dropped = {str(i): Dropped(reason, "") for i, reason in enumerate("abb")}
    assert list(count_reasons(dropped).items()) == [("b", 2), ("a", 1)]
