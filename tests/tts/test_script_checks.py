import pytest

from espnet_vibevoice.data.kaldi import write_table
from espnet_vibevoice.tts.preprocessor import PromptSource
from espnet_vibevoice.tts.script_checks import check_lengths, count_speakers


def test_count_speakers_of_each_line(tmp_path):
    lines = {"a": "سلام", "b": "Speaker 1: سلام. Speaker 2: درود. Speaker 3: خوب"}
    write_table(tmp_path / "text", lines)
    assert count_speakers(tmp_path / "text") == {"a": 1, "b": 3}


def test_count_speakers_bad_lines_raises_with_all_of_them(tmp_path):
    lines = {"a": "سلام", "b": "Speaker 1: Speaker 2: درود", "c": "Speaker 9: سلام"}
    write_table(tmp_path / "text", lines)
    message = "2 lines cannot be spoken: b: turn 1 .* no text.*; c: .*"
    with pytest.raises(ValueError, match=message):
        count_speakers(tmp_path / "text")


@pytest.fixture
def shape_files(tmp_path):
    write_table(tmp_path / "text_shape.hugging_face", {"a": 300, "b": 700})
    write_table(tmp_path / "speech_shape", {"a": 200, "b": 310})
    return [str(tmp_path / n) for n in ("text_shape.hugging_face", "speech_shape")]


def test_check_lengths_counts_text_frames_and_voices(
    tiny_multispeaker_base, shape_files
):
    base = str(tiny_multispeaker_base)  # reads 1024 positions
    check_lengths(base, shape_files, None)
    prompts = PromptSource({"a": "b", "b": "a"}, None, 0.2, 300, False)
    message = r"1 utterances .* more than the 1024 positions .*: b \(1258 positions\)"
    with pytest.raises(ValueError, match=message):
        check_lengths(base, shape_files, prompts)
