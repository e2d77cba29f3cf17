import pytest

from espnet_vibevoice.score.reason_list import read_reasons, write_reasons


def test_read_reasons_gives_what_was_written_on_one_line_each(tmp_path):
    path = tmp_path / "new" / "failures.tsv"
    write_reasons(path, {"b": "one\ntwo", "a": "0 bytes"})
    assert read_reasons(path) == {"b": "one two", "a": "0 bytes"}


def test_read_reasons_missing_file_is_no_failure(tmp_path):
    assert read_reasons(tmp_path / "failures.tsv") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\tb\n", ":1: want the header"), ("utterance\treason\na\n", ":2: want 2 col")],
)
def test_read_reasons_other_file_raises(tmp_path, text, message):
    path = tmp_path / "failures.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_reasons(path)
