"""Sources of voice prompts: kept in files, and read again by other weights."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models.prompt_source import PromptSource
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import (
    BRANCHES,
    build_voice_prompt,
    load_voice_prompt,
    save_voice_prompt,
)

LATENTS = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
TEXT = torch.tensor([5, 9, 2])


def list_tensors(prompt):
    branches = [getattr(prompt, name) for name in BRANCHES]
    return [t for b in branches for t in (b.last_hidden_state, *b.keys, *b.values)]


def are_equal(first, second):
    return all(map(torch.equal, list_tensors(first), list_tensors(second)))


@pytest.fixture
def tuned(tiny_model):
    """Make the model after training: other weights of the upper part."""
    model = RealtimeModel.from_config(tiny_model.config, seed=0)
    model.load_state_dict(tiny_model.state_dict())
    model.negative_prompt_id = tiny_model.negative_prompt_id
    generator = torch.Generator().manual_seed(4)
    for parameter in model.tts_language_model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data += 0.1 * noise
    return model


@pytest.mark.parametrize("text_type", [0, 1])
def test_prompt_of_a_file_read_by_tuned_weights_equals_one_built_by_them(
    tiny_model, tuned, tmp_path, text_type
):
    path = tmp_path / "voice.safetensors"
    made = build_voice_prompt(tiny_model, LATENTS, TEXT, text_type)
    save_voice_prompt(made, path)
    read = load_voice_prompt(path).read_by(tuned)
    wanted = build_voice_prompt(tuned, LATENTS, TEXT, text_type)
    assert are_equal(read, wanted)
    assert not torch.allclose(read.tts_lm.keys[1], made.tts_lm.keys[1], atol=1e-3)
    assert are_equal(read.read_by(tiny_model), made)


def test_prompt_made_in_half_precision_is_read_whole(tiny_model, tmp_path):
    path = tmp_path / "voice.safetensors"
    made = build_voice_prompt(tiny_model, LATENTS, TEXT)
    save_voice_prompt(made.to("cpu", torch.bfloat16), path)
    loaded = load_voice_prompt(path)
    assert loaded.dtype == torch.bfloat16
    assert are_equal(loaded.read_by(tiny_model), made)


def test_preset_without_source_is_only_fitted(tiny_model, tuned, save_preset, tmp_path):
    made = build_voice_prompt(tiny_model, LATENTS, TEXT)
    preset = load_voice_prompt(save_preset(made, tmp_path / "voice.pt"))
    assert preset.source is None
    read = preset.read_by(tuned.to(torch.bfloat16))
    assert are_equal(read, made.to("cpu", torch.bfloat16))
    save_voice_prompt(preset, tmp_path / "voice.safetensors")
    assert not [n for n in load_file(tmp_path / "voice.safetensors") if "source" in n]
    assert load_voice_prompt(tmp_path / "voice.safetensors").source is None


@pytest.mark.parametrize("text_type", [0, 1])
def test_source_survives_the_file_and_another_type(tiny_model, tmp_path, text_type):
    path = tmp_path / "voice.safetensors"
    latents = LATENTS.clone()
    made = build_voice_prompt(tiny_model, latents, TEXT, text_type)
    latents.zero_()  # the source has copies
    save_voice_prompt(made.to("cpu", torch.float16), path)
    source = load_voice_prompt(path).source
    assert torch.equal(source.latents, LATENTS)
    assert torch.equal(source.text_ids, TEXT)
    assert source.prompt_text_type == text_type
    assert source.latents.dtype == torch.float32


@pytest.mark.parametrize(
    "latents,text,message",
    [
        (torch.zeros(5, 6), TEXT, "latents have 6 dimensions, this base 4"),
        (LATENTS, TEXT + 30, "text_ids has ids 32 to 39, this base knows 0 to 31"),
    ],
)
def test_source_of_another_base_raises_with_sizes(tiny_model, latents, text, message):
    made = build_voice_prompt(tiny_model, LATENTS, TEXT)
    other = dataclasses.replace(made, source=PromptSource(latents, text, 0))
    with pytest.raises(ValueError, match=f"made for another base: {message}"):
        other.read_by(tiny_model)


def test_prompt_with_source_of_other_lengths_raises(tiny_model):
    made = build_voice_prompt(tiny_model, LATENTS, TEXT)
    wanted = r"caches of \(5, 3\) frames and tokens, source of \(4, 3\)"
    with pytest.raises(ValueError, match=wanted):
        dataclasses.replace(made, source=PromptSource(LATENTS[:4], TEXT, 0))


@pytest.mark.parametrize(
    "latents,text,message",
    [
        (LATENTS.double(), TEXT, "latents are torch.float64 and text_ids torch.int64"),
        (LATENTS, TEXT.int(), "text_ids torch.int32, wanted torch.float32"),
        (LATENTS[0], TEXT, r"latents: got shape \(4,\)"),
        (LATENTS, TEXT[None], r"text_ids: got shape \(1, 3\)"),
    ],
)
def test_source_of_strange_tensors_raises(latents, text, message):
    with pytest.raises(ValueError, match=message):
        PromptSource(latents, text, 0)


@pytest.mark.parametrize(
    "name,tensor,message",
    [
        ("text_ids", None, "the tensor source.text_ids is missing"),
        ("latents", torch.zeros(0, 4), r"source: latents: got shape \(0, 4\)"),
        ("latents", torch.zeros(6, 4), r"caches of \(5, 3\) frames and tokens"),
        ("prompt_text_type", torch.zeros(1), "prompt_text_type is torch.float32"),
        ("prompt_text_type", torch.tensor(2), "prompt_text_type is 2: choose 0"),
        ("speaker", torch.zeros(1), "unexpected tensor source.speaker"),
    ],
)
def test_load_faulty_source_raises(tiny_model, tmp_path, name, tensor, message):
    path = tmp_path / "voice.safetensors"
    save_voice_prompt(build_voice_prompt(tiny_model, LATENTS, TEXT), path)
    tensors = load_file(path)
    tensors[f"source.{name}"] = tensor
    kept = {key: value for key, value in tensors.items() if value is not None}
    save_file(kept, path, metadata={"format": "vibevoice_voice_prompt"})
    with pytest.raises(ValueError, match=message) as caught:
        load_voice_prompt(path)
    assert str(path) in str(caught.value)
