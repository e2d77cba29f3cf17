from dataclasses import replace

import torch

from espnet_vibevoice.models.batch import start_generators
from espnet_vibevoice.models.multispeaker_draws import (
    LatentNoise,
    add_latent_noise,
    draw_latent_noise,
    find_voice_segments,
)
from espnet_vibevoice.models.multispeaker_losses import (
    MultispeakerLossSettings,
    compute_losses,
)


def draw(model, batch, seeds):
    generators = start_generators(len(seeds), torch.tensor(seeds))
    return draw_latent_noise(generators, batch, model.tokens)


def test_find_voice_segments_counts_each_voice(tiny_multispeaker, script_batch):
    tokens = tiny_multispeaker.tokens
    assert find_voice_segments(script_batch.prompt[0], tokens) == [3, 2]
    assert find_voice_segments(torch.tensor([5, tokens.speech_start]), tokens) == []


def test_noise_of_a_row_comes_from_its_own_seed(tiny_multispeaker, script_batch):
    both = draw(tiny_multispeaker, script_batch, [3, 4])
    other = draw(tiny_multispeaker, script_batch, [5, 4])
    assert both.frames[1].equal(other.frames[1])
    assert both.voices[1].equal(other.voices[1])
    assert not both.frames[0].equal(other.frames[0])
    assert both.frames.shape == (2, 4, 4) and both.voices.shape == (2, 5, 4)
    assert not both.frames[1, 2:].any() and not both.voices[1, 1:].any()


def test_noise_has_one_deviation_for_each_segment(tiny_multispeaker, script_batch):
    ratios = []
    for seed in range(300):
        noise = draw(tiny_multispeaker, script_batch, [seed, 0])
        segments = noise.frames[0], noise.voices[0, :3], noise.voices[0, 3:]
        ratios.append([segment.square().mean() for segment in segments])
    energies = torch.tensor(ratios)  # deviation squared times a mean of squares
    assert (energies.mean(0) - 1).abs().max() < 0.4
    # a deviation of 1 for all would give variances of 2 / (values of a segment)
    assert energies.var(0).min() > 1.0
    assert torch.corrcoef(energies.T).triu(1).abs().max() < 0.3


def test_add_latent_noise_moves_means_by_the_codecs_deviation(script_batch):
    noise = LatentNoise(torch.ones(2, 4, 4), 2 * torch.ones(2, 5, 4))
    moved = add_latent_noise(script_batch, noise, 0.5)
    assert moved.latents[0].equal(script_batch.latents[0] + 0.5)
    assert moved.voice_latents[0].equal(script_batch.voice_latents[0] + 1.0)
    assert moved.semantic is script_batch.semantic


def test_losses_draw_latents_around_their_means(tiny_multispeaker, script_batch):
    generator = torch.Generator().manual_seed(0)
    given = {
        "noise": torch.randn(6, 4, 4, generator=generator),
        "timesteps": torch.randint(0, 1000, (6, 4), generator=generator),
    }
    plain = MultispeakerLossSettings(uncond_rate=0.0, sample_latents=False)
    moved = replace(
        script_batch,
        latents=script_batch.latents + 0.625,  # fix_std 0.5 / 0.8
        voice_latents=script_batch.voice_latents + 0.625,
    )
    wanted = compute_losses(tiny_multispeaker, moved, plain, **given)
    given["latent_noise"] = LatentNoise(torch.ones(2, 4, 4), torch.ones(2, 5, 4))
    losses = compute_losses(tiny_multispeaker, script_batch, plain, **given)
    torch.testing.assert_close(losses.loss, wanted.loss)
    given["latent_noise"] = None
    drawn = [
        compute_losses(
            tiny_multispeaker,
            script_batch,
            replace(plain, sample_latents=True),
            row_seeds=torch.tensor([seed, 2]),
            **given,
        ).diffusion_loss
        for seed in (1, 1, 3)
    ]
    assert drawn[0] == drawn[1] and drawn[0] != drawn[2] != wanted.diffusion_loss
