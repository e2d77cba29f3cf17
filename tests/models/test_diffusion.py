import pytest
import torch

from espnet_vibevoice.models.diffusion import (
    CosineSchedule,
    GuidedSampler,
    compute_diffusion_loss,
    draw_noise,
)


def test_schedule_is_variance_preserving_and_falls():
    schedule = CosineSchedule()
    total = schedule.alpha.square() + schedule.sigma.square()
    assert torch.allclose(total, torch.ones(1000), atol=1e-5)
    assert (schedule.alpha.diff() < 0).all()


def test_velocity_and_noisy_latent_give_back_the_clean_one():
    schedule = CosineSchedule()
    clean, noise = torch.randn(2, 5, 3)
    timesteps = torch.tensor([0, 10, 500, 900, 999])
    noisy = schedule.add_noise(clean, noise, timesteps)
    velocity = schedule.velocity(clean, noise, timesteps)
    alpha, sigma = schedule.alpha[timesteps, None], schedule.sigma[timesteps, None]
    assert torch.allclose(alpha * noisy - sigma * velocity, clean, atol=1e-5)


def draw(*frame_counts, seeds=(3, 4)):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return draw_noise(generators, frame_counts, 4, 2, 1000)


def test_draw_noise_covers_all_timesteps_and_follows_generators():
    noise, timesteps = draw(3000, 1000)
    again = draw(3000, 1000)
    assert noise.shape == (4000, 4, 2)
    assert (timesteps.min(), timesteps.max()) == (0, 999)
    assert noise.mean().abs() < 0.02
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(noise, again[0])
    assert torch.equal(timesteps, again[1])


def test_draw_noise_of_a_row_is_the_same_beside_any_other():
    noise, timesteps = draw(5, 7)
    swapped_noise, swapped_timesteps = draw(7, 5, seeds=(4, 3))
    assert torch.equal(noise, torch.cat([swapped_noise[7:], swapped_noise[:7]]))
    assert torch.equal(
        timesteps, torch.cat([swapped_timesteps[7:], swapped_timesteps[:7]])
    )
    assert not torch.equal(noise[:5], noise[5:10])


def test_diffusion_loss_perfect_head_is_zero():
    schedule = CosineSchedule()
    clean = torch.randn(3, 2)
    noise, timesteps = draw(2, 1)

    def head(noisy, timesteps, condition):
        long = timesteps.long()
        alpha, sigma = schedule.alpha[long, None], schedule.sigma[long, None]
        noise = (noisy - alpha * condition) / sigma.clamp(min=1e-3)
        return alpha * noise - sigma * condition

    timesteps = timesteps.clamp(min=50)
    loss = compute_diffusion_loss(head, schedule, clean, clean, noise, timesteps)
    assert loss.shape == (3,)
    assert loss.max() < 1e-6


def test_sampler_guidance_one_ignores_negative_condition(tiny_model):
    head = tiny_model.prediction_head
    condition, negative, other = torch.randn(3, 2, 16)
    noise = torch.randn(2, 4)
    with torch.no_grad():
        first = GuidedSampler(5, 1.0).sample(head, condition, negative, noise)
        second = GuidedSampler(5, 1.0).sample(head, condition, other, noise)
        guided = GuidedSampler(5, 3.0).sample(head, condition, other, noise)
    assert torch.allclose(first, second, atol=1e-5)
    assert not torch.allclose(first, guided, atol=1e-3)


def test_sampler_used_twice_keeps_no_memory(tiny_model):
    sampler = GuidedSampler(5, 1.5)
    condition, negative = torch.randn(2, 2, 16)
    noise = torch.randn(2, 4)
    with torch.no_grad():
        first = sampler.sample(tiny_model.prediction_head, condition, negative, noise)
        again = sampler.sample(tiny_model.prediction_head, condition, negative, noise)
    assert torch.equal(first, again)


def test_sampler_without_steps_raises():
    with pytest.raises(ValueError, match="num_sampling_steps: got 0"):
        GuidedSampler(0, 1.5)
