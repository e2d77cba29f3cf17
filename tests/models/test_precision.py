"""Half precision, attention implementations, and no float64 (MPS has none)."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from espnet_vibevoice.models.diffusion import GuidedSampler, compute_diffusion_loss
from espnet_vibevoice.models.generation import GenerationSettings, generate
from espnet_vibevoice.models.realtime import RealtimeLossSettings, RealtimeModel

HALF = [torch.bfloat16, torch.float16]
SETTINGS = RealtimeLossSettings(uncond_rate=0.0)
TEXT = torch.arange(7)


@pytest.fixture
def base(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "base")
    return str(tmp_path / "base")


class RefuseFloat64(TorchDispatchMode):
    """Fails as soon as an operation makes a float64 tensor."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor):
                assert tensor.dtype not in (torch.float64, torch.complex128), func
        return made


def draw(num_frames=18):
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(num_frames, 4, 4, generator=generator)
    timesteps = torch.randint(0, 1000, (num_frames, 4), generator=generator)
    return {"noise": noise, "timesteps": timesteps}


def embed_exactly(timesteps):
    """Sinusoid of timesteps in float64, as the head defines it."""
    exponent = torch.arange(128, dtype=torch.float64) / 128
    angle = timesteps[:, None].double() * 10000.0**-exponent
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


@pytest.mark.parametrize("dtype", [torch.float32, *HALF])
def test_load_weights_get_the_type_and_constants_stay_float32(tiny_model, base, dtype):
    model = RealtimeModel.from_base(base, dtype)
    assert {p.dtype for p in model.parameters()} == {dtype}
    wanted = dict(tiny_model.named_buffers())
    buffers = dict(model.named_buffers())
    assert len(buffers) >= 7 and buffers.keys() == wanted.keys()
    for name, buffer in buffers.items():
        assert buffer.dtype == torch.float32, name
        assert torch.equal(buffer, wanted[name]), name


def test_converting_a_model_leaves_its_constants_exact(tiny_model):
    before = {name: b.clone() for name, b in tiny_model.named_buffers()}
    names = set(tiny_model.state_dict())
    tiny_model.to(torch.bfloat16).to(torch.float32)
    assert set(tiny_model.state_dict()) == names
    for name, buffer in tiny_model.named_buffers():
        assert torch.equal(buffer, before[name]), name
    assert {b.device.type for b in tiny_model.to("meta").buffers()} == {"meta"}


# A rounding costs 0.4 % in bfloat16 and 0.05 % in float16. A loss is a mean over many
# entries whose roundings cancel; a latent has passed five steps under guidance.
@pytest.mark.parametrize("dtype,tolerance", [(HALF[0], 5e-3), (HALF[1], 5e-4)])
def test_losses_in_half_precision_are_close(base, batch, dtype, tolerance):
    exact = RealtimeModel.from_base(base).compute_losses(*batch, SETTINGS, **draw())
    model = RealtimeModel.from_base(base, dtype)
    half = model.compute_losses(*batch, SETTINGS, **draw())
    assert half.loss.dtype == torch.float32
    half.loss.backward()
    assert all(
        p.grad.isfinite().all() for p in model.parameters() if p.grad is not None
    )
    for name in ("loss", "diffusion_loss", "eos_loss"):
        got, wanted = getattr(half, name), getattr(exact, name)
        assert abs(got - wanted) < tolerance * wanted, name


@pytest.mark.parametrize("dtype,tolerance", [(HALF[0], 2e-2), (HALF[1], 3e-3)])
def test_generation_in_half_precision_is_close(base, dtype, tolerance):
    settings = GenerationSettings(max_frames=3, eos_threshold=1.0)
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    results = []
    for kind in (torch.float32, dtype):
        model = RealtimeModel.from_base(base, kind)
        model.negative_prompt_id = 31
        results.append(generate(model, TEXT, settings, noise=noise))
    exact, half = results
    assert half.latents.dtype == half.waveform.dtype == torch.float32
    assert half.waveform.isfinite().all()
    error = (half.latents - exact.latents).norm() / exact.latents.norm()
    assert error < tolerance


@pytest.mark.parametrize("dtype", HALF)
def test_timesteps_in_half_precision_are_not_rounded(base, dtype):
    head = RealtimeModel.from_base(base, dtype).prediction_head
    timesteps = torch.tensor([[257], [801], [997], [999]])
    seen = []
    hook = head.timestep_proj.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    model = RealtimeModel.from_base(base, dtype)
    compute_diffusion_loss(
        head,
        model.schedule,
        torch.zeros(4, 16, dtype=dtype),
        torch.zeros(4, 4),
        torch.zeros(4, 1, 4),
        timesteps,
    )
    hook.remove()
    # 999 in bfloat16 is 1000: the cosine of the first frequency would be off by 0.5
    wanted = embed_exactly(timesteps[:, 0])
    assert (seen[0].double() - wanted).abs().max() < 4e-3
    rounded = embed_exactly(timesteps[:, 0].bfloat16())
    assert (rounded - wanted).abs().max() > 0.5


def test_sampler_in_half_precision_works_in_float32(base):
    model = RealtimeModel.from_base(base, torch.bfloat16)
    condition = torch.randn(2, 16, dtype=torch.bfloat16)
    sampler = GuidedSampler(5, 1.5)
    seen = []
    hook = model.prediction_head.timestep_embedding.register_forward_pre_hook(
        lambda module, args: seen.append(args[0])
    )
    noise = torch.randn(2, 4, dtype=torch.bfloat16)
    with torch.no_grad():
        sample = sampler.sample(model.prediction_head, condition, -condition, noise)
    hook.remove()
    assert sample.dtype == torch.float32
    assert [int(t[0]) for t in seen] == sampler.solver.timesteps.tolist()
    assert {t.dtype for t in seen} == {torch.float32}


def test_training_and_generation_make_no_float64(tiny_model, batch):
    draws = draw()
    settings = GenerationSettings(max_frames=2, eos_threshold=1.0)
    with RefuseFloat64():
        tiny_model.compute_losses(*batch, SETTINGS, **draws).loss.backward()
        generate(tiny_model, TEXT, settings, noise=torch.randn(2, 4))
        with pytest.raises(AssertionError):
            torch.zeros(1).double()


def test_eager_attention_equals_sdpa(base, batch):
    losses = [
        RealtimeModel.from_base(base, attn_implementation=name)
        .compute_losses(*batch, SETTINGS, **draw())
        .loss
        for name in ("sdpa", "eager")
    ]
    assert torch.allclose(*losses, atol=1e-5)


def test_attention_choice_reaches_both_parts(base):
    model = RealtimeModel.from_base(base, attn_implementation="eager")
    parts = (model.language_model, model.tts_language_model)
    assert {part.config._attn_implementation for part in parts} == {"eager"}


@pytest.mark.parametrize(
    "name,dtype,error,message",
    [
        ("flash", torch.float32, ValueError, "choose one of sdpa, eager, flash"),
        ("flash_attention_2", torch.float32, ValueError, "cannot run in torch.float32"),
        ("flash_attention_2", HALF[0], RuntimeError, "pip install flash-attn"),
    ],
)
def test_attention_that_cannot_run_raises(
    base, monkeypatch, name, dtype, error, message
):
    monkeypatch.setattr(
        "espnet_vibevoice.models.attention.is_flash_attn_2_available", lambda: False
    )
    with pytest.raises(error, match=message):
        RealtimeModel.from_base(base, dtype, attn_implementation=name)
