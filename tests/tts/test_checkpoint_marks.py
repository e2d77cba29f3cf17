"""Loading judges base and LoRA: fingerprint, seal, factors that do nothing."""

import copy
import logging

import pytest
import torch

from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.seal import BASE_FINGERPRINT, LORA_SEAL
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.adapters.summary import count_parameters
from espnet_vibevoice.models.builtin import REALTIME_TYPE, load_builtin
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.tts.checkpoint import keep_trained_parameters_only
from tests.tts.lora_module import FINGERPRINT, Holder, LoraModule, deltas, trained, tune

OTHER = "f" * 64


def average(*states):
    """Average as ESPnet does."""
    return {name: sum(s[name] for s in states) / len(states) for name in states[0]}


def test_state_dict_holds_trained_parameters_and_marks():
    module = LoraModule()
    marks = {BASE_FINGERPRINT, LORA_SEAL}
    assert set(module.state_dict()) == set(trained(module)) | marks
    assert set(LoraModule(None, has_lora=False).state_dict()) == {
        "model.prediction_head.weight",
        "model.prediction_head.bias",
    }


def test_state_dict_of_the_released_size_is_a_file_below_2_percent_of_it(tmp_path):
    holder = torch.nn.Module()
    with torch.device("meta"):  # frozen weights take no memory
        holder.model = RealtimeModel(parse_config(load_builtin("realtime-0.5b")), False)
    base_bytes = 2 * sum(count_parameters(holder.model).values())  # bfloat16
    apply_plan(holder.model, build_plan(REALTIME_TYPE))
    for module in holder.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                values = torch.rand(parameter.shape, device="cpu")
                setattr(module, name, torch.nn.Parameter(values))
    keep_trained_parameters_only(holder, FINGERPRINT)
    torch.save(holder.state_dict(), tmp_path / "1epoch.pth")
    size = (tmp_path / "1epoch.pth").stat().st_size
    assert 13_878_788 < size < 0.02 * base_bytes


def test_state_dict_of_a_bfloat16_base_is_float32():
    module = tune(LoraModule(), seed=1).to(torch.bfloat16)
    state = module.state_dict()
    assert {value.dtype for value in state.values()} == {torch.float32}
    fresh = LoraModule()
    fresh.load_state_dict(state)
    for name, parameter in trained(fresh).items():
        assert torch.equal(parameter, trained(module)[name].float())


@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_on_another_base_raises_with_both_fingerprints(strict):
    state = tune(LoraModule(OTHER), seed=1).state_dict()
    with pytest.raises(ValueError, match=f"is {OTHER}, that of .* is {FINGERPRINT}"):
        LoraModule().load_state_dict(state, strict=strict)


def test_load_state_dict_average_over_two_bases_raises():
    first, second = (LoraModule(f, has_lora=False) for f in (OTHER, FINGERPRINT))
    state = average(first.state_dict(), second.state_dict())
    with pytest.raises(ValueError, match="none .an average over different bases"):
        LoraModule(has_lora=False).load_state_dict(state)


def test_load_state_dict_average_over_one_base_is_right():
    states = [tune(LoraModule(has_lora=False), seed=i).state_dict() for i in range(3)]
    module = LoraModule(has_lora=False)
    module.load_state_dict(average(*states))
    mean = sum(state["model.prediction_head.weight"] for state in states) / 3
    assert torch.equal(module.model["prediction_head"].weight, mean)


def test_load_state_dict_without_fingerprint_warns(caplog):
    state = tune(LoraModule(None), seed=1).state_dict()
    module = LoraModule()
    with caplog.at_level(logging.WARNING):
        module.load_state_dict(state)
    assert "does not say what base it was trained on" in caplog.text
    assert FINGERPRINT in caplog.text


def test_load_state_dict_zero_b_raises():
    source = tune(LoraModule(), seed=1)
    for name, parameter in trained(source).items():
        if "lora_B" in name:
            parameter.data.zero_()
    with pytest.raises(ValueError, match="does nothing: B is zero in all 2 layers"):
        LoraModule().load_state_dict(source.state_dict())


def test_load_state_dict_own_zero_b_beside_other_parts_is_taken():
    """As --init_param does with a checkpoint of the head."""
    target = LoraModule()
    state = target.state_dict()
    state |= tune(LoraModule(has_lora=False), seed=1).state_dict()
    target.load_state_dict(state)
    name = "model.prediction_head.bias"
    assert torch.equal(trained(target)[name], state[name])


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"use_dora": True}])
def test_load_state_dict_averaged_factors_raises_with_the_way_out(settings):
    states = [tune(LoraModule(**settings), seed=i).state_dict() for i in range(2)]
    message = r"mean of factors is not .* best checkpoint .*bin\.average_checkpoints"
    with pytest.raises(ValueError, match=message):
        LoraModule(**settings).load_state_dict(average(*states))


def test_load_state_dict_without_seal_raises():
    state = tune(LoraModule(), seed=1).state_dict()
    del state[LORA_SEAL]
    with pytest.raises(ValueError, match="are not those that training saved"):
        LoraModule().load_state_dict(state)


def test_load_state_dict_of_a_part_for_a_whole_keeps_the_marks_right():
    source, target = tune(LoraModule(), seed=1), copy.deepcopy(Holder())
    state = {f"tts.{name}": value for name, value in source.state_dict().items()}
    target.load_state_dict(state)
    for name, delta in deltas(source).items():
        assert torch.equal(deltas(target.tts)[name], delta)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_load_state_dict_logs_tensors_and_norm_of_the_change(caplog, use_rslora):
    source = tune(LoraModule(use_rslora=use_rslora), seed=1)
    with caplog.at_level(logging.INFO):
        LoraModule(use_rslora=use_rslora).load_state_dict(source.state_dict())
    norm = sum(float(d.square().sum()) for d in deltas(source).values()) ** 0.5
    assert "6 trained tensors matched" in caplog.text
    assert f"LoRA of tts_language_model: 2 layers, |B A| = {norm:.4g}" in caplog.text


def test_load_state_dict_of_another_rank_raises():
    state = tune(LoraModule(r=3), seed=1).state_dict()
    with pytest.raises(ValueError, match=r"lora_A.default.weight has shape \(3, 9\)"):
        LoraModule().load_state_dict(state)
