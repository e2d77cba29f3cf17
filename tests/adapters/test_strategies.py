"""From the keys of tts_conf to a plan."""

import pytest

from espnet_vibevoice.adapters.parts import FAMILIES
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.adapters.strategies import (
    PLAN_KEYS,
    STRATEGY_NAMES,
    build_plan,
    pick_plan_keys,
)

REALTIME, MULTISPEAKER = "vibevoice_streaming", "vibevoice"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
HEAD = "prediction_head"
TTS_PARTS = (
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    HEAD,
    "tts_eos_classifier",
)


@pytest.mark.parametrize(
    ("family", "name", "full", "lora"),
    [
        (
            REALTIME,
            "lora",
            ("acoustic_connector", "tts_eos_classifier"),
            ("tts_language_model",),
        ),
        (REALTIME, "conservative", TTS_PARTS, ()),
        (REALTIME, "full", ("language_model", *TTS_PARTS), ()),
        (REALTIME, "head_only", (HEAD,), ()),
        (
            MULTISPEAKER,
            "lora",
            ("acoustic_connector", "semantic_connector"),
            ("language_model",),
        ),
        (
            MULTISPEAKER,
            "conservative",
            ("acoustic_connector", "semantic_connector", HEAD),
            ("language_model",),
        ),
        (
            MULTISPEAKER,
            "full",
            (
                "language_model",
                "lm_head",
                "acoustic_connector",
                "semantic_connector",
                HEAD,
            ),
            (),
        ),
        (MULTISPEAKER, "head_only", (HEAD,), ()),
    ],
)
def test_build_plan_named_strategy_has_its_parts(family, name, full, lora):
    plan = build_plan(family, strategy=name)
    assert plan == TrainingPlan(name, full, {p: LoraSettings(ATTENTION) for p in lora})
    assert plan.parts == (*full, *lora)


def test_build_plan_defaults_are_those_of_the_default_strategy():
    assert build_plan(REALTIME) == build_plan(REALTIME, strategy="lora")
    settings = build_plan(REALTIME).lora["tts_language_model"]
    assert settings == LoraSettings(ATTENTION, 16, 32, 0.05, False, False)
    assert settings.scaling == 2.0


def test_no_family_has_a_codec_among_its_parts():
    parts = [part for family in FAMILIES.values() for part in family.parts]
    assert parts and not any("tokenizer" in part for part in parts)


def test_build_plan_own_settings_go_before_the_common_ones():
    plan = build_plan(
        REALTIME,
        lora_rank=4,
        lora_dropout=0.0,
        use_rslora=True,
        lora_parts={
            "language_model": None,
            HEAD: {"rank": 2, "alpha": 3, "use_rslora": False, "use_dora": True},
        },
    )
    common = LoraSettings(ATTENTION, 4, 32, 0.0, True, False)
    assert plan.lora["language_model"] == plan.lora["tts_language_model"] == common
    assert common.scaling == 16.0
    own = plan.lora[HEAD]
    assert (own.rank, own.alpha, own.dropout, own.use_dora) == (2, 3, 0.0, True)
    assert own.scaling == 1.5 and plan.describe(HEAD) == "dora r2"


@pytest.mark.parametrize(
    ("targets", "of_language_model", "of_head"),
    [
        ("attention", ATTENTION, None),
        ("attention_mlp", (*ATTENTION, *MLP), None),
        ("linear", (*ATTENTION, *MLP), None),
        (["down_proj", "up_proj"], ("up_proj", "down_proj"), ("up_proj", "down_proj")),
    ],
)
def test_build_plan_targets_become_names_of_layers(targets, of_language_model, of_head):
    plan = build_plan(REALTIME, lora_targets=targets, lora_parts={HEAD: None})
    every = build_plan(REALTIME, lora_parts={HEAD: {"targets": "linear"}})
    assert plan.lora["tts_language_model"].targets == of_language_model
    # a part without attention takes all its layers in place of a named group
    assert plan.lora[HEAD].targets == (of_head or every.lora[HEAD].targets)


def test_build_plan_own_group_of_the_head_is_taken_at_its_word():
    plan = build_plan(REALTIME, lora_parts={HEAD: {"targets": "attention_mlp"}})
    assert plan.lora[HEAD].targets == MLP


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ({"train_connectors": False}, ("tts_eos_classifier",)),
        ({"train_connectors": True}, ("acoustic_connector", "tts_eos_classifier")),
        (
            {"strategy": "head_only", "train_connectors": True},
            ("acoustic_connector", HEAD),
        ),
        ({"strategy": "head_only", "train_connectors": False}, (HEAD,)),
    ],
)
def test_build_plan_train_connectors_adds_or_takes_them(given, full):
    assert build_plan(REALTIME, **given).full == full


def test_build_plan_connector_by_lora_once_it_is_not_in_full():
    given = {"train_connectors": False, "lora_parts": {"acoustic_connector": None}}
    plan = build_plan(REALTIME, **given)
    assert plan.lora["acoustic_connector"].targets == ("linear_1", "linear_2")
    assert "acoustic_connector" not in plan.full


def test_build_plan_custom_has_the_lists_and_no_more():
    plan = build_plan(
        REALTIME,
        strategy="custom",
        trained_parts=["tts_input_types", "language_model"],
        lora_parts={"tts_eos_classifier": {"targets": ["fc1"]}},
    )
    assert plan.full == ("language_model", "tts_input_types")
    assert {p: s.targets for p, s in plan.lora.items()} == {
        "tts_eos_classifier": ("fc1",)
    }


