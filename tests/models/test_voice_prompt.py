import dataclasses

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models.branch import Branch
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.voice_prompt import (
    BRANCHES,
    build_voice_prompt,
    load_voice_prompt,
    save_voice_prompt,
)

TEXT = torch.tensor([5, 9, 2])
FORMAT = {"format": "vibevoice_voice_prompt"}


def list_tensors(prompt):
    branches = [getattr(prompt, name) for name in BRANCHES]
    return [t for b in branches for t in (b.last_hidden_state, *b.keys, *b.values)]


def rewrite(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata=FORMAT)


@pytest.mark.parametrize("text_type", [0, 1])
def test_built_prompt_equals_a_teacher_forced_run(tiny_model, text_type):
    latents = torch.randn(5, 4)
    prompt = build_voice_prompt(tiny_model, latents, TEXT, text_type)
    with torch.no_grad():
        lower = tiny_model.embed_text(TEXT[None])
        frames = tiny_model.acoustic_connector(tiny_model.scale_latents(latents))[None]
        types = tiny_model.tts_input_types(torch.tensor([0] * 5 + [text_type] * 3))
        upper = tiny_model.tts_language_model(
            inputs_embeds=torch.cat([frames, lower], dim=1) + types, use_cache=False
        )
    assert torch.allclose(prompt.lm.last_hidden_state, lower, atol=1e-6)
    assert torch.allclose(
        prompt.tts_lm.last_hidden_state, upper.last_hidden_state, atol=1e-5
    )
    assert (prompt.num_frames, prompt.num_tokens) == (5, 3)


def test_built_prompt_types_of_transcript_differ(tiny_model):
    latents = torch.randn(5, 4)
    as_speech = build_voice_prompt(tiny_model, latents, TEXT)
    as_text = build_voice_prompt(tiny_model, latents, TEXT, 1)
    difference = as_speech.tts_lm.values[0] - as_text.tts_lm.values[0]
    assert torch.equal(difference[:, :, :5], torch.zeros(1, 1, 5, 8))
    assert difference[:, :, 5:].abs().amax() > 1e-3


def test_built_prompt_caches_are_those_of_step_by_step_reading(tiny_model):
    latents = torch.randn(4, 4)
    prompt = build_voice_prompt(tiny_model, latents, TEXT, 1)
    branch = Branch()
    vectors = tiny_model.acoustic_connector(tiny_model.scale_latents(latents))
    with torch.no_grad():
        for vector in vectors:
            branch.feed_frame(tiny_model, vector[None, None])
        for index in range(3):
            branch.feed_text(tiny_model, TEXT[None, index : index + 1])
    for layer, cached in enumerate(branch.upper.cache.layers):
        assert torch.allclose(cached.keys, prompt.tts_lm.keys[layer], atol=1e-5)
        assert torch.allclose(cached.values, prompt.tts_lm.values[layer], atol=1e-5)
    for layer, cached in enumerate(branch.lower.cache.layers):
        assert torch.allclose(cached.keys, prompt.lm.keys[layer], atol=1e-5)
    assert torch.allclose(
        branch.hidden, prompt.tts_lm.last_hidden_state[:, -1], atol=1e-5
    )


def test_branches_are_fresh_and_change_the_speech(tiny_model, prompt):
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    noise = torch.randn(3, 4)
    first, second, bare = (
        generate(tiny_model, TEXT, settings, noise=noise, branches=branches).latents
        for branches in (prompt.to_branches(), prompt.to_branches(), None)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first, bare, atol=1e-4)
    assert prompt.tts_lm.keys[0].shape[2] == 8


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_then_load_gives_the_same_prompt(prompt, tmp_path, dtype):
    path = tmp_path / "voices" / "voice.safetensors"
    prompt = prompt.to("cpu", dtype)
    save_voice_prompt(prompt, path)
    loaded = load_voice_prompt(path)
    pairs = list(zip(list_tensors(loaded), list_tensors(prompt), strict=True))
    assert len(pairs) == 4 + 2 * (1 + 2 + 1 + 2)
    assert all(torch.equal(*pair) and pair[0].dtype == dtype for pair in pairs)
    with safe_open(path, "pt") as file:
        assert file.metadata() == FORMAT | {
            "frames": "5",
            "tokens": "3",
            "hidden_size": "16",
            "lower_layers": "1",
            "upper_layers": "2",
            "key_value_heads": "1",
            "head_dim": "8",
        }
    assert [p.name for p in path.parent.iterdir()] == ["voice.safetensors"]


