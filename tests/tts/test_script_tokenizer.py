import pytest

from espnet_vibevoice.models.multispeaker_script import build_prompt_ids, parse_script
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.conf import load_base_tokenizer
from espnet_vibevoice.tts.script_tokenizer import ScriptTokenizer

DIALOGUE = "Speaker 1: سلام. Speaker 2: درود. Speaker 1: خوب است."


@pytest.fixture(scope="module")
def tokenizer(tiny_multispeaker_base):
    return load_tokenizer(tiny_multispeaker_base, kind=ScriptTokenizer)


def test_load_base_tokenizer_follows_the_family(tiny_base, tiny_multispeaker_base):
    kinds = {
        str(base): type(load_base_tokenizer({"base": str(base)})).__name__
        for base in (tiny_base, tiny_multispeaker_base)
    }
    assert list(kinds.values()) == ["TextTokenizer", "ScriptTokenizer"]


@pytest.mark.parametrize("text", ["سلام", DIALOGUE])
@pytest.mark.parametrize("frames", [(), (3, 2)])
def test_encode_gives_the_whole_prompt(tokenizer, text, frames):
    wanted = build_prompt_ids(tokenizer, parse_script(text), frames).ids.tolist()
    assert tokenizer.encode(text, frames) == wanted


def test_encode_plain_line_is_speaker_0(tokenizer):
    assert tokenizer.encode("سلام") == tokenizer.encode("Speaker 0: سلام")
    decoded = tokenizer.decode_part(tokenizer.encode("سلام"))
    assert decoded.endswith(
        " Text input:\n Speaker 0: سلام\n Speech output:\n<|vision_start|>"
    )


@pytest.mark.parametrize(
    ("text", "frames", "message"),
    [
        ("Speaker 1: سلام. Speaker 2: ", (), "turn 2 of the script, .* has no text"),
        ("Speaker 1: سلام. Speaker 2: !!", (), "'!!' has neither letters nor digits"),
        (" ", (), "script is empty"),
        ("Speaker 1: a Speaker 5: b", (), "speaker 5: there can be 4"),
        (DIALOGUE, (3,), "speakers up to 1, .* but there are 1 voices"),
        (DIALOGUE, (3, 0), "speaker 1 has 0 frames, wanted at least 1"),
    ],
)
def test_encode_what_cannot_be_spoken_raises(tokenizer, text, frames, message):
    with pytest.raises(ValueError, match=message):
        tokenizer.encode(text, frames)


@pytest.mark.parametrize(("text", "count"), [("سلام", 1), (DIALOGUE, 2)])
def test_count_speakers_of_a_prompt(tokenizer, text, count):
    assert tokenizer.count_speakers(tokenizer.encode(text)) == count


@pytest.mark.parametrize("text", ["سلام Speaker", DIALOGUE])
def test_add_voices_equals_encoding_with_them(tokenizer, text):
    ids = tokenizer.encode(text)
    num_speakers = tokenizer.count_speakers(ids)
    added = tokenizer.add_voices(ids, [5, 3, 9])
    assert added == tokenizer.encode(text, [5, 3, 9][:num_speakers])


def test_add_voices_too_few_raises(tokenizer):
    with pytest.raises(ValueError, match="has 2 speakers, but there are 1 voices"):
        tokenizer.add_voices(tokenizer.encode(DIALOGUE), [5])


def test_count_spoken_counts_the_turns_alone(tokenizer):
    turns = " Speaker 0: سلام.\n Speaker 1: درود.\n Speaker 0: خوب است.\n"
    count = len(tokenizer.encode_part(turns))
    assert tokenizer.count_spoken(DIALOGUE) == count
    assert tokenizer.count_script_tokens(tokenizer.encode(DIALOGUE, [4, 4])) == count
