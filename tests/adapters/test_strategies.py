import pytest

from espnet_vibevoice.adapters.strategies import STRATEGY_NAMES, find_strategy
from espnet_vibevoice.models.realtime import PARTS

REALTIME = "vibevoice_streaming"
Q_PROJ = "layers.3.self_attn.q_proj.weight"


def list_trained(family, name):
    strategy = find_strategy(family, name)
    return set(strategy.full) | set(strategy.lora)


@pytest.mark.parametrize(
    "name,trained",
    [
        ("lora", {"tts_language_model", "acoustic_connector", "tts_eos_classifier"}),
        ("conservative", set(PARTS) - {"language_model", "acoustic_tokenizer"}),
        ("full", set(PARTS) - {"acoustic_tokenizer"}),
        ("head_only", {"prediction_head"}),
    ],
)
def test_realtime_strategy_trains_these_parts(name, trained):
    assert list_trained(REALTIME, name) == trained


@pytest.mark.parametrize("family", [REALTIME, "vibevoice"])
@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_no_strategy_trains_a_codec(family, name):
    assert not any("tokenizer" in part for part in list_trained(family, name))


def test_lora_takes_parts_by_whole_names_only():
    strategy = find_strategy(REALTIME, "lora")
    assert strategy.describe("tts_language_model") == "lora"
    assert strategy.describe("language_model") == "frozen"
    assert strategy.count_trained("language_model", Q_PROJ, (8, 8)) == 0


def test_lora_counts_both_factors_of_its_targets_only():
    strategy = find_strategy(REALTIME, "lora", rank=4)
    part = "tts_language_model"
    assert strategy.count_trained(part, Q_PROJ, (8, 6)) == 4 * (8 + 6)
    assert strategy.count_trained(part, Q_PROJ.replace("weight", "bias"), (8,)) == 0
    assert strategy.count_trained(part, "layers.0.mlp.up_proj.weight", (9, 8)) == 0
    assert strategy.count_trained(part, "layers.0.my_q_proj.weight", (9, 8)) == 0
    assert strategy.count_trained("acoustic_connector", "norm.weight", (7,)) == 7


@pytest.mark.parametrize(
    "family,name,rank,message",
    [
        ("bert", "lora", 16, "model_type 'bert' is not known"),
        (REALTIME, "lorra", 16, "choose one of lora, conservative"),
        (REALTIME, "lora", 0, "rank 0: give at least 1"),
    ],
)
def test_find_strategy_bad_choice_raises(family, name, rank, message):
    with pytest.raises(ValueError, match=message):
        find_strategy(family, name, rank)
