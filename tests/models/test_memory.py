"""Precision, frozen weights in bfloat16 and gradient checkpointing."""

import copy
import dataclasses
import weakref

import pytest
import torch

from espnet_vibevoice.adapters.lora import apply_plan
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan
from espnet_vibevoice.models.diffusion import GuidedSampler, compute_diffusion_loss
from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    start_branches,
)
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.memory import (
    MemorySettings,
    autocast,
    enable_checkpointing,
    prepare_memory,
)
from espnet_vibevoice.models.spectral import compute_log_mel_distance
from espnet_vibevoice.models.streaming import StreamingDecoder
from espnet_vibevoice.models.voice_prompt import build_voice_prompt

ATTENTION = LoraSettings(("q_proj", "k_proj", "v_proj", "o_proj"), rank=4, dropout=0.3)
PARTS = (
    "language_model",
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    "prediction_head",
    "tts_eos_classifier",
)
LORA = TrainingPlan(
    "lora",
    ("acoustic_connector", "tts_eos_classifier"),
    {"tts_language_model": ATTENTION},
)
CONSERVATIVE = TrainingPlan("conservative", PARTS[1:], frozen_head_layers=(0,))
FULL = TrainingPlan("full", PARTS)
CONNECTOR = TrainingPlan("custom", ("acoustic_connector",))
HALF = MemorySettings(precision="bfloat16")
HALF_BASE = MemorySettings(precision="bfloat16", base_dtype="bfloat16")
CHECKPOINTING = MemorySettings(gradient_checkpointing=True)
GENERATION = GenerationSettings(max_frames=3, eos_threshold=1.0)


def prepare(model, plan, settings):
    """Do what the model's builder does, then what ESPnet does."""
    torch.manual_seed(0)  # LoRA's first factors
    prepare_memory(model, plan, settings)
    apply_plan(model, plan)
    enable_checkpointing(model, settings)
    for part in plan.parts:
        model.get_submodule(part).train()
    return model.to(dtype=torch.float32, device="cpu")


