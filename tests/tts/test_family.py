"""What families share: what a step changes, modes, draws, the fingerprint."""

import argparse
import dataclasses
import re

import pytest
import torch

from espnet_vibevoice.adapters.lora import list_lora_layers
from espnet_vibevoice.models.fingerprint import check_fingerprint, fingerprint_weights
from espnet_vibevoice.models.realtime import PARTS
from espnet_vibevoice.tts.family import refuse_espnet_adapter
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS

VOCAB_SIZE, LATENT_DIM = 264, 4
HEAD = "prediction_head"
SMALL = {"acoustic_connector", "tts_eos_classifier"}
ATTENTION = r"layers\.\d\.self_attn\.[qkvo]_proj"
LM_LINEAR = rf"{ATTENTION}|layers\.\d\.mlp\.(gate|up|down)_proj"
FFN = r"layers\.0\.ffn\.(gate|up|down)_proj"


@dataclasses.dataclass
class Case:
    """Settings, and what they must train.

    Args:
        options (dict): Keys of tts_conf.
        full (set[str]): Parts whose every parameter is trained.
        lora (dict[str, str]): Part to the paths of its layers with LoRA, a pattern.
        frozen (str): Names in a part trained in full that are not, a pattern.
    """

    options: dict
    full: set = dataclasses.field(default_factory=set)
    lora: dict = dataclasses.field(default_factory=dict)
    frozen: str = "none"


CASES = {
    "lora": Case({}, SMALL, {"tts_language_model": ATTENTION}),
    "lora with waveform term": Case(
        {"reconstruction_weight": 0.1}, SMALL, {"tts_language_model": ATTENTION}
    ),
    "lora of more parts": Case(
        {
            "lora_targets": "attention_mlp",
            "lora_parts": {
                HEAD: {"targets": "attention_mlp", "rank": 2},
                "language_model": {"targets": ["v_proj"]},
            },
            "train_connectors": False,
        },
        {"tts_eos_classifier"},
        {
            "tts_language_model": LM_LINEAR,
            HEAD: FFN,
            "language_model": r"layers\.0\.self_attn\.v_proj",
        },
    ),
    "dora and rslora": Case(
        {"use_dora": True, "use_rslora": True},
        SMALL,
        {"tts_language_model": ATTENTION},
    ),
    "bfloat16 and checkpointing": Case(
        {
            "precision": "bfloat16",
            "base_dtype": "bfloat16",
            "gradient_checkpointing": True,
            "lora_parts": {"language_model": None},
        },
        SMALL,
        {"tts_language_model": ATTENTION, "language_model": ATTENTION},
    ),
    "lora but for a layer of the head": Case(
        {"lora_parts": {HEAD: None}, "freeze_head_layers": [0]},
        SMALL,
        {
            "tts_language_model": ATTENTION,
            HEAD: r"(noisy_images|cond)_proj|timestep_proj\.fc[12]"
            r"|final_layer\.linear_[12]",
        },
    ),
    "conservative": Case(
        {"strategy": "conservative"},
        set(PARTS) - {"language_model", "acoustic_tokenizer"},
    ),
    "full": Case({"strategy": "full"}, set(PARTS) - {"acoustic_tokenizer"}),
    "head_only": Case({"strategy": "head_only"}, {HEAD}),
    "head_only but for a layer": Case(
        {
            "strategy": "head_only",
            "freeze_head_layers": [0],
            "train_connectors": True,
        },
        {HEAD, "acoustic_connector"},
        frozen=r"layers\.0\..*",
    ),
    "custom": Case(
        {
            "strategy": "custom",
            "trained_parts": ["language_model"],
            "lora_parts": {"tts_eos_classifier": {"targets": ["fc1"]}},
        },
        {"language_model"},
        {"tts_eos_classifier": "fc1"},
    ),
}


@pytest.fixture
def make_tts(tiny_base):
    def make(**overrides):
        torch.manual_seed(0)
        options = {"idim": VOCAB_SIZE, "odim": LATENT_DIM, "base": str(tiny_base)}
        return VibeVoiceRealtimeTTS(**(options | overrides))

    return make


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return {
        "text": torch.randint(0, 250, (2, 7), generator=generator),
        "text_lengths": torch.tensor([7, 4]),
        "feats": torch.randn(2, 13, LATENT_DIM, generator=generator),
        "feats_lengths": torch.tensor([13, 5]),
    }


def take_steps(tts, batch, count):
    """Train as ESPnet does: all parameters go to the optimiser."""
    optimizer = torch.optim.AdamW(tts.parameters(), lr=1e-2, weight_decay=0.0)
    for seed in range(count):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        tts.train()(**batch)[0].backward()
        optimizer.step()


def is_trained(case, name):
    """Tell from the case alone whether a parameter is trained."""
    part, _, inner = name.partition(".")
    if part in case.full:
        return re.fullmatch(case.frozen, inner) is None
    path, is_factor, _ = inner.partition(".lora_")
    pattern = case.lora.get(part, "none")
    return bool(is_factor) and re.fullmatch(pattern, path) is not None


