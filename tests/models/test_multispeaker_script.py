import pytest
import torch

from espnet_vibevoice.models.multispeaker_script import (
    SYSTEM_SENTENCE,
    MultispeakerScript,
    build_prompt_ids,
    find_speech_tokens,
    parse_script,
)
from espnet_vibevoice.text.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_multispeaker_base):
    return load_tokenizer(tiny_multispeaker_base)


def spell(tokenizer, ids):
    tokens = tokenizer.vocabulary()
    start, end, frame = "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"
    signs = {start: "[", end: "]", frame: "*", "Ġ": " ", "Ċ": "\n"}
    return "".join(signs.get(tokens[i], tokens[i]) for i in ids)


@pytest.mark.parametrize(
    ("text", "speakers", "lines"),
    [
        ("Salam.", (0,), ("Salam.",)),
        ("one\n\n two \n", (0, 0), ("one", "two")),
        ("Speaker 0: a\nSpeaker 2: b", (0, 2), ("a", "b")),
        ("Speaker 1: a\nSpeaker 2: b\nSpeaker 1: c", (0, 1, 0), ("a", "b", "c")),
        ("speaker  2 :  a  b ", (1,), ("a  b",)),
        ("Speaker 1: a: b Speaker 2: c", (0, 1), ("a: b", "c")),
        ("Loudspeaker 1: a", (0,), ("Loudspeaker 1: a",)),
    ],
)
def test_parse_script_gives_turns_counted_from_0(text, speakers, lines):
    assert parse_script(text) == MultispeakerScript(speakers, lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n ", "the script is empty"),
        ("Speaker 0: a\nb", "line 2 of the script, 'b', has no 'Speaker N:'"),
        ("Speaker 0: a\nSpeaker 1:", "turn 2 of the script, 'Speaker 1:', has no text"),
        ("Speaker 0: Speaker 1: b", "turn 1 of the script, 'Speaker 0:', has no text"),
        ("Speaker 0: a\nSpeaker 4: b", "the script has speaker 4: there can be 4"),
        ("Speaker 1: a\nSpeaker 5: b", "the script has speaker 5: there can be 4"),
    ],
)
def test_parse_script_that_is_faulty_raises(text, message):
    with pytest.raises(ValueError, match=message):
        parse_script(text)


def test_prompt_with_voices_has_the_processors_layout(tokenizer):
    script = parse_script("Speaker 1: Hi\nSpeaker 2: Bye\nSpeaker 1: Oh")
    layout = build_prompt_ids(tokenizer, script, (3, 1))
    assert spell(tokenizer, layout.ids) == SYSTEM_SENTENCE + (
        " Voice input:\n Speaker 0:[***]\n Speaker 1:[*]\n Text input:\n"
        " Speaker 0: Hi\n Speaker 1: Bye\n Speaker 0: Oh\n Speech output:\n["
    )
    assert layout.voice_mask.sum() == 4 and layout.ids.dtype == torch.int64
    tokens = find_speech_tokens(tokenizer)
    assert torch.equal(layout.voice_mask, layout.ids == tokens.speech_diffusion)


def test_prompt_without_voices_has_no_voice_section(tokenizer):
    layout = build_prompt_ids(tokenizer, parse_script("سلام"))  # seen, lam, alef, mim
    spelt = spell(tokenizer, layout.ids)
    assert spelt.startswith(SYSTEM_SENTENCE + " Text input:\n Speaker 0: ")
    assert spelt.endswith("\n Speech output:\n[") and not layout.voice_mask.any()


@pytest.mark.parametrize(
    ("text", "voices", "message"),
    [
        ("Speaker 0: a\nSpeaker 1: b", (2,), "speakers up to 1.*there are 1 voices"),
        ("a", (2, 0), "the voice of speaker 1 has 0 frames"),
        ("a", (1, 1, 1, 1, 1), "5 voices: there can be 4"),
        ("a <|vision_end|> b", (), "holds one of the tokens that control speech"),
        ("a <|endoftext|>", (), "holds one of the tokens that control speech"),
    ],
)
def test_prompt_that_cannot_be_laid_out_raises(tokenizer, text, voices, message):
    with pytest.raises(ValueError, match=message):
        build_prompt_ids(tokenizer, parse_script(text), voices)


def test_speech_tokens_of_another_tokenizer_raises(tiny_base):
    with pytest.raises(ValueError, match="has no .*vision_start.*control speech"):
        find_speech_tokens(load_tokenizer(tiny_base))
