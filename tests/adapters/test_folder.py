import copy
import dataclasses
import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from espnet_vibevoice.adapters.change import check_adapter
from espnet_vibevoice.adapters.export import are_equal
from espnet_vibevoice.adapters.folder import read_adapter, write_adapter
from espnet_vibevoice.adapters.loading import adapt_model

WIDE = {"lora_parts": {"prediction_head": None, "language_model": {"rank": 2}}}
FACTORS = "tts_language_model/adapter_model.safetensors"
CONFIG = "tts_language_model/adapter_config.json"


@pytest.fixture
def folder(make_adapted, tmp_path):
    """Write the adapter of the default strategy."""
    write_adapter(make_adapted(lora_rank=4)[1], tmp_path / "adapter")
    return tmp_path / "adapter"


def change_json(path, **values):
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("options", [WIDE, {"use_dora": True}, {"use_rslora": True}])
def test_written_folders_are_what_peft_loads(
    make_adapted, base_model, tmp_path, options
):
    model, adapter = make_adapted(lora_rank=4, **options)
    write_adapter(adapter, tmp_path)
    for part, layers in adapter.lora.items():
        plain = copy.deepcopy(base_model.get_submodule(part))
        loaded = PeftModel.from_pretrained(plain, tmp_path / part)
        state = loaded.state_dict()
        ours = model.get_submodule(part).state_dict()
        assert len([name for name in state if "lora_A" in name]) == len(layers)
        for name, tensor in ours.items():
            assert torch.equal(state[f"base_model.model.{name}"], tensor)
        config = loaded.peft_config["default"]
        assert config.use_dora == options.get("use_dora", False)
        layer = loaded.base_model.model.get_submodule(next(iter(layers)))
        assert layer.scaling["default"] == adapter.plan.lora[part].scaling


def test_peft_writes_the_keys_that_we_write(make_adapted, base_model, tmp_path):
    write_adapter(make_adapted(lora_rank=4)[1], tmp_path / "ours")
    part = copy.deepcopy(base_model.tts_language_model)
    source = tmp_path / "ours/tts_language_model"
    PeftModel.from_pretrained(part, source).save_pretrained(tmp_path / "theirs")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        pair = [folder / name for folder in (source, tmp_path / "theirs")]
        if name.endswith(".json"):
            ours, theirs = (json.loads(p.read_text(encoding="utf-8")) for p in pair)
            for config in (ours, theirs):
                config["target_modules"] = sorted(config["target_modules"])
                del config["auto_mapping"]
            assert ours == theirs
        else:
            ours, theirs = (load_file(path) for path in pair)
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize(
    "options",
    [
        WIDE,
        {"use_dora": True},
        {"strategy": "conservative", "freeze_head_layers": [0]},
        {"strategy": "full"},
        {"strategy": "head_only"},
    ],
)
def test_read_gives_what_was_written(make_adapted, tmp_path, options):
    adapter = make_adapted(**options)[1]
    write_adapter(adapter, tmp_path)
    assert are_equal(read_adapter(tmp_path), adapter)


def test_parts_in_full_carry_the_names_of_the_original(make_adapted, tmp_path):
    write_adapter(make_adapted(strategy="conservative")[1], tmp_path)
    head = load_file(tmp_path / "prediction_head.safetensors")
    assert "layers.0.adaLN_modulation.1.weight" in head
    assert "t_embedder.mlp.0.weight" in head
    connector = load_file(tmp_path / "acoustic_connector.safetensors")
    assert set(connector) == {
        f"{name}.{kind}" for name in ("fc1", "fc2") for kind in ("weight", "bias")
    } | {"norm.weight"}


def test_read_renamed_tensor_raises(folder):
    tensors = load_file(folder / FACTORS)
    name = next(name for name in tensors if name.endswith("lora_A.weight"))
    tensors[name.replace("lora_A", "lora_X")] = tensors.pop(name)
    save_file(tensors, folder / FACTORS)
    with pytest.raises(
        ValueError, match=r"lora_X.weight is no tensor.*has lora_B.weight, wanted 2"
    ):
        read_adapter(folder)