@pytest.mark.parametrize("name", CASES)
def test_steps_change_what_is_trained_and_nothing_else(make_tts, batch, name):
    case = CASES[name]
    model = (tts := make_tts(uncond_rate=0.0, **case.options)).model
    before = {key: value.clone() for key, value in model.named_parameters()}
    constants = {key: value.clone() for key, value in model.named_buffers()}
    take_steps(tts, batch, count=2)  # LoRA's A moves from the second step
    for key, value in model.named_parameters():
        wanted = is_trained(case, key)
        assert value.requires_grad is wanted, key
        assert (value.grad is not None) is wanted, key
        assert torch.equal(value, before[key]) is not wanted, key
    for key, value in model.named_buffers():
        assert torch.equal(value, constants[key]), key


@pytest.mark.parametrize("name", CASES)
def test_lora_is_where_the_case_says(make_tts, tiny_model, name):
    case = CASES[name]
    wanted = {
        path
        for path, _ in tiny_model.named_modules()
        if re.fullmatch(
            case.lora.get(path.partition(".")[0], "none"), path.partition(".")[2]
        )
    }
    assert set(list_lora_layers(make_tts(**case.options).model)) == wanted


def test_checkpoint_holds_what_is_trained_and_marks(make_tts):
    tts = make_tts()
    trained = {name for name, p in tts.named_parameters() if p.requires_grad}
    assert set(tts.state_dict()) - trained == {"base_fingerprint", "lora_seal"}
    assert trained < set(tts.state_dict())


def test_train_mode_reaches_parts_with_lora_only_besides_full_ones(make_tts):
    tts = make_tts(lora_parts={HEAD: None}).train()
    trained = SMALL | {"tts_language_model", HEAD}
    for part in PARTS:
        modes = {m.training for m in tts.model.get_submodule(part).modules()}
        assert modes == {part in trained}, part
    tts.eval()
    assert not any(module.training for module in tts.modules())


def test_lora_dropout_acts_in_training_only(make_tts, batch):
    losses = {}
    for dropout in (0.0, 0.5):
        tts = make_tts(uncond_rate=0.0, lora_dropout=dropout)
        take_steps(tts, batch, count=1)
        tts.load_state_dict(make_trained_state(make_tts, batch))
        for mode in (True, False):
            torch.manual_seed(3)
            tts.train(mode).start_epoch(3)
            losses[dropout, mode] = tts(**batch, utt_ids=["a", "b"])[0].item()
    assert losses[0.0, False] == losses[0.5, False]
    assert losses[0.0, True] != losses[0.5, True]


def make_trained_state(make_tts, batch):
    tts = make_tts(uncond_rate=0.0, lora_dropout=0.0)
    take_steps(tts, batch, count=2)
    return tts.state_dict()


def test_training_draws_follow_epoch_step_and_utterance(make_tts, batch):
    tts = make_tts(strategy="full").train()
    ids = {"utt_ids": ["a", "b"]}

    def lose(**given):
        return tts(**(batch | ids | given))[0].item()

    tts.start_epoch(1)
    first = [lose(), lose()]
    tts.start_epoch(1)
    assert [lose(), lose()] == first and first[0] != first[1]
    tts.start_epoch(2)
    assert lose() != first[0]
    tts.start_epoch(1)
    assert lose(utt_ids=["a", "c"]) != first[0]
    tts.eval()
    assert lose() == lose()


def test_training_draws_of_an_utterance_do_not_follow_its_neighbours(make_tts):
    tts = make_tts().train()
    tts.start_epoch(5)
    both = tts.draw_row_seeds(["a", "b"])
    tts.start_epoch(5)
    alone = tts.draw_row_seeds(["b"])
    assert both[1] == alone[0] and both[0] != both[1]
    assert make_tts().train().draw_row_seeds(["a"]) is None
    assert tts.draw_row_seeds(None) is None


def test_averaged_weights_come_with_evaluation_and_go_with_training(make_tts, batch):
    tts = make_tts(strategy="head_only", ema_decay=0.9)
    weight = next(tts.model.prediction_head.parameters())
    start = weight.detach().clone()
    take_steps(tts, batch, count=1)
    raw = weight.detach().clone()
    tts.ema.update()
    tts.eval()
    averaged = weight.detach().clone()
    assert torch.allclose(averaged, 0.1 * start + 0.9 * raw)  # the first of the ramp
    assert not torch.equal(averaged, raw)
    tts.train()
    assert torch.equal(weight, raw)
    assert make_tts().ema is None


def test_base_fingerprint_is_computed_and_compared(make_tts, tiny_base):
    found = fingerprint_weights(tiny_base)
    assert make_tts().base_fingerprint == found
    assert check_fingerprint(str(tiny_base), found) == found
    message = f"base has the fingerprint {found}, but tts_conf base_fingerprint is 12"
    with pytest.raises(ValueError, match=message):
        make_tts(base_fingerprint="12")


def test_espnets_own_adapter_is_refused():
    refuse_espnet_adapter(argparse.Namespace(use_adapter=False))
    with pytest.raises(ValueError, match="use_adapter true.*conf/realtime_lora.yaml"):
        refuse_espnet_adapter(argparse.Namespace(use_adapter=True))
