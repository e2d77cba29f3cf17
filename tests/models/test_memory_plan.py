"""The predicted memory against the tensors that a forward pass saves."""

import dataclasses

import pytest
import torch

from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.strategies import build_plan
from espnet_vibevoice.models.builtin import load_builtin
from espnet_vibevoice.models.memory import (
    MemorySettings,
    autocast,
    enable_checkpointing,
    prepare_memory,
)
from espnet_vibevoice.models.memory_plan import BatchSize, plan_memory
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import (
    SpeechTokens,
    parse_multispeaker_config,
)
from espnet_vibevoice.models.multispeaker_losses import MultispeakerLossSettings
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch

FACTOR = 1.25  # prediction and measurement differ by less
ROWS, TOKENS, FRAMES, VOICE, DRAWS = 3, 50, 40, 10, 4
SPECIAL = SpeechTokens(3, 4, 5, 6)
# A mask of dropout takes a byte on a GPU, which the formula counts, and 4 on a CPU.
NO_MASK = {"lora_dropout": 0.0}
HALF = {"precision": "bfloat16"}


@pytest.fixture
def wide(multispeaker_original):
    """Wide enough that what the formula leaves out is little."""
    multispeaker_original["decoder_config"] |= {
        "hidden_size": 96,
        "intermediate_size": 288,
        "num_attention_heads": 3,
        "num_hidden_layers": 6,
        "num_key_value_heads": 1,
    }
    multispeaker_original["diffusion_head_config"] |= {
        "head_ffn_ratio": 3.0,
        "head_layers": 3,
        "hidden_size": 96,
    }
    return multispeaker_original


def count_saved(model, compute):
    """Bytes that a pass saves for the backward pass beside the model's own."""
    own = {t.untyped_storage().data_ptr() for t in model.parameters()}
    own |= {t.untyped_storage().data_ptr() for t in model.buffers()}
    sizes, held = {}, []

    def pack(tensor):
        held.append(tensor)  # so that no address is used twice
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        compute()
    return sum(sizes.values())


def measure(original, plan, settings, loss_settings):
    """Count what a model with random weights saves in one pass."""
    model = MultispeakerModel.from_config(parse_multispeaker_config(original, SPECIAL))
    prepare_memory(model, plan, settings)
    apply_plan(model, plan)
    enable_checkpointing(model, settings)
    for part in plan.parts:
        model.get_submodule(part).train()
    prompt = torch.full((ROWS, TOKENS + VOICE), 9)
    prompt[:, 1 : 1 + VOICE] = SPECIAL.speech_diffusion
    prompt[:, -1] = SPECIAL.speech_start
    generator = torch.Generator().manual_seed(0)
    batch = MultispeakerBatch(
        prompt,
        torch.full((ROWS,), TOKENS + VOICE),
        torch.randn(ROWS, FRAMES, 4, generator=generator),
        torch.randn(ROWS, FRAMES, 6, generator=generator),
        torch.full((ROWS,), FRAMES),
        torch.randn(ROWS, VOICE, 4, generator=generator),
        torch.full((ROWS,), VOICE),
    )

    def compute():
        with autocast(settings, "cpu"):
            model.compute_losses(batch, loss_settings)

    return count_saved(model, compute)


@pytest.mark.parametrize(
    ("keys", "memory", "text_token_weight"),
    [
        ({"strategy": "lora"}, {}, 0.0),
        (NO_MASK | {"strategy": "conservative"}, HALF, 0.0),
        (NO_MASK | {"strategy": "lora", "lora_targets": "attention_mlp"}, HALF, 0.0),
        ({"strategy": "conservative"}, HALF | {"base_dtype": "bfloat16"}, 0.0),
        ({"strategy": "conservative"}, {"gradient_checkpointing": True}, 0.0),
        ({"strategy": "full"}, {}, 1.0),
        ({"strategy": "full"}, HALF, 0.0),
        ({"strategy": "head_only"}, HALF, 0.0),
    ],
)
def test_plan_memory_predicts_what_a_pass_saves(wide, keys, memory, text_token_weight):
    plan = build_plan(wide["model_type"], **keys)
    settings = MemorySettings(**memory)
    loss_settings = MultispeakerLossSettings(
        ddpm_batch_mul=DRAWS, uncond_rate=0.0, text_token_weight=text_token_weight
    )
    measured = measure(wide, plan, settings, loss_settings)
    labels = ROWS * (3 + (TOKENS if text_token_weight else 0))
    size = BatchSize(
        ROWS * (TOKENS + VOICE + FRAMES), ROWS * FRAMES, ROWS * VOICE, labels, DRAWS
    )
    found = plan_memory(wide, plan, settings, size)
    predicted = sum(found.activations.values())
    predicted += found.standing["bfloat16 copies of weights"]
    assert measured / FACTOR < predicted < measured * FACTOR


def test_plan_memory_counts_weights_gradients_and_states(wide):
    plan = build_plan(wide["model_type"], strategy="full", freeze_head_layers=[1])
    model = MultispeakerModel.from_config(parse_multispeaker_config(wide, SPECIAL))
    apply_plan(model, plan)
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    batch = BatchSize(100, 50)
    found = plan_memory(wide, plan, MemorySettings(), batch, has_average=True)
    assert (found.parameters, found.trained) == (sum(sizes.values()), trained)
    assert found.standing == {
        "weights": 4 * found.parameters,
        "bfloat16 copies of weights": 0,
        "gradients": 4 * trained,
        "AdamW states": 8 * trained,
        "averaged weights": 4 * trained,
    }
    half = plan_memory(wide, plan, MemorySettings(**HALF), batch)
    assert half.total < found.total and half.standing["averaged weights"] == 0


def test_plan_memory_logits_grow_with_labels_alone():
    original = load_builtin("1.5b")
    plan = build_plan(original["model_type"])
    batch = BatchSize(4000, 1000, 500, labels=80)
    few = plan_memory(original, plan, MemorySettings(**HALF), batch)
    every = dataclasses.replace(batch, labels=batch.positions)
    all_of_them = plan_memory(original, plan, MemorySettings(**HALF), every)
    assert few.activations["logits"] == 4 * 151936 * 80
    assert all_of_them.activations["logits"] == 50 * few.activations["logits"]
    assert all_of_them.total - few.total == 2 * 49 * few.activations["logits"]


def test_plan_memory_7b_in_4_bits_with_checkpointing_is_much_smaller():
    original = load_builtin("7b")
    plan = build_plan(original["model_type"], strategy="conservative")
    settings = MemorySettings("bfloat16", "bfloat16")
    small = MemorySettings("bfloat16", "bfloat16", "4bit", True)
    whole = plan_memory(original, plan, settings, BatchSize(4000, 1200))
    saved = plan_memory(original, plan, small, BatchSize(4000, 1200))
    assert whole.parameters == saved.parameters == 9_343_355_361
    linear = 28 * (2 * 3584**2 + 2 * 3584 * 512 + 3 * 3584 * 18944)
    freed = whole.standing["weights"] - saved.standing["weights"]
    assert freed == pytest.approx((2 - 0.516) * linear, rel=1e-3)
    language = "activations of the language model"
    assert saved.activations[language] < 0.1 * whole.activations[language]
    assert "total" in saved.describe() and "9,343,355,361" in saved.describe()


def test_plan_memory_head_layer_that_is_not_there_raises(wide):
    keys = {"strategy": "full", "freeze_head_layers": [7]}
    plan = build_plan(wide["model_type"], **keys)
    with pytest.raises(ValueError, match="freeze_head_layers names layer 7"):
        plan_memory(wide, plan, MemorySettings(), BatchSize(10, 5))
