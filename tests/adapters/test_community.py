import copy
import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn

from espnet_vibevoice.adapters.adapter import Adapter, LoraFactors
from espnet_vibevoice.adapters.export import are_equal
from espnet_vibevoice.adapters.folder import read_adapter, write_adapter
from espnet_vibevoice.adapters.loading import adapt_model
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.builtin import build_parts
from espnet_vibevoice.models.checkpoint import original_name_in

HEAD = {"lora_parts": {"prediction_head": None}, "lora_rank": 2}


class Wrapper(nn.Module):
    """The head as vibevoice-community/VibeVoice hands it to peft."""

    def __init__(self, base):
        super().__init__()
        self.base = base


def make_module(names):
    """Make a tree of linear layers with given names of weights and shapes."""
    root = nn.Module()
    for name, shape in names.items():
        *path, leaf, _ = name.split(".")
        place = root
        for word in path:
            if word not in dict(place.named_children()):
                place.add_module(word, nn.Module())
            place = place.get_submodule(word)
        place.add_module(leaf, nn.Linear(shape[1], shape[0], bias=False))
    return root


@pytest.fixture
def multispeaker(original):
    """Give the parts of a tiny multi-speaker model, without values."""
    original |= {"model_type": "vibevoice"}
    codec = original["acoustic_tokenizer_config"]
    original["semantic_tokenizer_config"] = {**codec, "vae_dim": 6}
    return build_parts(original)


def make_adapter(parts, **options):
    """Make an adapter with random values for parts on the meta device."""
    plan = build_plan("vibevoice", **options)
    generator = torch.Generator().manual_seed(0)
    lora, full = {}, {}
    for part, settings in plan.lora.items():
        lora[part] = {
            path: LoraFactors(
                torch.randn(settings.rank, layer.in_features, generator=generator),
                torch.randn(layer.out_features, settings.rank, generator=generator),
            )
            for path, layer in parts[part].named_modules()
            if isinstance(layer, nn.Linear) and plan.gets_lora(part, path)
        }
    for part in plan.full:
        full[part] = {
            name: torch.randn(weight.shape, generator=generator)
            for name, weight in parts[part].named_parameters()
        }
    return Adapter("vibevoice", "some/base", "ab" * 32, plan, lora, full)


@pytest.mark.parametrize("options", [HEAD, {"strategy": "conservative"}])
def test_multispeaker_adapter_is_read_as_it_was_written(
    multispeaker, options, tmp_path
):
    adapter = make_adapter(multispeaker, **options)
    write_adapter(adapter, tmp_path, "community")
    assert are_equal(read_adapter(tmp_path), adapter)


def test_multispeaker_folder_lies_where_tools_look(multispeaker, tmp_path):
    adapter = make_adapter(multispeaker, strategy="conservative")
    write_adapter(adapter, tmp_path, "community")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.*")) == [
        "lora/acoustic_connector/pytorch_model.bin",
        "lora/adapter_config.json",
        "lora/adapter_model.safetensors",
        "lora/diffusion_head/model.safetensors",
        "lora/diffusion_head_full.bin",
        "lora/semantic_connector/pytorch_model.bin",
        "vibevoice_adapter.json",
    ]
    for name in ("acoustic", "semantic"):
        path = tmp_path / f"lora/{name}_connector/pytorch_model.bin"
        state = torch.load(path, weights_only=True)
        assert {"fc1.weight", "norm.weight", "fc2.bias"} < set(state)
    head = load_file(tmp_path / "lora/diffusion_head/model.safetensors")
    assert {"cond_proj.weight", "t_embedder.mlp.2.weight"} < set(head)
    whole = torch.load(tmp_path / "lora/diffusion_head_full.bin", weights_only=True)
    assert all(torch.equal(whole[name], head[name]) for name in head)


