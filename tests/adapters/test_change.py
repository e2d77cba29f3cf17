import copy
import dataclasses

import pytest
import torch

from espnet_vibevoice.adapters.change import check_adapter, resolve_change
from espnet_vibevoice.adapters.merge import merge_lora

SETTINGS = [{}, {"use_rslora": True}, {"use_dora": True}]
LAYER = "layers.0.self_attn.q_proj"
PART = "tts_language_model"


def replace_factors(adapter, **tensors):
    layers = dict(adapter.lora[PART])
    layers[LAYER] = layers[LAYER]._replace(**tensors)
    return dataclasses.replace(adapter, lora={PART: layers})


@pytest.mark.parametrize("settings", SETTINGS)
def test_change_of_a_layer_equals_the_merged_weight(tiny_model, tune, settings):
    tuned, adapter = tune(tiny_model, **settings)
    change = resolve_change(tiny_model, adapter)
    merge_lora(tuned)
    assert len(change.layers) == 8
    for path, layer in change.layers.items():
        base = tiny_model.get_submodule(path).weight.detach()
        gain = torch.zeros(len(base)) if layer.gain is None else layer.gain
        moved = (1 + gain)[:, None] * base + layer.up @ layer.down
        merged = tuned.get_submodule(path).weight.detach()
        assert torch.allclose(moved, merged, atol=1e-6)
        assert layer.norm(base) == pytest.approx(
            float((merged - base).norm()), rel=1e-4
        )


def test_change_of_parts_in_full_holds_the_tuned_weights(tiny_model, tune):
    tuned, adapter = tune(tiny_model, strategy="conservative", freeze_head_layers=[0])
    change = resolve_change(tiny_model, adapter)
    assert not change.layers and change.rank == 0
    assert not any(".layers.0." in n for n in change.weights if "head" in n)
    for name, weight in change.weights.items():
        assert torch.equal(weight, tuned.get_parameter(name))


def test_check_other_family_is_refused(tiny_model, tune):
    adapter = dataclasses.replace(tune(tiny_model)[1], model_type="vibevoice")
    with pytest.raises(ValueError, match="for vibevoice, the base is vibevoice_stream"):
        check_adapter(tiny_model, adapter)


def test_check_renamed_layer_is_named_as_missing_and_unknown(tiny_model, tune):
    adapter = tune(tiny_model)[1]
    layers = dict(adapter.lora[PART])
    layers["layers.0.self_attn.query"] = layers.pop(LAYER)
    renamed = dataclasses.replace(adapter, lora={PART: layers})
    with pytest.raises(
        ValueError, match="query is no linear layer.*q_proj are missing"
    ):
        check_adapter(tiny_model, renamed)


def test_check_renamed_weight_is_named_as_missing_and_unknown(tiny_model, tune):
    adapter = tune(tiny_model, strategy="head_only")[1]
    weights = dict(adapter.full["prediction_head"])
    weights["conditions.weight"] = weights.pop("cond_proj.weight")
    renamed = dataclasses.replace(adapter, full={"prediction_head": weights})
    with pytest.raises(ValueError, match="conditions.weight is no weight.*cond_proj.w"):
        check_adapter(tiny_model, renamed)


def test_check_other_rank_is_refused_with_both_shapes(tiny_model, tune):
    adapter = replace_factors(tune(tiny_model)[1], a=torch.ones(3, 16))
    with pytest.raises(
        ValueError, match=r"q_proj: LoRA A has shape \(3, 16\), wanted \(4"
    ):
        check_adapter(tiny_model, adapter)


def test_check_values_that_are_not_finite_are_refused(tiny_model, tune):
    adapter = replace_factors(tune(tiny_model)[1], b=torch.full((16, 4), torch.nan))
    with pytest.raises(
        ValueError, match="q_proj: LoRA B holds values that are not fin"
    ):
        check_adapter(tiny_model, adapter)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.ones(2, 3), r"has shape \(2, 3\), wanted \(2, 16\)"),
        (torch.full((2, 16), torch.inf), "not finite"),
    ],
)
def test_check_wrong_weight_is_refused(tiny_model, tune, weight, message):
    adapter = tune(tiny_model, strategy="custom", trained_parts=["tts_input_types"])[1]
    wrong = dataclasses.replace(adapter, full={"tts_input_types": {"weight": weight}})
    with pytest.raises(ValueError, match=f"tts_input_types.weight.*{message}"):
        check_adapter(tiny_model, wrong)


def test_check_full_part_on_a_quantised_base_is_refused(tiny_model, tune):
    adapter = tune(tiny_model, strategy="conservative")[1]
    base = copy.deepcopy(tiny_model)
    layer = base.tts_language_model.layers[0].mlp.up_proj
    layer.weight = torch.nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match="up_proj.weight is quantised in the base"):
        check_adapter(base, adapter)
