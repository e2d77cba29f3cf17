"""A plan put into force on a model: frozen, trained, with LoRA."""

import dataclasses

import pytest
import torch
from torch import nn

from espnet_vibevoice.adapters.lora import apply_plan, list_lora_layers
from espnet_vibevoice.adapters.parts import FAMILIES, LINEAR_LAYERS
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.adapters.strategies import STRATEGY_NAMES, build_plan
from espnet_vibevoice.adapters.summary import (
    count_parameters,
    count_trained,
    refuse_untrained,
    tabulate_training,
)
from espnet_vibevoice.models.builtin import (
    MULTISPEAKER_TYPE,
    REALTIME_TYPE,
    build_parts,
    load_builtin,
)
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.inspection import inspect_model
from espnet_vibevoice.models.realtime import RealtimeModel

HEAD = "prediction_head"
# Plans of many kinds; the counts of each are compared with those of a built model.
OPTIONS = [
    *({"strategy": name} for name in STRATEGY_NAMES[:-1]),
    {"lora_rank": 3, "lora_targets": "linear", "train_connectors": False},
    {"use_dora": True, "lora_parts": {HEAD: None}},
    {"strategy": "full", "freeze_head_layers": [0]},
    {
        "strategy": "custom",
        "trained_parts": ["language_model"],
        "lora_parts": {
            HEAD: {"rank": 5},
            "acoustic_connector": {"use_dora": True, "rank": 2},
        },
    },
    {"lora_parts": {HEAD: {"rank": 1}}, "freeze_head_layers": [0]},
]


@pytest.fixture
def build_released():
    """Give a factory of the released model's sizes, without memory for weights."""

    def build():
        with torch.device("meta"):
            return RealtimeModel(parse_config(load_builtin("realtime-0.5b")), False)

    return build


@pytest.mark.parametrize(
    ("family", "size"), [(REALTIME_TYPE, "realtime-0.5b"), (MULTISPEAKER_TYPE, "7b")]
)
def test_tables_name_the_parts_and_linear_layers_there_are(family, size):
    built = build_parts(load_builtin(size), has_encoder=False)
    parts = {part: module for part, module in built.items() if "tokenizer" not in part}
    assert set(parts) == set(FAMILIES[family].parts)
    for part, module in parts.items():
        layers = {
            name.rpartition(".")[2]
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear) and name
        }
        assert layers == set(LINEAR_LAYERS.get(part, ())), part


@pytest.mark.parametrize("options", OPTIONS)
def test_counts_without_a_model_equal_those_of_a_built_one(
    build_released, tiny_model, tmp_path, options
):
    tiny_model.save(tmp_path)
    models = {"realtime-0.5b": build_released(), str(tmp_path): tiny_model}
    for name, model in models.items():
        totals = count_parameters(model)
        apply_plan(model, build_plan(REALTIME_TYPE, **options))
        report = inspect_model(name, **options)
        trained = dict.fromkeys(totals, 0)
        for part in report.parts:
            trained[part.name.partition(".")[0]] += part.trainable
        assert report.parameters == sum(totals.values())
        assert {
            k: v for k, v in count_trained(model).items() if k in trained
        } == trained
        assert sum(trained.values()) > 0


def test_default_checkpoint_is_below_2_percent_of_the_released_base(build_released):
    model = build_released()
    base_bytes = 2 * sum(count_parameters(model).values())  # bfloat16
    apply_plan(model, build_plan(REALTIME_TYPE))
    trained = [p for p in model.parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}
    checkpoint_bytes = sum(4 * p.numel() for p in trained)
    assert checkpoint_bytes == 13_878_788
    assert checkpoint_bytes / base_bytes < 0.02


def test_apply_plan_leaves_the_output_as_it_was(tiny_model):
    text = torch.arange(6)[None]
    with torch.no_grad():
        before = tiny_model.embed_text(text)
        plan = build_plan(REALTIME_TYPE, lora_parts={"language_model": None})
        apply_plan(tiny_model, plan)
        assert torch.equal(tiny_model.embed_text(text), before)


