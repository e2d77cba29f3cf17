"""espnet_vibevoice.bin.normalize_text: lines in, lines out."""

import io

import pytest

RAW = "۵ کتاب\r\n\nقیمت: $۱۰ 😊\n"
READ = "پنج کتاب\n\nقیمت: ده دلار\n"


class StandardInput:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "raw.txt"
    path.write_bytes(RAW.encode())
    return path


def test_normalize_file_gives_one_line_for_each(run, raw, caplog):
    status, out, _ = run("normalize_text", raw)
    assert (status, out) == (0, READ)
    assert f"{raw}:3: dropped" in caplog.text and "U+1F60A" in caplog.text


def test_normalize_standard_input_gives_lines(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", StandardInput(RAW.encode()))
    assert run("normalize_text")[:2] == (0, READ)


def test_normalize_out_writes_the_file(run, raw, tmp_path):
    out = tmp_path / "new" / "read.txt"
    assert run("normalize_text", raw, "--out", out)[:2] == (0, "")
    assert out.read_text(encoding="utf-8") == READ


def test_normalize_raw_id_keeps_first_column(run, tmp_path, caplog):
    path = tmp_path / "text"
    path.write_text("fa_0012 ۱۲ نفر б\nfa_13\nfa_14\t۳٪\n", encoding="utf-8")
    status, out, _ = run("normalize_text", "--raw-id", path)
    assert (status, out) == (0, "fa_0012 دوازده نفر\nfa_13\nfa_14 سه درصد\n")
    assert "fa_0012: dropped" in caplog.text


def test_normalize_show_unknown_lists_characters(run, tmp_path):
    path = tmp_path / "raw.txt"
    path.write_text("ббд\n", encoding="utf-8")
    _, _, err = run("normalize_text", "--show-unknown", path)
    assert "2\tU+0431\tб\tCYRILLIC SMALL LETTER BE\n1\tU+0434\tд\t" in err


def test_normalize_bad_utf8_names_line_and_leaves_out_alone(run, raw, tmp_path):
    out = tmp_path / "read.txt"
    out.write_text("before", encoding="utf-8")
    raw.write_bytes("خوب\n".encode() + b"\xc7\xe1\n")
    status, _, err = run("normalize_text", raw, "--out", out)
    assert status == 1
    assert f"{raw}:2: byte 1 (0xc7) is not UTF-8" in err
    assert out.read_text(encoding="utf-8") == "before"


def test_normalize_missing_file_is_named(run, tmp_path):
    status, _, err = run("normalize_text", tmp_path / "none.txt")
    assert status == 1 and "none.txt" in err
