import dataclasses
import json
import shutil

import pytest
import torch

from espnet_vibevoice.adapters.folder import read_adapter, write_adapter
from espnet_vibevoice.adapters.loading import adapt_model, check_base
from espnet_vibevoice.adapters.lora import list_lora_layers
from espnet_vibevoice.adapters.merge import merge_adapter, merge_lora, write_merged_base
from espnet_vibevoice.models.calibration import calibrate_codec, set_unit_gain
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.models.realtime import RealtimeModel

# LoRA on the head and on the MLP besides
WIDE = {"lora_targets": "attention_mlp", "lora_parts": {"prediction_head": None}}
PLANS = {
    "lora": WIDE,
    "conservative": {"strategy": "conservative"},
    "dora": {**WIDE, "use_dora": True},
    "rslora": {**WIDE, "use_rslora": True, "lora_alpha": 8},
}


@pytest.fixture(scope="module")
def smooth_base(tiny_base, tmp_path_factory):
    """Write a base whose decoder is four channels wide.

    The norm of a single channel is its sign, and turns rounding into noise.
    """
    config = json.loads((tiny_base / "config.json").read_text(encoding="utf-8"))
    config["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    model = RealtimeModel.from_config(parse_config(config, 257))
    generator = torch.Generator().manual_seed(0)
    set_unit_gain(model.acoustic_tokenizer, generator)
    noise = 0.05 * torch.randn(12800, generator=generator)
    calibrate_codec(model, [noise], target_rms=0.05)
    folder = tmp_path_factory.mktemp("smooth")
    shutil.copy(tiny_base / "tokenizer.json", folder)
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def smooth_model(smooth_base):
    """Load that base; tests must not change it."""
    return RealtimeModel.from_base(str(smooth_base))


@pytest.fixture(params=PLANS, scope="module")
def adapted(request, make_adapted, smooth_base, smooth_model):
    """Give a model with an adapter, and the adapter."""
    options = PLANS[request.param]
    model, adapter = make_adapted(0.05, base=smooth_model, lora_rank=4, **options)
    fingerprint = fingerprint_weights(smooth_base)
    return model, dataclasses.replace(
        adapter, base=str(smooth_base), base_fingerprint=fingerprint
    )


def test_all_forms_of_an_adapter_make_the_same_waveform(
    adapted, smooth_base, smooth_model, speak, tmp_path
):
    model, adapter = adapted
    wanted = speak(model)
    assert (speak(smooth_model) - wanted).abs().max() > 0.05
    write_adapter(adapter, tmp_path / "adapter")
    again = adapt_model(smooth_model, read_adapter(tmp_path / "adapter"))
    assert (speak(again) - wanted).abs().max() <= 1e-5
    write_merged_base(str(smooth_base), adapter, tmp_path / "merged")
    merged = RealtimeModel.from_base(str(tmp_path / "merged"))
    assert (speak(merged) - wanted).abs().max() <= 1e-5


def test_merge_adapter_at_half_strength_lies_between(adapted, smooth_model, speak):
    model, adapter = adapted
    ends = [speak(smooth_model), speak(model)]
    middle = speak(merge_adapter(smooth_model, adapter, 0.5)[0])
    distance = (ends[0] - ends[1]).norm()
    assert all(0 < (middle - end).norm() < distance for end in ends)


def test_merge_adapter_leaves_the_base_as_it_was(make_adapted, base_model):
    before = {name: value.clone() for name, value in base_model.state_dict().items()}
    merged, report = merge_adapter(base_model, make_adapted(**WIDE)[1], 0.5)
    after = base_model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not list_lora_layers(merged) and report.effect.largest > 0
    assert merged.state_dict().keys() == before.keys()


def test_merge_lora_matches_the_formula_of_rslora(make_adapted, base_model):
    model, adapter = make_adapted(use_rslora=True, lora_rank=4, lora_alpha=6)
    path = "layers.1.self_attn.q_proj"
    a, b, _ = adapter.lora["tts_language_model"][path]
    layer = base_model.tts_language_model.get_submodule(path)
    merge_lora(model)
    wanted = layer.weight + 6 / 4**0.5 * b @ a
    merged = model.tts_language_model.get_submodule(path)
    assert type(merged) is torch.nn.Linear
    assert torch.allclose(merged.weight, wanted, atol=1e-6)


@pytest.mark.parametrize("scale", [0, -1, 1.6])
def test_merge_adapter_scale_out_of_range_raises(scale, make_adapted, base_model):
    with pytest.raises(ValueError, match=f"scale {scale}: give a number above 0"):
        merge_adapter(base_model, make_adapted()[1], scale)


def test_write_merged_base_takes_the_other_files_along(
    make_adapted, tiny_base, tmp_path
):
    adapter = make_adapted()[1]
    report = write_merged_base(
        str(tiny_base), adapter, tmp_path / "merged", dtype="bfloat16"
    )
    assert report.num_tensors == adapter.count_tensors()
    names = sorted(path.name for path in (tmp_path / "merged").iterdir())
    assert names == sorted(path.name for path in tiny_base.iterdir())
    assert '"torch_dtype": "bfloat16"' in (tmp_path / "merged/config.json").read_text(
        encoding="utf-8"
    )
    assert fingerprint_weights(tmp_path / "merged") != fingerprint_weights(tiny_base)
    # a base like any other: half the size, and loadable
    sizes = [
        (p / "model.safetensors").stat().st_size
        for p in (tiny_base, tmp_path / "merged")
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_write_merged_base_of_another_base_raises_with_both_fingerprints(
    make_adapted, base_model, tmp_path
):
    base_model.save(tmp_path / "other")
    weights = RealtimeModel.from_base(str(tmp_path / "other"))
    weights.tts_input_types.weight.data += 1
    weights.save(tmp_path / "other")
    found = fingerprint_weights(tmp_path / "other")
    adapter = make_adapted()[1]
    message = f"fingerprint {adapter.base_fingerprint} .*has {found}"
    with pytest.raises(ValueError, match=message):
        write_merged_base(str(tmp_path / "other"), adapter, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_check_base_unknown_fingerprint_warns(make_adapted, caplog):
    adapter = dataclasses.replace(make_adapted()[1], base_fingerprint=None)
    check_base(adapter, "here", "ab" * 32)
    assert "made for here cannot be checked" in caplog.text


def test_merge_adapter_without_effect_raises(make_adapted, base_model):
    adapter = make_adapted()[1]
    for factors in adapter.lora["tts_language_model"].values():
        factors.b.zero_()
    with pytest.raises(ValueError, match="changes nothing: the products B @ A"):
        merge_adapter(base_model, adapter)


def test_merge_lora_of_a_quantised_layer_raises(make_adapted):
    model = make_adapted()[0]
    layer = next(iter(list_lora_layers(model).values())).get_base_layer()
    quantised = torch.zeros(layer.weight.shape, dtype=torch.int8)
    layer.weight = torch.nn.Parameter(quantised, requires_grad=False)
    with pytest.raises(ValueError, match="is quantised: load the base without"):
        merge_lora(model)