def test_read_tensor_of_a_renamed_layer_does_not_fit_the_base(folder, base_model):
    tensors = load_file(folder / FACTORS)
    save_file(
        {name.replace("q_proj", "query"): tensor for name, tensor in tensors.items()},
        folder / FACTORS,
    )
    adapter = read_adapter(folder)
    with pytest.raises(ValueError, match="q_proj|query is no linear layer of the base"):
        adapt_model(base_model, adapter)


def test_adapt_model_without_a_layer_of_the_plan_raises(make_adapted, base_model):
    adapter = make_adapted()[1]
    layers = dict(adapter.lora["tts_language_model"])
    del layers["layers.1.self_attn.q_proj"]
    short = dataclasses.replace(adapter, lora={"tts_language_model": layers})
    message = r"(missing .*layers.1.self_attn.q_proj|q_proj are missing)"
    with pytest.raises(ValueError, match=message):
        check_adapter(base_model, short)
        adapt_model(base_model, short)


def test_read_renamed_weight_of_a_full_part_raises(folder):
    path = folder / "acoustic_connector.safetensors"
    tensors = load_file(path)
    tensors["linear_1.weight"] = tensors.pop("fc1.weight")
    save_file(tensors, path)
    with pytest.raises(
        ValueError, match="acoustic_connector: linear_1.weight is no name"
    ):
        read_adapter(folder)


def test_read_other_rank_raises_with_shapes(folder):
    change_json(folder / CONFIG, r=8)
    with pytest.raises(
        ValueError, match=r"factors \(4, 16\) and \(16, 4\), which are not of rank 8"
    ):
        read_adapter(folder)


def test_read_other_settings_than_described_raises(folder):
    change_json(folder / CONFIG, lora_alpha=64)
    with pytest.raises(ValueError, match="has alpha 32, its .*json says 64"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bias", "all"),
        ("modules_to_save", ["lm_head"]),
        ("rank_pattern", {"q_proj": 8}),
        ("init_lora_weights", "pissa"),
    ],
)
def test_read_unsupported_setting_of_peft_raises(folder, key, value):
    change_json(folder / CONFIG, **{key: value})
    with pytest.raises(ValueError, match=f"{key}: .* is not supported"):
        read_adapter(folder)


def test_read_other_method_of_peft_raises(folder):
    change_json(folder / CONFIG, peft_type="LOHA")
    with pytest.raises(ValueError, match="peft_type is 'LOHA', only LORA"):
        read_adapter(folder)


@pytest.mark.parametrize("name", [FACTORS, "acoustic_connector.safetensors"])
def test_read_truncated_file_raises(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=f"{name}: cut off"):
        read_adapter(folder)


@pytest.mark.parametrize("name", [FACTORS, CONFIG, "acoustic_connector.safetensors"])
def test_read_missing_file_raises(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        read_adapter(folder)


def test_read_unknown_format_version_raises(folder):
    change_json(folder / "vibevoice_adapter.json", format_version=2)
    with pytest.raises(ValueError, match="format version 2, this program reads 1"):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not valid JSON"), ("[]", "no object with keys")]
)
def test_read_damaged_description_raises(folder, text, message):
    (folder / "vibevoice_adapter.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_adapter(folder)


def test_read_description_without_a_key_raises(folder):
    path = folder / "vibevoice_adapter.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["base"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="damaged .KeyError: 'base'"):
        read_adapter(folder)


def test_read_empty_folder_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither vibevoice_adapter.json, nor"):
        read_adapter(tmp_path)


def test_write_unknown_layout_raises(make_adapted, tmp_path):
    with pytest.raises(ValueError, match="layout 'zip': choose one of peft, community"):
        write_adapter(make_adapted()[1], tmp_path, "zip")