def train_once(model, settings, batch):
    """Return loss and gradients of a pass with fixed draws."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(18, 4, 4, generator=generator)
    timesteps = torch.randint(0, 1000, (18, 4), generator=generator)
    torch.manual_seed(1)  # dropout
    with autocast(settings, "cpu"):
        losses = model.compute_losses(
            *batch,
            RealtimeLossSettings(uncond_rate=0.0),
            noise=noise,
            timesteps=timesteps,
        )
    losses.loss.backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    return losses, {name: p.grad for name, p in trained.items()}


def speak(model, settings):
    """Generate three frames from fixed noise."""
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    with autocast(settings, "cpu"):
        return generate(model.eval(), torch.arange(7), GENERATION, noise=noise)


@pytest.mark.parametrize(
    "values,message",
    [
        ({"precision": "float16"}, "precision is 'float16': choose one of float32"),
        ({"base_dtype": "half"}, "base_dtype is 'half': choose one of float32"),
        ({"quantize_base": "3bit"}, "quantize_base is '3bit': choose one of 8bit"),
        ({"gradient_checkpointing": 1}, "gradient_checkpointing is 1: choose true"),
        ({"base_dtype": "bfloat16"}, "base_dtype bfloat16 needs precision bfloat16"),
        ({"quantize_base": "4bit"}, "quantize_base 4bit needs precision bfloat16"),
    ],
)
def test_settings_that_do_not_fit_raise(values, message):
    with pytest.raises(ValueError, match=message):
        MemorySettings(**values)


# A rounding costs 0.4 %; those of a mean cancel, those of single weights do not.
@pytest.mark.parametrize("plan", [LORA, CONSERVATIVE, FULL], ids=lambda p: p.strategy)
@pytest.mark.parametrize("settings", [HALF, HALF_BASE], ids=lambda s: s.base_dtype)
def test_loss_under_autocast_is_close(tiny_model, batch, plan, settings):
    model = prepare(copy.deepcopy(tiny_model), plan, MemorySettings())
    exact, wanted = train_once(model, MemorySettings(), batch)
    half, got = train_once(prepare(tiny_model, plan, settings), settings, batch)
    for name in ("loss", "diffusion_loss", "eos_loss"):
        value = getattr(half, name)
        assert value.dtype == torch.float32, name
        assert abs(value - getattr(exact, name)) < 5e-3 * getattr(exact, name), name
    assert got.keys() == wanted.keys()
    assert {grad.dtype for grad in got.values()} == {torch.float32}
    got, wanted = (torch.cat([g.flatten() for g in x.values()]) for x in (got, wanted))
    assert 1e-5 < (got - wanted).norm() / wanted.norm() < 0.03


@pytest.mark.parametrize(
    "plan", [LORA, CONSERVATIVE, FULL, CONNECTOR], ids=lambda p: p.strategy
)
def test_frozen_weights_stay_bfloat16_after_conversion(tiny_model, plan):
    base = {name: p.clone() for name, p in tiny_model.named_parameters()}
    prepare(tiny_model, plan, HALF_BASE)
    kept = set()
    for name, parameter in tiny_model.named_parameters():
        original = name.replace(".base_layer.", ".")
        if parameter.requires_grad or name.startswith("acoustic_tokenizer."):
            assert parameter.dtype == torch.float32, name
        else:
            assert parameter.dtype == torch.bfloat16, name
            assert torch.equal(parameter, base[original].bfloat16()), name
            kept.add(name.partition(".")[0])
    frozen_head = {"prediction_head"} if plan.frozen_head_layers else set()
    assert kept == set(PARTS) - set(plan.full) | frozen_head
    assert {b.dtype for b in tiny_model.buffers()} == {torch.float32}


def test_moving_takes_frozen_weights_along(tiny_model):
    prepare(tiny_model, LORA, HALF_BASE).to(dtype=torch.float32, device="meta")
    assert {p.device.type for p in tiny_model.parameters()} == {"meta"}
    types = {p.dtype for p in tiny_model.language_model.parameters()}
    assert types == {torch.bfloat16}


def test_conversion_holds_one_extra_tensor_at_a_time(tiny_model):
    prepare(tiny_model, LORA, HALF_BASE)
    alive = []

    def convert(tensor):
        made = tensor.float()
        if tensor.dtype == torch.bfloat16:
            assert all(other() is None for other in alive), tensor.shape
            alive.append(weakref.ref(made))
        return made

    tiny_model._apply(convert)
    assert len(alive) > 30


@pytest.mark.parametrize("settings", [HALF, HALF_BASE], ids=lambda s: s.base_dtype)
def test_generation_in_bfloat16_is_close(tiny_model, settings):
    exact = speak(tiny_model, MemorySettings())
    half = speak(prepare(tiny_model, LORA, settings), settings)
    assert half.latents.dtype == half.waveform.dtype == torch.float32
    error = (half.latents - exact.latents).norm() / exact.latents.norm()
    assert 0 < error < 2e-2


@pytest.mark.parametrize("plan", [LORA, CONSERVATIVE], ids=lambda p: p.strategy)
def test_voice_read_under_autocast_is_close(tiny_model, plan):
    latents = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    results = []
    for settings in (MemorySettings(), HALF_BASE):
        model = prepare(copy.deepcopy(tiny_model), plan, settings).eval()
        with autocast(settings, "cpu"):
            prompt = build_voice_prompt(model, latents, torch.tensor([3, 1, 4]))
            branches = start_branches(model, prompt)
            made = generate(
                model, torch.arange(7), GENERATION, noise=noise, branches=branches
            )
        results.append(made.latents)
    assert 0 < (results[1] - results[0]).norm() / results[0].norm() < 2e-2


def test_codec_is_exact_under_autocast(tiny_model):
    codec = tiny_model.acoustic_tokenizer
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(3, 4, generator=generator)
    waveform = torch.randn(6400, generator=generator) * 0.05

    def run():
        return (
            codec.encode(waveform),
            codec.decode(latents),
            StreamingDecoder(codec).decode(latents),
            compute_log_mel_distance(waveform[None], waveform[None] * 0.5, 24000),
        )

    wanted = run()
    with autocast(HALF, "cpu"):
        got = run()
        plain = codec.decoder.head.conv(torch.zeros(1, 1, 9))
    assert plain.dtype == torch.bfloat16  # what it would be without a guard
    assert all(torch.equal(*pair) for pair in zip(got, wanted, strict=True))


def test_reconstruction_loss_decodes_in_float32_under_autocast(tiny_model, batch):
    seen = []
    decoder = tiny_model.acoustic_tokenizer.decoder
    decoder.head.register_forward_hook(lambda m, args, out: seen.append(out.dtype))
    settings = RealtimeLossSettings(uncond_rate=0.0, reconstruction_weight=1.0)
    with autocast(HALF, "cpu"):
        tiny_model.compute_losses(*batch, settings)
    assert set(seen) == {torch.float32}


def test_timesteps_under_autocast_are_not_rounded(tiny_model):
    head = prepare(tiny_model, LORA, HALF_BASE).prediction_head
    timesteps = torch.tensor([[257], [801], [997], [999]])
    seen = []
    head.timestep_embedding.register_forward_hook(
        lambda module, args, made: seen.append((args[0], made))
    )
    with autocast(HALF_BASE, "cpu"):
        compute_diffusion_loss(
            head,
            tiny_model.schedule,
            torch.zeros(4, 16),
            torch.zeros(4, 4),
            torch.zeros(4, 1, 4),
            timesteps,
        )
    given, embedded = seen[0]
    assert given.dtype == embedded.dtype == torch.float32
    assert given.tolist() == [257, 801, 997, 999]
    exponent = torch.arange(128, dtype=torch.float64) / 128
    angle = timesteps.double() * 10000.0**-exponent
    wanted = torch.cat([angle.cos(), angle.sin()], dim=-1)
    assert (embedded.double() - wanted).abs().max() < 1e-4


def test_solver_arithmetic_under_autocast_is_exact():
    generator = torch.Generator().manual_seed(0)
    noise, condition = torch.randn(2, 2, 4, generator=generator)

    def head(noisy, timesteps, condition):
        return 0.3 * noisy + condition * timesteps[:, None] / 1000

    def sample():
        return GuidedSampler(5, 1.5).sample(head, condition, -condition, noise)

    wanted = sample()
    with autocast(HALF, "cpu"):
        got = sample()
    assert got.dtype == torch.float32 and torch.equal(got, wanted)


@pytest.mark.parametrize(
    "plan", [LORA, CONSERVATIVE, FULL, CONNECTOR], ids=lambda p: p.strategy
)
def test_checkpointing_keeps_loss_and_gradients(tiny_model, batch, plan):
    model = prepare(copy.deepcopy(tiny_model), plan, MemorySettings())
    wanted, wanted_grads = train_once(model, MemorySettings(), batch)
    prepare(tiny_model, plan, CHECKPOINTING)
    counts = {"language_model": 0, "tts_language_model": 0}

    def count(part):
        def add(*unused):
            counts[part] += 1

        return add

    for part in counts:
        layer = tiny_model.get_submodule(part).layers[0]
        layer.self_attn.register_forward_pre_hook(count(part))
    got, got_grads = train_once(tiny_model, CHECKPOINTING, batch)
    assert abs(got.loss - wanted.loss) < 1e-6
    assert got_grads.keys() == wanted_grads.keys()
    for name, grad in got_grads.items():
        assert torch.allclose(grad, wanted_grads[name], atol=1e-6, rtol=1e-6), name
    # where gradients flow, each layer runs again in the backward pass
    again = 2 if "language_model" in plan.full else 1
    assert counts == {"language_model": again, "tts_language_model": 2}


def test_checkpointing_leaves_generation_as_it_is(tiny_model):
    wanted = speak(tiny_model, MemorySettings())
    got = speak(prepare(tiny_model, FULL, CHECKPOINTING), CHECKPOINTING)
    assert torch.equal(got.waveform, wanted.waveform)


def test_checkpointing_under_autocast_keeps_gradients(tiny_model, batch):
    settings = dataclasses.replace(HALF_BASE, gradient_checkpointing=True)
    model = prepare(copy.deepcopy(tiny_model), LORA, HALF_BASE)
    wanted = train_once(model, HALF_BASE, batch)[1]
    got = train_once(prepare(tiny_model, LORA, settings), settings, batch)[1]
    for name, grad in got.items():
        assert torch.allclose(grad, wanted[name], atol=1e-6, rtol=1e-6), name
