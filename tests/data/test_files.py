import os

import pytest

from espnet_vibevoice.data.files import write_lines, write_text


def test_write_text_new_file_makes_its_folder(tmp_path):
    path = tmp_path / "a" / "b.txt"
    assert write_text(path, "سلام\n") is True
    assert path.read_text(encoding="utf-8") == "سلام\n"


def test_write_text_same_content_leaves_the_file_alone(tmp_path):
    path = tmp_path / "b.txt"
    write_text(path, "one")
    os.utime(path, (1, 1))
    assert write_text(path, "one") is False
    assert path.stat().st_mtime == 1


@pytest.mark.parametrize("text", ["two", "longer"])
def test_write_text_other_content_replaces_it(tmp_path, text):
    path = tmp_path / "b.txt"
    write_text(path, "one")
    assert write_text(path, text) is True
    assert path.read_text(encoding="utf-8") == text
    assert [file.name for file in tmp_path.iterdir()] == ["b.txt"]


def test_write_lines_ends_each_with_a_newline(tmp_path):
    path = tmp_path / "b.txt"
    write_lines(path, ["a", "b\u2028c"])  # LINE SEPARATOR ends no line
    assert path.read_bytes() == "a\nb\u2028c\n".encode()
    write_lines(path, [])
    assert path.read_bytes() == b""
