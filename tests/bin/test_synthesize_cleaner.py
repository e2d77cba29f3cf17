"""The command that speaks reads texts aloud as the training did."""

import io
import sys

from espnet_vibevoice.synthesis.texts import read_aloud, read_texts
from espnet_vibevoice.text.cleaners import find_cleaner

RAW, READ = "<b>صفحهٔ</b> ۳ 😀", "صفحهٔ سه"


def test_read_aloud_reads_each_line_and_tells_what_is_lost(caplog):
    text = f"Speaker 1: {RAW}\nSpeaker 2: {RAW}"
    read = read_aloud(text, find_cleaner("persian"))
    assert read == f"Speaker 1: {READ}\nSpeaker 2: {READ}"
    assert caplog.text.count("U+1F600") == 2


def test_read_texts_takes_each_of_the_ways(tmp_path, monkeypatch):
    (tmp_path / "talk.txt").write_text("a\nb", encoding="utf-8")
    assert list(read_texts("x", None)) == ["x"]
    assert list(read_texts(None, str(tmp_path / "talk.txt"))) == ["a\nb"]
    for script, wanted in (("-", ["a\nb\n"]), (None, ["a\n", "b\n"])):
        monkeypatch.setattr(sys, "stdin", io.StringIO("a\nb\n"))
        assert list(read_texts(None, script)) == wanted


def test_command_with_a_cleaner_speaks_what_is_read(run, tiny_base, tmp_path):
    made = []
    for name, words in (("raw", ["<b>ab</b> cd", "persian"]), ("plain", ["ab cd"])):
        out = tmp_path / f"{name}.wav"
        cleaner = ["--cleaner", words[1]] if len(words) > 1 else []
        options = ["--base", tiny_base, "--text", words[0], "--out", out, *cleaner]
        assert run("synthesize", *options, "--max_frames", 2)[0] == 0
        made.append(out.read_bytes())
    assert made[0] == made[1]