def test_peft_loads_language_model_and_wrapped_head(multispeaker, tmp_path):
    adapter = make_adapter(multispeaker, **HEAD)
    write_adapter(adapter, tmp_path, "community")
    language_model = copy.deepcopy(multispeaker["language_model"]).to_empty(
        device="cpu"
    )
    names = {
        original_name_in("prediction_head", name): tuple(weight.shape)
        for name, weight in multispeaker["prediction_head"].named_parameters()
        if weight.dim() == 2
    }
    head = Wrapper(make_module(names))
    for part, module, folder, start in (
        ("language_model", language_model, "lora", ""),
        ("prediction_head", head, "lora/diffusion_head", "base."),
    ):
        loaded = PeftModel.from_pretrained(module, tmp_path / folder)
        state = loaded.state_dict()
        assert sum("lora_A" in name for name in state) == len(adapter.lora[part])
        for path, factors in adapter.lora[part].items():
            name = original_name_in(part, f"{path}.weight").removesuffix("weight")
            key = f"base_model.model.{start}{name}lora_B.default.weight"
            assert torch.equal(state[key], factors.b)


def test_configuration_has_no_key_that_old_versions_of_peft_refuse(
    multispeaker, tmp_path
):
    write_adapter(make_adapter(multispeaker), tmp_path, "community")
    text = (tmp_path / "lora/adapter_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    assert "use_qalora" not in config and config["r"] == 16
    assert config["auto_mapping"]["base_model_class"] == "Qwen2Model"


def test_realtime_adapter_makes_the_same_waveform(
    make_adapted, base_model, speak, tmp_path
):
    model, adapter = make_adapted(**HEAD)
    write_adapter(adapter, tmp_path, "community")
    assert (tmp_path / "lora/tts_eos_classifier/pytorch_model.bin").is_file()
    again = adapt_model(base_model, read_adapter(tmp_path))
    assert torch.equal(speak(again), speak(model))


def test_folder_without_our_description_is_read(make_adapted, base_model, tmp_path):
    model, adapter = make_adapted(**HEAD)
    write_adapter(adapter, tmp_path, "community")
    (tmp_path / "vibevoice_adapter.json").unlink()
    for folder in (tmp_path, tmp_path / "lora"):
        read = read_adapter(folder, "vibevoice_streaming")
        assert read.base_fingerprint is None and read.base == adapter.base
        assert read.plan.lora == adapter.plan.lora
        again = adapt_model(base_model, read).state_dict()
        wanted = model.state_dict()
        assert all(torch.equal(again[name], wanted[name]) for name in wanted)


def test_adapter_of_old_peft_in_torch_format_is_read(multispeaker, tmp_path):
    adapter = make_adapter(multispeaker)
    write_adapter(adapter, tmp_path, "community")
    path = tmp_path / "lora/adapter_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    assert are_equal(read_adapter(tmp_path), adapter)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"strategy": "conservative"}, "the whole tts_language_model"),
        ({"lora_parts": {"language_model": None}}, "LoRA of language_model"),
    ],
)
def test_part_without_a_place_is_refused(make_adapted, tmp_path, options, part):
    adapter = make_adapted(**options)[1]
    with pytest.raises(ValueError, match=f"{part}: the community layout has no place"):
        write_adapter(adapter, tmp_path, "community")


def test_weights_without_configuration_raise(make_adapted, tmp_path):
    write_adapter(make_adapted()[1], tmp_path, "community")
    (tmp_path / "vibevoice_adapter.json").unlink()
    (tmp_path / "lora/adapter_config.json").unlink()
    with pytest.raises(FileNotFoundError, match="adapter_config.json: no such file"):
        read_adapter(tmp_path, "vibevoice_streaming")


def test_unknown_name_in_the_head_raises(make_adapted, tmp_path):
    adapter = make_adapted(strategy="head_only")[1]
    write_adapter(adapter, tmp_path, "community")
    for name in ("diffusion_head_full.bin", "diffusion_head/model.safetensors"):
        (tmp_path / "lora" / name).unlink()
    odd = {"timestep_proj.fc1.weight": torch.ones(2, 2)}
    torch.save(odd, tmp_path / "lora/diffusion_head_full.bin")
    with pytest.raises(
        ValueError, match="prediction_head: timestep_proj.fc1.weight is"
    ):
        read_adapter(tmp_path)
