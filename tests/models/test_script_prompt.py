import logging

import pytest
import torch

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.script_prompt import make_row, prepare_script
from espnet_vibevoice.text.tokenizer import load_tokenizer

START = 258  # of the tiny base


def test_prepare_script_lays_out_voices_and_lines(
    tiny_multispeaker, tiny_multispeaker_base
):
    tokenizer = load_tokenizer(tiny_multispeaker_base)
    voices = [torch.randn(2, 4), torch.randn(3, 4)]
    script = "Speaker 1: ab\nSpeaker 2: cde"
    prompt = prepare_script(tiny_multispeaker, tokenizer, script, voices)
    assert prompt.num_text_tokens == 5 and int(prompt.layout.voice_mask.sum()) == 5
    assert prompt.layout.ids[-1] == START
    row = make_row(tiny_multispeaker, prompt, ScriptSettings())
    latents = tiny_multispeaker.scale_latents(torch.cat(voices))
    frames = tiny_multispeaker.embed_frames(latents)
    assert torch.allclose(row.prompt[prompt.layout.voice_mask], frames, atol=1e-6)


def test_prepare_script_bad_input_raises(
    tiny_multispeaker, tiny_multispeaker_base, caplog
):
    tokenizer = load_tokenizer(tiny_multispeaker_base)
    voice = torch.randn(2, 4)
    for script, voices, message in (
        ("Speaker 0: ...", [], "neither letters nor digits"),
        ("Speaker 0: a\nSpeaker 1: b", [voice], "give every speaker a voice"),
        ("Speaker 0: a", [voice[:0]], "has 0 frames"),
        ("a" * 1000, [], "of the base's 1024 positions"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare_script(tiny_multispeaker, tokenizer, script, voices)
    with caplog.at_level(logging.WARNING):
        prepare_script(tiny_multispeaker, tokenizer, "a" * 600)
    assert "will probably be cut" in caplog.text