def test_preset_converted_equals_the_preset(prompt, save_preset, tmp_path):
    preset = load_voice_prompt(save_preset(prompt, tmp_path / "voice.pt"))
    save_voice_prompt(preset, tmp_path / "voice.safetensors")
    loaded = load_voice_prompt(tmp_path / "voice.safetensors")
    assert all(map(torch.equal, list_tensors(loaded), list_tensors(prompt)))


def test_save_under_another_ending_raises(prompt, tmp_path):
    with pytest.raises(ValueError, match="ends in .safetensors"):
        save_voice_prompt(prompt, tmp_path / "voice.pt")
    assert list(tmp_path.iterdir()) == []


def test_save_that_fails_leaves_the_old_file(prompt, tmp_path, monkeypatch):
    path = tmp_path / "voice.safetensors"
    save_voice_prompt(prompt, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_voice_prompt(prompt.to("cpu", torch.bfloat16), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_fit_moves_to_the_models_type(tiny_model, prompt):
    fitted = prompt.fit(tiny_model.to(torch.bfloat16))
    assert {t.dtype for t in list_tensors(fitted)} == {torch.bfloat16}


def test_fit_other_base_raises_with_both_sizes(tiny_model, prompt):
    halved = [
        dataclasses.replace(
            prompt.lm,
            keys=[k[..., :4] for k in prompt.lm.keys],
            values=[v[..., :4] for v in prompt.lm.values],
        )
    ]
    negative = dataclasses.replace(
        prompt.neg_lm,
        keys=[k[..., :4] for k in prompt.neg_lm.keys],
        values=[v[..., :4] for v in prompt.neg_lm.values],
    )
    other = dataclasses.replace(prompt, lm=halved[0], neg_lm=negative)
    with pytest.raises(ValueError, match="another base: lm has 1 layers") as caught:
        other.fit(tiny_model)
    assert "heads of 4, hidden 16, this base 1 layers" in str(caught.value)
    assert "bin/make_voice_prompt --base" in str(caught.value)


def test_prompt_without_frames_raises(prompt):
    with pytest.raises(ValueError, match="no room for a frame"):
        dataclasses.replace(prompt, lm=prompt.tts_lm)


def test_prompt_with_long_negative_raises(prompt):
    with pytest.raises(ValueError, match="neg_tts_lm has 8 positions, wanted 1"):
        dataclasses.replace(prompt, neg_tts_lm=prompt.tts_lm)


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda t: t.pop("tts_lm.value_cache.1"), "tts_lm.value_cache.1 is missing"),
        (lambda t: t.pop("lm.last_hidden_state"), "lm.last_hidden_state is missing"),
        (lambda t: t.update(surprise=torch.zeros(1)), "unexpected tensor surprise"),
        (
            lambda t: t.update({"lm.key_cache.0": torch.zeros(1, 1, 2, 8)}),
            r"lm: keys \(1, 1, 2, 8\), wanted \(1, heads, 3, head size\)",
        ),
        (
            lambda t: t.update({"tts_lm.key_cache.1": torch.zeros(1, 1, 2, 8)}),
            "tts_lm: shapes .* are mixed",
        ),
        (
            lambda t: t.update({"lm.value_cache.0": t["lm.value_cache.0"].half()}),
            "types torch.float32 and torch.float16 are mixed",
        ),
        (
            lambda t: [t.pop(name) for name in list(t) if name.startswith("neg_lm")],
            "got the branches",
        ),
    ],
)
def test_load_faulty_tensors_raises(prompt, tmp_path, change, message):
    path = tmp_path / "voice.safetensors"
    save_voice_prompt(prompt, path)
    rewrite(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        load_voice_prompt(path)
    assert str(path) in str(caught.value)


def test_load_other_safetensors_raises(tmp_path):
    path = tmp_path / "voice.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="its format is None"):
        load_voice_prompt(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_voice_prompt(path)


def test_load_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such voice prompt"):
        load_voice_prompt(tmp_path / "voice.pt")


@pytest.mark.parametrize(
    "latents,text,text_type,message",
    [
        (torch.zeros(0, 4), TEXT, 0, r"latents: got shape \(0, 4\)"),
        (torch.zeros(3, 5), TEXT, 0, "latents have 5 dimensions, this base 4"),
        (torch.zeros(3, 4), TEXT[:0], 0, r"text_ids: got shape \(0,\)"),
        (torch.zeros(3, 4), TEXT + 23, 0, "has ids 25 to 32, this base knows 0 to 31"),
        (torch.zeros(3, 4), TEXT, 2, "prompt_text_type is 2: choose 0"),
    ],
)
def test_build_with_bad_input_raises(tiny_model, latents, text, text_type, message):
    with pytest.raises(ValueError, match=message):
        build_voice_prompt(tiny_model, latents, text, text_type)
