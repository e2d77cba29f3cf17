import copy

import pytest
import torch

from espnet_vibevoice.adapters.effect import (
    LoadReport,
    PartChange,
    ProbeEffect,
    measure_effect,
    probe_effect,
    report_load,
)

SOME = ProbeEffect(hidden=0.1, head=0.2, end_of_speech=0.3)


def test_effect_of_a_model_on_itself_is_zero(tiny_model):
    assert measure_effect(tiny_model, copy.deepcopy(tiny_model)) == 0


@pytest.mark.parametrize(
    ("part", "moved"),
    [
        ("language_model", {"hidden", "head", "end_of_speech"}),
        ("tts_language_model", {"hidden", "head", "end_of_speech"}),
        ("tts_input_types", {"hidden", "head", "end_of_speech"}),
        ("acoustic_connector", {"hidden", "head", "end_of_speech"}),
        ("prediction_head", {"head"}),
        ("tts_eos_classifier", {"end_of_speech"}),
    ],
)
def test_effect_of_each_part_is_seen_in_the_outputs_behind_it(
    tiny_model, tune, part, moved
):
    tuned, _ = tune(tiny_model, strategy="custom", trained_parts=[part])
    effect = probe_effect(tiny_model, tuned)
    seen = {k for k in ("hidden", "head", "end_of_speech") if getattr(effect, k) > 0}
    assert seen == moved
    assert measure_effect(tiny_model, tuned) == effect.largest > 1e-4


def test_probe_in_training_mode_is_refused(tiny_model, tune):
    tuned, _ = tune(tiny_model)
    with pytest.raises(RuntimeError, match="training mode"):
        probe_effect(tiny_model, tuned.train())


def test_report_measures_each_part(tiny_model, tune):
    tuned, adapter = tune(tiny_model)
    report = report_load("fa", tiny_model, adapter, tuned)
    assert report.num_tensors == adapter.count_tensors() == 25
    parts = {part.part: part for part in report.parts}
    assert parts["tts_language_model"].method == "lora"
    before = tiny_model.acoustic_connector.state_dict()
    after = tuned.acoustic_connector.state_dict()
    squares = sum(float((after[n] - before[n]).square().sum()) for n in before)
    norm = sum(float(weight.square().sum()) for weight in before.values()) ** 0.5
    connector = parts["acoustic_connector"]
    assert connector.change == pytest.approx(squares**0.5, rel=1e-5)
    assert connector.relative == pytest.approx(squares**0.5 / norm, rel=1e-5)


def test_report_table_has_aligned_columns():
    parts = (
        PartChange("tts_language_model", "lora", 160, 1.5, 300.0),
        PartChange("acoustic_connector", "full", 5, 0.25, 2.0),
    )
    assert str(LoadReport("fa", parts, SOME)).splitlines() == [
        "adapter fa: 165 tensors matched",
        "part                how   tensors   |change|     |base|  relative",
        "tts_language_model  lora      160  1.500e+00  3.000e+02     0.50%",
        "acoustic_connector  full        5  2.500e-01  2.000e+00    12.50%",
        "effect on a probe: hidden states 10.00%, diffusion head 20.00%, end of speech "
        "30.00%",
    ]


def test_report_of_lora_that_is_zero_is_refused(tiny_model, tune):
    tuned, adapter = tune(tiny_model)
    for factors in adapter.lora["tts_language_model"].values():
        factors.b.zero_()
    with pytest.raises(ValueError, match="LoRA of tts_language_model changes nothing"):
        report_load("fa", tiny_model, adapter, tuned)


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_report_without_a_real_effect_is_refused(value):
    parts = (PartChange("prediction_head", "full", 3, 0.0, 1.0),)
    effect = ProbeEffect(0.0, value, 0.0)
    with pytest.raises(ValueError, match="fa: 3 tensors matched, but it has"):
        LoadReport("fa", parts, effect).check()


def test_report_of_weights_equal_to_the_base_is_refused(tiny_model, tune):
    _, adapter = tune(tiny_model, strategy="head_only")
    for name, weight in adapter.full["prediction_head"].items():
        weight.copy_(tiny_model.prediction_head.get_parameter(name).detach())
    with pytest.raises(ValueError, match="no effect on the probe"):
        report_load("fa", tiny_model, adapter, copy.deepcopy(tiny_model))


def test_relative_change_of_a_zero_base_is_infinite():
    assert PartChange("a", "full", 1, 1.0, 0.0).relative == float("inf")
    assert PartChange("a", "full", 1, 0.0, 0.0).relative == 0
    assert torch.isfinite(torch.tensor(PartChange("a", "full", 1, 1.0, 2.0).relative))
