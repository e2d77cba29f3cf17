"""Decoding as ESPnet calls it: options of one call and voice prompts."""

import dataclasses
import logging

import pytest
import torch
from espnet2.tts.espnet_model import ESPnetTTSModel

from espnet_vibevoice.models.voice_prompt import (
    build_voice_prompt,
    load_voice_prompt,
    save_voice_prompt,
)
from espnet_vibevoice.tts import voices
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS

TEXT = torch.arange(5)


@pytest.fixture
def make_tts(tiny_base):
    def make(**overrides):
        options = {"base": str(tiny_base), "eos_threshold": 1.0, "max_frames": 4}
        return VibeVoiceRealtimeTTS(264, 4, **(options | overrides)).eval()

    return make


@pytest.fixture
def prompt_file(make_tts, tmp_path):
    latents = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    prompt = build_voice_prompt(make_tts().model, latents, torch.arange(3))
    save_voice_prompt(prompt, tmp_path / "voice.safetensors")
    return tmp_path / "voice.safetensors"


def test_inference_decode_conf_reaches_it_through_espnets_model(make_tts):
    model = ESPnetTTSModel(None, None, None, None, None, None, make_tts())
    espnets = {"use_teacher_forcing": False}
    frames = [
        len(model.inference(TEXT, **espnets, **options)["prob"])
        for options in ({}, {"max_frames": 2}, {"eos_threshold": 0.0})
    ]
    assert frames == [4, 2, 1]


def test_inference_seed_goes_before_the_global_generator(make_tts):
    tts = make_tts()
    first, second = (tts.inference(TEXT, seed=3)["wav"] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, tts.inference(TEXT)["wav"])


def test_inference_guidance_of_one_call_changes_speech(make_tts):
    tts = make_tts()
    wavs = [tts.inference(TEXT, seed=3, cfg_scale=s)["wav"] for s in (1.5, 1, 3.0)]
    assert not torch.equal(wavs[0], wavs[1]) and not torch.equal(wavs[0], wavs[2])
    assert tts.generation_settings.cfg_scale == 1.5


def test_inference_voice_prompt_of_conf_equals_that_of_the_call(make_tts, prompt_file):
    plain, prompted = make_tts(), make_tts(voice_prompt=str(prompt_file))
    wanted = prompted.inference(TEXT, seed=1)["wav"]
    for prompt in (prompt_file, str(prompt_file), load_voice_prompt(prompt_file)):
        wav = plain.inference(TEXT, seed=1, voice_prompt=prompt)["wav"]
        assert torch.equal(wav, wanted)
    assert not torch.equal(plain.inference(TEXT, seed=1)["wav"], wanted)
    assert torch.equal(prompted.inference(TEXT, seed=1)["wav"], wanted)


def test_inference_reads_a_voice_prompt_once(make_tts, prompt_file, monkeypatch):
    read = []

    def load(path):
        read.append(path)
        return load_voice_prompt(path)

    monkeypatch.setattr(voices, "load_voice_prompt", load)
    tts = make_tts(voice_prompt=str(prompt_file))
    for _ in range(3):
        tts.inference(TEXT)
    assert read == [str(prompt_file)]


def tune(tts):
    """Change the trained weights and load them as decoding loads a checkpoint."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in tts.parameters():
            if weight.requires_grad:
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    tts.load_state_dict(tts.state_dict())


def test_inference_tuned_weights_read_the_voice_themselves(make_tts, prompt_file):
    tts = make_tts(voice_prompt=str(prompt_file))
    stored = load_voice_prompt(prompt_file)
    before = tts.inference(TEXT, seed=1)["wav"]
    tune(tts)
    tuned = tts.inference(TEXT, seed=1)["wav"]
    source = stored.source
    own = build_voice_prompt(tts.model, source.latents, source.text_ids)
    without_source = dataclasses.replace(own, source=None)
    wanted = tts.inference(TEXT, seed=1, voice_prompt=without_source)["wav"]
    assert torch.equal(tuned, wanted)
    given = tts.inference(TEXT, seed=1, voice_prompt=stored)["wav"]
    assert torch.equal(given, wanted)
    old_caches = dataclasses.replace(stored, source=None)
    old = tts.inference(TEXT, seed=1, voice_prompt=old_caches)["wav"]
    assert not torch.equal(old, wanted) and not torch.equal(before, wanted)


def test_inference_between_training_steps_reads_the_voice_anew(make_tts, prompt_file):
    tts = make_tts(voice_prompt=str(prompt_file))
    first = tts.inference(TEXT, seed=1)["wav"]
    tts.train()
    with torch.no_grad():
        next(tts.model.acoustic_connector.parameters()).mul_(1.5)
    again = tts.eval().inference(TEXT, seed=1)["wav"]
    tts._voices.forget()
    assert torch.equal(again, tts.inference(TEXT, seed=1)["wav"])
    assert not torch.equal(first, again)


@pytest.mark.parametrize(
    "parts,has_source,warnings",
    [
        (("tts_language_model", "prediction_head"), False, 1),
        (("prediction_head", "tts_eos_classifier"), False, 0),
        (("tts_language_model", "prediction_head"), True, 0),
    ],
)
def test_inference_preset_of_released_weights_warns_once_if_readers_are_trained(
    make_tts, prompt_file, caplog, parts, has_source, warnings
):
    prompt = load_voice_prompt(prompt_file)
    if not has_source:
        prompt = dataclasses.replace(prompt, source=None)
        save_voice_prompt(prompt, prompt_file)
    tts = make_tts(strategy="custom", trained_parts=parts)
    with caplog.at_level(logging.WARNING, logger=voices.__name__):
        for voice in (prompt, prompt_file, prompt):
            tts.inference(TEXT, voice_prompt=voice)
    said = [r.getMessage() for r in caplog.records if r.name == voices.__name__]
    assert len(said) == warnings
    wanted = "come from the released weights, while tts_language_model of this model"
    assert all(wanted in message for message in said)


def test_inference_missing_voice_prompt_raises(make_tts):
    tts = make_tts(voice_prompt="nowhere.pt")
    with pytest.raises(FileNotFoundError, match="nowhere.pt: no such voice prompt"):
        tts.inference(TEXT)


def test_inference_voice_prompt_of_other_sizes_raises(make_tts, tiny_model):
    prompt = build_voice_prompt(tiny_model, torch.randn(6, 4), torch.arange(3))
    tts = make_tts()
    # one layer of the lower part too few
    del tts.model.language_model.layers[0]
    tts.model.language_model.config.num_hidden_layers -= 1
    with pytest.raises(ValueError, match="voice prompt was made for another base"):
        tts.inference(TEXT, voice_prompt=prompt)


def test_inference_unknown_option_raises(make_tts):
    with pytest.raises(ValueError, match="unknown key cfg: "):
        make_tts().inference(TEXT, cfg=2.0)


def test_inference_empty_text_raises(make_tts):
    with pytest.raises(ValueError, match="at least one token. Give a text to speak"):
        make_tts().inference(TEXT[:0])


def test_inference_ten_minute_text_is_cut_with_a_warning(make_tts, caplog):
    with caplog.at_level(logging.WARNING):
        output = make_tts().inference(torch.arange(3750) % 250)
    assert len(output["prob"]) == 4
    assert "cut after 4 frames by max_frames 4; 5 of 3750 text tokens" in caplog.text
