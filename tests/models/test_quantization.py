"""Frozen linear layers in 8 and 4 bits: what is replaced, and that it trains."""

import copy
import sys

import pytest
import torch
from peft.utils.integrations import dequantize_module_weight

from espnet_vibevoice.adapters.lora import apply_plan, list_lora_layers
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.memory import (
    MemorySettings,
    autocast,
    enable_checkpointing,
    prepare_memory,
)
from espnet_vibevoice.models.realtime import RealtimeModel

LORA = TrainingPlan(
    "lora",
    ("acoustic_connector", "tts_eos_classifier"),
    {"tts_language_model": LoraSettings(("q_proj", "v_proj"), rank=4)},
)
LINEAR_LAYERS = 3 * 7  # three blocks: four of the attention, three of the MLP
PLAIN = MemorySettings()
# Error of a matrix of weights as a share of its norm; integers that hold it.
WAYS = [("8bit", 0.01, torch.int8), ("4bit", 0.12, torch.uint8)]


@pytest.fixture
def model(original):
    """Make a model whose rows hold whole blocks of 4-bit weights."""
    original["decoder_config"] |= {"hidden_size": 64, "intermediate_size": 64}
    original["diffusion_head_config"]["hidden_size"] = 64
    return RealtimeModel.from_config(parse_config(original, 31))


def quantized(way, **others):
    """Make settings."""
    return MemorySettings(precision="bfloat16", quantize_base=way, **others)


def prepare(model, settings, plan=LORA):
    """Do what the model's builder does, then what ESPnet does."""
    prepare_memory(model, plan, settings)
    return finish(model, settings, plan)


def finish(model, settings, plan):
    """Do what follows on `prepare_memory`."""
    torch.manual_seed(0)  # LoRA's first factors
    apply_plan(model, plan)
    enable_checkpointing(model, settings)
    for part in plan.parts:
        model.get_submodule(part).train()
    return model.to(dtype=torch.float32, device="cpu")


def train_once(model, settings, batch):
    """Return the loss; gradients are left in the parameters."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(18, 4, 4, generator=generator)
    timesteps = torch.randint(0, 1000, (18, 4), generator=generator)
    torch.manual_seed(1)
    with autocast(settings, batch[2].device):
        loss = model.compute_losses(
            *batch,
            RealtimeLossSettings(uncond_rate=0.0),
            noise=noise,
            timesteps=timesteps,
        ).loss
    loss.backward()
    return loss.detach()


def gather_gradients(model):
    """Put the gradients of the trained parameters into one vector."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


@pytest.mark.parametrize("way,tolerance,storage", WAYS)
def test_quantized_layers_compute_with_rounded_weights(
    model, batch, way, tolerance, storage
):
    rounded = copy.deepcopy(model)
    prepare_memory(model, LORA, quantized(way))
    found = 0
    for path, layer in model.named_modules():
        if layer.__class__.__module__.endswith("quantized_layers"):
            plain = rounded.get_submodule(path).weight
            weight = dequantize_module_weight(layer).float()
            assert 0 < (weight - plain).norm() / plain.norm() < tolerance, path
            assert layer.weight.dtype == storage and not layer.weight.requires_grad
            plain.data = weight
            found += 1
    assert found == LINEAR_LAYERS
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    caps = GenerationSettings(max_frames=3, eos_threshold=1.0)
    settings, results = quantized(way), []
    for trained, choice in ((rounded, PLAIN), (model, settings)):
        finish(trained, choice, LORA)
        loss = train_once(trained, choice, batch)
        with autocast(choice, "cpu"):
            made = generate(trained.eval(), torch.arange(7), caps, noise=noise)
        results.append((loss, gather_gradients(trained), made.latents))
    # In evaluation mode, as the frozen part is, 8 bits round the inputs as well.
    gradient_limit = 0.2 if way == "8bit" else 0.05
    limits = (5e-3, gradient_limit, 0.03)
    for plain, coarse, limit in zip(*results, limits, strict=True):
        assert 0 < (coarse - plain).norm() / plain.norm() < limit


