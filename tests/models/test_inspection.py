import json

import pytest
import torch
from safetensors.torch import save_file

from espnet_vibevoice.models.builtin import build_parts
from espnet_vibevoice.models.checkpoint import original_name
from espnet_vibevoice.models.inspection import inspect_model


@pytest.fixture
def base(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "base")
    return tmp_path / "base"


def count_parts(report):
    return {part.name: part.parameters for part in report.parts}


def test_counts_equal_those_of_the_loaded_model(tiny_model, base):
    wanted = {
        name: sum(p.numel() for p in module.parameters())
        for name, module in build_parts(tiny_model.config.original).items()
    }
    report = inspect_model(str(base), strategy="lora")
    assert count_parts(report) == wanted
    assert report.parameters == sum(p.numel() for p in tiny_model.parameters())
    assert report.unused == {"model.tts_language_model.embed_tokens.weight": 32 * 16}
    assert report.latent_scale == pytest.approx(float(tiny_model.speech_scaling_factor))
    assert report.latent_bias == pytest.approx(float(tiny_model.speech_bias_factor))


@pytest.mark.parametrize("name", ["conservative", "full", "head_only"])
def test_trained_parts_are_counted_in_full(base, name):
    report = inspect_model(str(base), strategy=name)
    for part in report.parts:
        assert part.trainable == (part.parameters if part.training == "full" else 0)
    assert 0 < report.trainable < report.parameters


def test_lora_count_equals_what_peft_adds(tiny_model, base):
    from peft import LoraConfig, get_peft_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    adapted = get_peft_model(
        tiny_model.tts_language_model, LoraConfig(r=4, target_modules=targets)
    )
    added = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    report = inspect_model(str(base), strategy="lora", lora_rank=4)
    part = next(p for p in report.parts if p.name == "tts_language_model")
    assert (part.training, part.trainable) == ("lora r4", added)


def test_types_and_absent_encoder_are_told(tiny_model, base):
    tiny_model.acoustic_tokenizer.encoder = None
    tiny_model.to(torch.bfloat16).save(base)
    report = inspect_model(str(base), strategy="lora")
    assert {part.dtype for part in report.parts} == {"bfloat16"}
    assert not report.has_encoder
    assert "acoustic encoder absent" in report.to_table()


def test_strange_parts_are_listed_last(tiny_model, base):
    save_file(
        {"model.surprise.weight": torch.zeros(3, dtype=torch.int32)},
        base / "model.safetensors",
    )
    part = inspect_model(str(base), strategy="lora").parts[-1]
    assert (part.name, part.class_name, part.dtype) == ("surprise", "unknown", "I32")


def make_multispeaker(folder, original, is_split):
    """Write a tiny model of the other family as the original lays it out."""
    semantic = {**original["acoustic_tokenizer_config"], "vae_dim": 6, "fix_std": 0}
    original |= {"model_type": "vibevoice", "semantic_tokenizer_config": semantic}
    original["decoder_config"]["tie_word_embeddings"] = True
    parts = build_parts(original)
    state = {
        original_name(f"{part}.{name}"): torch.zeros(tensor.shape)
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    state["model.speech_scaling_factor"] = torch.tensor(0.25)
    state["model.speech_bias_factor"] = torch.tensor(-0.5)
    (folder / "config.json").write_text(json.dumps(original), encoding="utf-8")
    if not is_split:
        save_file(state, folder / "model.safetensors")
        return parts
    names = sorted(state)
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, chosen in files.items():
        save_file({name: state[name] for name in chosen}, folder / file)
    index = {name: file for file, chosen in files.items() for name in chosen}
    text = json.dumps({"weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return parts


@pytest.mark.parametrize("is_split", [False, True])
def test_multispeaker_folder_is_read_part_by_part(original, tmp_path, is_split):
    parts = make_multispeaker(tmp_path, original, is_split)
    report = inspect_model(str(tmp_path), strategy="lora")
    wanted = {n: sum(p.numel() for p in m.parameters()) for n, m in parts.items()}
    assert count_parts(report) == wanted and "semantic_tokenizer.encoder" in wanted
    assert (report.latent_scale, report.latent_bias) == (0.25, -0.5)
    training = {part.name: part.training for part in report.parts}
    assert training["language_model"] == "lora r16"
    assert training["semantic_connector"] == "full"


def test_folder_without_config_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.json: no such file.*1.5b"):
        inspect_model(str(tmp_path), strategy="lora")
    (tmp_path / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no mapping"):
        inspect_model(str(tmp_path), strategy="lora")