def test_apply_plan_injects_at_exact_paths_with_settings_of_the_part(tiny_model):
    parts = {HEAD: {"targets": ["gate_proj"], "rank": 2, "use_rslora": True}}
    plan = build_plan(REALTIME_TYPE, lora_targets=["v_proj"], lora_parts=parts)
    names = set(tiny_model.state_dict())
    apply_plan(tiny_model, plan)
    layers = list_lora_layers(tiny_model)
    assert set(layers) == {
        "tts_language_model.layers.0.self_attn.v_proj",
        "tts_language_model.layers.1.self_attn.v_proj",
        "prediction_head.layers.0.ffn.gate_proj",
    }
    for path, layer in layers.items():
        settings = plan.lora[path.partition(".")[0]]
        assert layer.scaling == {"default": settings.scaling}
        assert layer.lora_A["default"].weight.shape[0] == settings.rank
    wrapped = tuple(f"{path}." for path in layers)
    kept = {name for name in names if not name.startswith(wrapped)}
    assert kept < set(tiny_model.state_dict())


def test_apply_plan_factors_are_float32_on_a_bfloat16_base(tiny_model):
    tiny_model.tts_language_model.bfloat16()
    apply_plan(tiny_model, build_plan(REALTIME_TYPE, use_dora=True))
    part = tiny_model.tts_language_model
    kinds = {(p.requires_grad, p.dtype) for p in part.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"strategy": "head_only", "freeze_head_layers": [0, 1]},
            "names layer 1, but the number of layers .* is 1: give 0 to 0",
        ),
        (
            {
                "lora_parts": {HEAD: {"targets": ["up_proj"]}},
                "freeze_head_layers": [0],
            },
            "targets up_proj leave no layer of prediction_head: it has cond_proj",
        ),
    ],
)
def test_apply_plan_that_does_not_fit_raises(tiny_model, options, message):
    with pytest.raises(ValueError, match=message):
        apply_plan(tiny_model, build_plan(REALTIME_TYPE, **options))


def test_apply_plan_of_the_other_family_raises(tiny_model):
    with pytest.raises(ValueError, match="the model has no semantic_connector, which"):
        apply_plan(tiny_model, build_plan(MULTISPEAKER_TYPE))


def test_apply_plan_twice_raises(tiny_model):
    plan = build_plan(REALTIME_TYPE)
    apply_plan(tiny_model, plan)
    with pytest.raises(ValueError, match="leave no layer of tts_language_model"):
        apply_plan(tiny_model, plan)


def test_lora_settings_and_plans_are_values():
    settings = LoraSettings(("q_proj",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.rank = 3
    assert TrainingPlan("custom", (), {"a": settings}).parts == ("a",)


def test_tabulate_training_adds_up(tiny_model):
    totals = count_parameters(tiny_model)
    plan = build_plan(REALTIME_TYPE, lora_rank=2)
    apply_plan(tiny_model, plan)
    head, *rows, total = tabulate_training(tiny_model, plan, totals).splitlines()
    assert head.split() == ["part", "total", "trained", "share", "how"]
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert list(cells) == list(totals)
    assert cells["tts_language_model"][3:] == ["lora", "r2"]
    assert cells["acoustic_connector"][3:] == ["full"]
    assert cells["acoustic_tokenizer"][1:] == ["0", "0.00%", "frozen"]
    for column in (0, 1):
        numbers = [int(row[column].replace(",", "")) for row in cells.values()]
        assert sum(numbers) == int(total.split()[1 + column].replace(",", ""))


def test_refuse_untrained_lets_one_trained_parameter_pass(tiny_model):
    tiny_model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing of the model is trained.*freeze_par"):
        refuse_untrained(tiny_model)
    tiny_model.tts_input_types.requires_grad_(True)
    refuse_untrained(tiny_model)
