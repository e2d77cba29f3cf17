"""Faults of published trainers that must not come back.

Semantic features that are all zero, a condition that knows its own frame, timesteps
from a part of the schedule alone.
"""

import math
from dataclasses import replace

import pytest
import torch

from espnet_vibevoice.models.multispeaker_losses import (
    MultispeakerLossSettings,
    compute_losses,
)
from espnet_vibevoice.models.multispeaker_sequence import build_sequence
from espnet_vibevoice.models.sequence import gather_positions

PLAIN = MultispeakerLossSettings(uncond_rate=0.0, sample_latents=False)
SEEDS = torch.tensor([1, 2])


def find_conditions(model, batch):
    sequence = build_sequence(batch, model.tokens)
    hidden = model.run_sequence(model.embed_batch(sequence, batch))
    return gather_positions(hidden, sequence.condition_positions)


def test_semantic_features_reach_model_and_loss(tiny_multispeaker, script_batch):
    given = {"row_seeds": SEEDS}
    losses = compute_losses(tiny_multispeaker, script_batch, PLAIN, **given)
    losses.loss.backward()
    # all-zero features would leave this weight without a gradient
    connector = tiny_multispeaker.semantic_connector
    assert connector.linear_1.weight.grad.abs().max() > 0
    silent = replace(script_batch, semantic=torch.zeros(2, 4, 6))
    other = compute_losses(tiny_multispeaker, silent, PLAIN, **given)
    assert not torch.allclose(losses.diffusion_loss, other.diffusion_loss)
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    inputs = tiny_multispeaker.embed_batch(sequence, script_batch)
    real = sequence.frame_taken
    heard = tiny_multispeaker.acoustic_connector(
        tiny_multispeaker.scale_latents(script_batch.latents[real])
    )
    meant = connector(script_batch.semantic[real])
    torch.testing.assert_close(inputs[sequence.frame_mask], heard + meant)


def test_voices_carry_no_semantic_features_unless_given(
    tiny_multispeaker, script_batch
):
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    real = sequence.voice_taken
    scaled = tiny_multispeaker.scale_latents(script_batch.voice_latents[real])
    heard = tiny_multispeaker.acoustic_connector(scaled)
    inputs = tiny_multispeaker.embed_batch(sequence, script_batch)
    torch.testing.assert_close(inputs[sequence.voice_mask], heard)
    features = torch.randn(2, 5, 6)
    batch = replace(script_batch, voice_semantic=features)
    inputs = tiny_multispeaker.embed_batch(sequence, batch)
    wanted = heard + tiny_multispeaker.semantic_connector(features[real])
    torch.testing.assert_close(inputs[sequence.voice_mask], wanted)


@torch.no_grad()
@pytest.mark.parametrize("name", ["latents", "semantic"])
def test_condition_of_a_frame_does_not_know_the_frame(
    tiny_multispeaker, script_batch, name
):
    before = find_conditions(tiny_multispeaker, script_batch)
    for frame in range(4):
        changed = getattr(script_batch, name).clone()
        changed[0, frame] += 1.0
        batch = replace(script_batch, **{name: changed})
        after = find_conditions(tiny_multispeaker, batch)
        assert torch.equal(after[0, : frame + 1], before[0, : frame + 1])
        moved = (after[0] - before[0]).abs().amax(1)
        assert (moved[frame + 1 :] > 0).all() and torch.equal(after[1], before[1])


def test_loss_teaches_a_frame_by_the_position_before_it(
    tiny_multispeaker, script_batch
):
    conditions = []
    tiny_multispeaker.prediction_head.register_forward_pre_hook(
        lambda _, args: conditions.append(args[2])
    )
    compute_losses(tiny_multispeaker, script_batch, PLAIN)
    wanted = find_conditions(tiny_multispeaker, script_batch)
    wanted = torch.cat([wanted[0], wanted[1, :2]]).repeat_interleave(4, 0)
    torch.testing.assert_close(conditions[0], wanted)


@torch.no_grad()
def test_timesteps_are_uniform_over_the_whole_schedule(tiny_multispeaker, script_batch):
    seen = []
    tiny_multispeaker.prediction_head.register_forward_pre_hook(
        lambda _, args: seen.append(args[1])
    )
    settings = replace(PLAIN, ddpm_batch_mul=4000)
    generator = torch.Generator().manual_seed(0)
    compute_losses(tiny_multispeaker, script_batch, settings, generator=generator)
    drawn = torch.cat(seen)
    assert len(drawn) == 24000 and drawn.equal(drawn.round())
    assert drawn.min() == 0 and drawn.max() == 999
    assert len(drawn.unique()) == 1000
    counts = torch.histc(drawn, 10, 0, 1000)
    assert (counts - 2400).abs().max() < 5 * math.sqrt(2400)
