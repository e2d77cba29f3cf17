import pytest

from espnet_vibevoice.models.multispeaker_script import parse_script
from espnet_vibevoice.synthesis.texts import read_texts


def test_read_texts_script_with_a_byte_order_mark_is_a_script(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("Speaker 1: a\nSpeaker 2: b\n", encoding="utf-8-sig")
    (text,) = read_texts(None, str(path))
    assert parse_script(text).speakers == (0, 1)


def test_read_texts_script_in_another_encoding_raises(tmp_path):
    path = tmp_path / "talk.txt"
    path.write_text("سلام", encoding="cp1256")
    with pytest.raises(ValueError, match=r"--script .*talk\.txt: not UTF-8"):
        read_texts(None, str(path))


def test_read_texts_absent_script_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="--script .*: no such file"):
        read_texts(None, str(tmp_path / "absent.txt"))