@pytest.mark.parametrize("way,tolerance,storage", WAYS)
def test_training_steps_lower_the_loss_and_leave_the_base(
    model, batch, way, tolerance, storage
):
    settings = quantized(way, base_dtype="bfloat16", gradient_checkpointing=True)
    prepare(model, settings)
    frozen = {
        n: p.detach().clone()
        for n, p in model.named_parameters()
        if not p.requires_grad
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    losses = []
    for _ in range(3):
        losses.append(train_once(model, settings, batch))
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < losses[0] - 0.01
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
    assert all(layer.lora_B["default"].weight.any() for layer in lora_layers(model))


def lora_layers(model):
    """List the layers with LoRA; there are two in each upper block."""
    layers = list(list_lora_layers(model).values())
    assert len(layers) == 4 and "bnb" in type(layers[0]).__module__
    return layers


@pytest.mark.parametrize("way,tolerance,storage", WAYS)
def test_validation_between_steps_changes_nothing(
    model, batch, way, tolerance, storage
):
    settings = quantized(way)
    prepare(model, settings)
    first = train_once(model, settings, batch)
    modes = {name: m.training for name, m in model.named_modules()}
    with torch.no_grad(), autocast(settings, "cpu"):
        model.eval().compute_losses(*batch, RealtimeLossSettings())
    for name, module in model.named_modules():
        module.training = modes[name]
    assert torch.equal(train_once(model, settings, batch), first)


def test_scales_of_8_bits_follow_the_weights(model, batch):
    prepare(model, quantized("8bit"))
    first = train_once(model, quantized("8bit"), batch)  # moves scales into the state
    model._apply(lambda tensor: tensor.to("cpu").clone())
    layer = model.language_model.layers[0].mlp.up_proj
    assert layer.state.CB.data_ptr() == layer.weight.data_ptr()
    assert torch.equal(train_once(model, quantized("8bit"), batch), first)


@pytest.mark.gpu
@pytest.mark.parametrize("way,tolerance,storage", WAYS)
def test_quantized_model_moves_to_gpu_and_trains(model, batch, way, tolerance, storage):
    settings = quantized(way, base_dtype="bfloat16")
    prepare(model, settings)
    wanted = train_once(model, settings, batch)
    model.to(dtype=torch.float32, device="cuda")
    got = train_once(model, settings, [tensor.cuda() for tensor in batch])
    assert abs(got.cpu() - wanted) < 5e-3 * wanted


def test_part_trained_in_full_is_not_quantized(model):
    plan = TrainingPlan("conservative", ("tts_language_model", "prediction_head"))
    prepare(model, quantized("8bit"), plan)
    upper = model.tts_language_model
    assert {type(m).__name__ for m in upper.layers[0].self_attn.children()} == {
        "Linear"
    }
    lower = model.language_model.layers[0].self_attn
    assert {type(m).__name__ for m in lower.children()} == {"EightBitLinear"}
    assert type(model.prediction_head.cond_proj) is torch.nn.Linear


def test_nothing_left_to_quantize_raises(model):
    plan = TrainingPlan("full", ("language_model", "tts_language_model"))
    with pytest.raises(ValueError, match="strategy full trains language_model, tts_l"):
        prepare_memory(model, plan, quantized("4bit"))


def test_rows_without_whole_blocks_raise(tiny_model):
    with pytest.raises(ValueError, match=r"have \[16\] inputs, 4 bits need multiples"):
        prepare_memory(tiny_model, LORA, quantized("4bit"))


def test_missing_package_raises_with_pip_line(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.nn", None)
    name = "espnet_vibevoice.models.quantized_layers"
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(RuntimeError, match="pip install bitsandbytes"):
        prepare_memory(model, LORA, quantized("8bit"))


def test_device_that_cannot_run_it_raises():
    with (
        pytest.raises(ValueError, match="cannot run on mps, only on cpu, cuda, xpu"),
        autocast(quantized("4bit"), "mps"),
    ):
        pass
