"""Scripts that cannot be spoken are refused before a model is loaded."""

import numpy as np
import pytest

from espnet_vibevoice.models.config import load_config
from espnet_vibevoice.synthesis import loading
from espnet_vibevoice.synthesis.loading import ModelChoice, load_speaker
from espnet_vibevoice.synthesis.script_checks import check_scripts
from espnet_vibevoice.synthesis.voice_files import VoiceOptions
from espnet_vibevoice.text.cleaners import keep_text
from espnet_vibevoice.text.tokenizer import load_tokenizer

VOICE = np.ones(6400, dtype=np.float32)
TALK = "Speaker 1: ab\nSpeaker 2: cd"
FIVE = "\n".join(f"Speaker {number}: a" for number in range(1, 6))
BAD = [
    (TALK, {0: VOICE}, "speaker 1, counted from 0, has no voice"),
    (FIVE, {}, "the script has speaker 5: there can be 4"),
    ("Speaker 1: ab\nSpeaker 2:", {}, "has no text"),
    ("Speaker 1: ...", {}, "neither letters nor digits"),
    ("", {}, "the script is empty"),
    ("ab " * 1000, {}, "no room to speak. Split the script"),
    (TALK, {0: VOICE, 1: np.ones(3200 * 1100)}, "take shorter voices"),
]


@pytest.fixture
def check(tiny_multispeaker_base):
    folder = tiny_multispeaker_base
    tokenizer, config = load_tokenizer(folder), load_config(folder)
    return lambda text, voices: check_scripts(
        [text], keep_text, tokenizer, config, voices
    )


@pytest.mark.parametrize(("text", "voices", "message"), BAD)
def test_check_scripts_bad_script_raises(check, text, voices, message):
    with pytest.raises(ValueError, match=message):
        check(text, voices)


@pytest.mark.parametrize("voices", [{}, {0: VOICE, 1: VOICE}])
def test_check_scripts_good_script_passes(check, voices):
    check(TALK, voices)


def test_load_speaker_checks_scripts_before_the_model(
    tiny_multispeaker_base, monkeypatch
):
    monkeypatch.setattr(loading, "_load_model", lambda *args: pytest.fail("loaded"))
    choice = ModelChoice(base=str(tiny_multispeaker_base))
    with pytest.raises(ValueError, match="there can be 4"):
        load_speaker(choice, {}, VoiceOptions(), {}, [FIVE])
