import os

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.audio_source import AudioSource, SourceList
from espnet_vibevoice.errors import UtteranceError


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "a.wav"
    ramp = np.arange(-400, 400, dtype=np.float32) / 1024
    write_wav(path, ramp, 8000)
    return path


def test_load_command_equals_file(wav):
    from_file, fs = AudioSource("u", str(wav)).load()
    from_command, command_fs = AudioSource("u", f"cat {wav} |").load()
    assert (from_file == from_command).all() and fs == command_fs == 8000


def test_load_segment_of_command_equals_slice(wav):
    whole, _ = AudioSource("u", str(wav)).load()
    part, _ = AudioSource("u", f"cat {wav} |", 0.01, 0.02).load()
    assert (part == whole[80:160]).all()


def test_load_failing_command_raises_with_its_message():
    source = AudioSource("u7", "echo no such codec >&2; exit 3 |")
    message = "u7: command_failed: .* status 3: no such codec"
    with pytest.raises(UtteranceError, match=message):
        source.load()


def test_load_missing_file_raises_with_utterance(tmp_path):
    with pytest.raises(UtteranceError, match="u1: unreadable: .*none.wav: no such"):
        AudioSource("u1", str(tmp_path / "none.wav")).load()


def test_fingerprint_changes_with_file_and_segment(wav):
    source = AudioSource("u", str(wav))
    first = source.fingerprint()
    assert source.fingerprint() == first
    assert AudioSource("u", str(wav), 0.0, 0.05).fingerprint() != first
    os.utime(wav, ns=(1, 1))
    assert source.fingerprint() != first


def test_source_list_with_segments_joins_recordings(tmp_path):
    (tmp_path / "wav.scp").write_text("r1 /x y/1.wav\nr2 cat 2.wav |\n")
    (tmp_path / "segments").write_text("a r1 0.5 1.25\nb r2 2 -1\n")
    assert list(SourceList(tmp_path / "wav.scp", tmp_path / "segments")) == [
        AudioSource("a", "/x y/1.wav", 0.5, 1.25),
        AudioSource("b", "cat 2.wav |", 2.0, None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a r1 0.5", "a: want 'recording start end'"),
        ("a r1 0.5 x", "a: want 'recording start end'"),
        ("a r9 0 1", "a: recording 'r9' is not in"),
        ("a r1 nan 1", "a: times must be numbers"),
    ],
)
def test_source_list_bad_segment_raises(tmp_path, line, message):
    (tmp_path / "wav.scp").write_text("r1 1.wav\n")
    (tmp_path / "segments").write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        list(SourceList(tmp_path / "wav.scp", tmp_path / "segments"))


def test_source_list_counts_before_it_reads(tmp_path):
    (tmp_path / "wav.scp").write_text("a 1.wav\nb /x y/2.wav\n")
    sources = SourceList(tmp_path / "wav.scp")
    assert len(sources) == 2
    twice = [list(sources), list(sources)]
    assert twice[0] == twice[1]
    assert twice[0][1] == AudioSource("b", "/x y/2.wav")


def test_load_longer_than_allowed_raises_with_utterance(wav):
    with pytest.raises(UtteranceError, match="u: too_long: .*limit 0.05 s") as caught:
        AudioSource("u", str(wav)).load(max_sec=0.05)
    assert caught.value.limit == "0.05 s"
