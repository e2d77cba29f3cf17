import os
import re

import pytest

from espnet_vibevoice.data.kaldi import (
    count_lines,
    describe_ids,
    invert_utt2spk,
    read_lines,
    read_table,
    split_file,
    split_line,
    split_scp,
    write_table,
)


def test_read_table_persian_keeps_invisible_characters(tmp_path):
    # ZERO WIDTH NON-JOINER, NO-BREAK SPACE and LINE SEPARATOR are part of the text.
    text = "می\u200cروم\u00a0خانه\u2028آنجا"
    path = tmp_path / "text"
    path.write_bytes(f"a\t {text} \r\nb\n".encode())
    assert read_table(path) == {"a": text, "b": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1\nb 2\na 3\n", r"text:3: key 'a' is already in line 1"),
        (b"a 1\n\nb 2\n", r"text:2: a line must begin with a key, got ''"),
        (b"a 1\n b 2\n", r"text:2: a line must begin with a key, got ' b 2'"),
        (b"a 1\nb \xff\n", r"text:2: not UTF-8 \(byte 0xff at column 3\)"),
        (b"\xef\xbb\xbfa 1\n", r"text:1: byte order mark"),
    ],
)
def test_read_table_bad_line_raises_with_file_and_line(tmp_path, content, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)


def test_read_lines_empty_file_gives_none(tmp_path):
    (tmp_path / "x").write_bytes(b"")
    assert read_lines(tmp_path / "x") == []


def test_read_lines_without_last_newline_keeps_last_line(tmp_path):
    (tmp_path / "x").write_bytes(b"a 1\nb 2")
    assert read_lines(tmp_path / "x") == ["a 1", "b 2"]


def test_split_line_without_value_gives_empty_value():
    assert split_line("key") == ("key", "")


def test_write_table_sorts_by_bytes(tmp_path):
    # U+FF21 has smaller UTF-16 units than U+1F600, and Z comes before a in bytes.
    keys = ["b", "\U0001f600", "a", "Z", "\uff21", "ب"]
    write_table(tmp_path / "t", dict.fromkeys(keys, "x"))
    found = [line.split(b" ")[0] for line in (tmp_path / "t").read_bytes().splitlines()]
    assert found == sorted(key.encode() for key in keys)


def test_write_table_reads_back_equal(tmp_path):
    table = {"a": "سلام دنیا", "b": "", "c": "x y"}
    assert write_table(tmp_path / "t", table)
    assert read_table(tmp_path / "t") == table
    assert (tmp_path / "t").read_bytes().splitlines()[1] == b"b"


def test_write_table_equal_content_leaves_file_untouched(tmp_path):
    path = tmp_path / "t"
    write_table(path, {"a": 1})
    os.utime(path, ns=(1, 1))
    assert not write_table(path, {"a": "1"})
    assert path.stat().st_mtime_ns == 1
    assert write_table(path, {"a": "2"})
    assert path.stat().st_mtime_ns > 1


@pytest.mark.parametrize("table", [{"": "x"}, {"a b": "x"}, {"a": "x\ny"}])
def test_write_table_bad_row_raises(tmp_path, table):
    with pytest.raises(ValueError, match=re.escape(repr(next(iter(table))))):
        write_table(tmp_path / "t", table)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(("count", "nj"), [(10, 3), (3, 3), (7, 1), (2, 5), (100, 7)])
def test_split_scp_parts_are_equal_and_in_order(count, nj):
    lines = [str(i) for i in range(count)]
    parts = split_scp(lines, nj)
    sizes = [len(part) for part in parts]
    assert len(parts) == min(count, nj)
    assert max(sizes) - min(sizes) <= 1
    assert sum(parts, []) == lines


@pytest.mark.parametrize(("lines", "nj"), [([], 2), (["a"], 0)])
def test_split_scp_nothing_to_split_raises(lines, nj):
    with pytest.raises(ValueError, match="must be at least 1"):
        split_scp(lines, nj)


def test_invert_utt2spk_sorts_speakers_and_utterances():
    inverse = invert_utt2spk({"c": "s2", "b": "s1", "a": "s1"})
    assert list(inverse.items()) == [("s1", "a b"), ("s2", "c")]


def test_describe_ids_many_shows_first_ten():
    ids = [f"u{i:02d}" for i in range(12)]
    assert describe_ids(reversed(ids)) == f"12 ({', '.join(ids[:10])}, ...)"


@pytest.mark.parametrize(("count", "nj"), [(10, 3), (3, 3), (7, 1), (2, 5)])
def test_split_file_equals_split_scp(tmp_path, count, nj):
    lines = [f"u{i} سطر \u2028 {i}" for i in range(count)]
    (tmp_path / "t").write_text("\n".join(lines), encoding="utf-8")
    num_parts = split_file(tmp_path / "t", nj, str(tmp_path / "log" / "t.JOB.scp"))
    parts = [read_lines(tmp_path / "log" / f"t.{j + 1}.scp") for j in range(num_parts)]
    assert parts == split_scp(lines, nj)


def test_split_file_empty_raises(tmp_path):
    (tmp_path / "t").write_bytes(b"")
    with pytest.raises(ValueError, match="Cannot split 0 lines into 2 parts"):
        split_file(tmp_path / "t", 2, str(tmp_path / "JOB"))


@pytest.mark.parametrize(("content", "count"), [(b"", 0), (b"a\nb", 2), (b"a\nb\n", 2)])
def test_count_lines_with_or_without_last_newline(tmp_path, content, count):
    (tmp_path / "t").write_bytes(content)
    assert count_lines(tmp_path / "t") == count