def test_plan_takes_parts_and_layers_by_whole_names_only():
    plan = build_plan(REALTIME)
    path = "layers.3.self_attn.q_proj"
    assert plan.describe("tts_language_model") == "lora r16"
    assert plan.describe("language_model") == "frozen"
    assert plan.gets_lora("tts_language_model", path)
    assert not plan.gets_lora("language_model", path)
    assert not plan.gets_lora("tts_language_model", "layers.3.my_q_proj")


def test_plan_counts_both_factors_of_its_targets_only():
    plan = build_plan(REALTIME, lora_rank=4)
    part, name = "tts_language_model", "layers.3.self_attn.q_proj.weight"
    assert plan.count_trained(part, name, (8, 6)) == 4 * (8 + 6)
    assert plan.count_trained(part, name.replace("weight", "bias"), (8,)) == 0
    assert plan.count_trained(part, "layers.0.mlp.up_proj.weight", (9, 8)) == 0
    assert plan.count_trained("acoustic_connector", "act.weight", (7,)) == 7
    assert plan.count_trained("language_model", name, (8, 6)) == 0


def test_plan_frozen_head_layers_are_compared_as_numbers():
    given = {"strategy": "head_only", "freeze_head_layers": [11, 1, 1]}
    plan = build_plan(REALTIME, **given)
    assert plan.frozen_head_layers == (1, 11)
    frozen = [i for i in range(13) if plan.is_frozen_head_layer(HEAD, f"layers.{i}.a")]
    assert frozen == [1, 11]
    assert not plan.is_frozen_head_layer("language_model", "layers.1.a")
    plan.check_head_layers(12)
    with pytest.raises(
        ValueError, match="names layer 11, but .* head is 4: give 0 to 3"
    ):
        plan.check_head_layers(4)


def test_pick_plan_keys_takes_those_of_the_plan():
    given = {"base": "b", "lora_rank": 3, "eos_weight": 0.1, "strategy": "lora"}
    assert pick_plan_keys(given) == {"strategy": "lora", "lora_rank": 3}
    assert len(PLAN_KEYS) == 11


def custom(**given):
    return {"strategy": "custom", **given}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "lorra"}, "'lorra' is not known: choose one of lora, conserv"),
        ({"trained_parts": [HEAD]}, "trained_parts is given with strategy lora"),
        (custom(), "custom with these settings trains nothing: name at least one"),
        (custom(trained_parts=HEAD), "trained_parts is 'prediction_head': give a list"),
        (custom(trained_parts=["head"]), "trained_parts names head: choose among lang"),
        (custom(trained_parts=["acoustic_tokenizer"]), "acoustic_tokenizer: .*Codecs"),
        ({"lora_parts": {"acoustic_tokenizer": None}}, "lora_parts names acoustic_tok"),
        ({"lora_parts": {"tts_input_types": None}}, "has no linear layer that takes"),
        (
            {"lora_parts": [HEAD]},
            r"lora_parts is \['prediction_head'\]: give a mapping",
        ),
        ({"lora_parts": {HEAD: 8}}, "lora_parts: prediction_head is 8: give a mapping"),
        ({"lora_parts": {HEAD: {"r": 8}}}, "has the key r: it knows targets, rank"),
        (
            {"lora_parts": {HEAD: {"rank:8": None}}},
            "has the key rank:8: .*lora_parts.prediction_head.rank=4; in YAML a",
        ),
        (
            {"lora_parts": {HEAD: {"targets": "attention"}}},
            "targets attention match no linear layer of prediction_head: it has noisy",
        ),
        ({"lora_targets": "mlp"}, "'mlp' of tts_language_model: give attention, att"),
        (
            {"lora_targets": ["q_proj", "qq"]},
            "targets qq match no linear layer of tts_",
        ),
        ({"lora_targets": []}, "targets nothing match no linear layer of tts_langua"),
        (
            {"strategy": "full", "lora_parts": {"tts_language_model": None}},
            "tts_language_model: trained in full by strategy full and named in lora_p",
        ),
        (
            {"train_connectors": True, "lora_parts": {"acoustic_connector": None}},
            "acoustic_connector: trained in full",
        ),
        (
            custom(trained_parts=["acoustic_connector"], train_connectors=False),
            "with these settings trains nothing",
        ),
        ({"train_connectors": "no"}, "train_connectors is 'no': give true, false"),
        ({"lora_rank": 0}, "rank 0: give a whole number of at least 1"),
        ({"lora_rank": 2.5}, "rank 2.5: give a whole number"),
        ({"lora_alpha": 0}, "alpha 0: give a number above 0"),
        ({"lora_alpha": True}, "alpha True: give a number above 0"),
        ({"lora_dropout": 1}, "dropout 1: give a number from 0 to below 1"),
        ({"use_dora": "yes"}, "use_dora is 'yes': give true or false"),
        ({"freeze_head_layers": [0]}, "prediction_head is frozen as a whole"),
        (
            {"strategy": "full", "freeze_head_layers": [-1]},
            r"\[-1\]: give a list of num",
        ),
        ({"strategy": "full", "freeze_head_layers": 1}, "layers is 1: give a list"),
        ({"strategy": "full", "freeze_head_layers": "1"}, "layers is '1': give a list"),
    ],
)
def test_build_plan_wrong_choice_raises(given, message):
    with pytest.raises(ValueError, match=message):
        build_plan(REALTIME, **given)


def test_build_plan_unknown_family_raises():
    with pytest.raises(ValueError, match="model_type 'bert' is not known, wanted one"):
        build_plan("bert")


@pytest.mark.parametrize("name", STRATEGY_NAMES[:-1])
def test_build_plan_other_family_takes_parts_of_its_own_only(name):
    with pytest.raises(ValueError, match="names tts_language_model: choose among lang"):
        given = {"strategy": name, "lora_parts": {"tts_language_model": None}}
        build_plan(MULTISPEAKER, **given)
