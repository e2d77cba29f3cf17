from dataclasses import replace

import pytest
import torch

from espnet_vibevoice.models.batch import build_sequences
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.reconstruction import compute_reconstruction_loss

SETTINGS = RealtimeLossSettings(uncond_rate=0.0, reconstruction_weight=0.5)


class TrueVelocity(torch.nn.Module):
    """A head that knows the answer for latents that are all alike."""

    def __init__(self, schedule, clean):
        super().__init__()
        self.schedule, self.clean = schedule, clean

    def forward(self, noisy, timesteps, condition):
        steps = timesteps.long()
        alpha = self.schedule.alpha[steps][:, None]
        sigma = self.schedule.sigma[steps][:, None].clamp(min=1e-3)
        noise = (noisy - alpha * self.clean) / sigma
        return alpha * noise - sigma * self.clean


def compute(model, batch, seed=0, **changes):
    generator = torch.Generator().manual_seed(seed)
    return model.compute_losses(
        *batch, replace(SETTINGS, **changes), generator=generator
    )


def test_loss_is_added_by_its_weight(tiny_model, batch):
    losses = compute(tiny_model, batch)
    wanted = losses.diffusion_loss + 0.1 * losses.eos_loss
    wanted += 0.5 * losses.reconstruction_loss
    assert losses.reconstruction_loss > 0
    assert torch.allclose(losses.loss, wanted, atol=1e-6)


def test_loss_off_by_default_draws_and_costs_nothing(tiny_model, batch):
    off = compute(tiny_model, batch, reconstruction_weight=0.0)
    assert RealtimeLossSettings().reconstruction_weight == 0.0
    assert off.reconstruction_loss is None
    on = compute(tiny_model, batch)
    assert torch.equal(on.diffusion_loss, off.diffusion_loss)


def test_loss_gradient_reaches_trained_parts_only(tiny_model, batch):
    before = {k: v.clone() for k, v in tiny_model.acoustic_tokenizer.named_parameters()}
    losses = compute(tiny_model, batch, diffusion_weight=0.0, eos_weight=0.0)
    losses.loss.backward()
    with_gradient = {
        name.split(".")[0]
        for name, p in tiny_model.named_parameters()
        if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert {"prediction_head", "tts_language_model"} <= with_gradient
    assert "acoustic_tokenizer" not in with_gradient
    grads = [p.grad for p in tiny_model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)
    for name, parameter in tiny_model.acoustic_tokenizer.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_loss_of_the_true_velocity_is_nothing(tiny_model, batch):
    alike = torch.ones(4)
    batch = (*batch[:2], torch.ones_like(batch[2]), batch[3])
    scaled = tiny_model.scale_latents(alike)
    tiny_model.prediction_head = TrueVelocity(tiny_model.schedule, scaled)
    right = compute(tiny_model, batch).reconstruction_loss
    tiny_model.prediction_head = TrueVelocity(tiny_model.schedule, scaled + 1)
    wrong = compute(tiny_model, batch).reconstruction_loss
    assert right < 0.01
    assert wrong > 10 * right


def test_stretches_are_short_and_inside_the_target(tiny_model, batch):
    layout = build_sequences(*batch, text_window=5, speech_window=6).layout
    latents = torch.full((2, 13, 4), float("nan"))
    latents[0], latents[1, :5] = 1.0, 2.0
    decoded = []
    decoder = tiny_model.acoustic_tokenizer.decoder
    decoder.register_forward_pre_hook(lambda _, given: decoded.append(given[0]))
    for seed in range(8):
        distances, weights = compute_reconstruction_loss(
            tiny_model,
            torch.zeros(2, 13, 16),
            latents,
            layout,
            4,
            [torch.Generator().manual_seed(seed + row) for row in (0, 8)],
        )
        assert distances.isfinite()
        assert weights > 0
    assert {tuple(given.shape) for given in decoded} == {(2, 4, 4)}  # (K, D, L)
    assert all(given.isfinite().all() for given in decoded)


def test_longer_stretches_than_a_row_are_its_frames(tiny_model, batch):
    decoded = []
    decoder = tiny_model.acoustic_tokenizer.decoder
    decoder.register_forward_pre_hook(lambda _, given: decoded.append(given[0]))
    assert compute(tiny_model, batch, reconstruction_frames=99).loss.isfinite()
    assert {tuple(given.shape) for given in decoded} == {(1, 4, 13), (1, 4, 5)}


def test_loss_of_a_row_does_not_depend_on_its_neighbour(tiny_model, batch):
    seeds = {0: 5, 1: 6}
    sums = []
    for rows in ([0, 1], [0], [1]):
        picked = [values[rows] for values in batch]
        layout = build_sequences(*picked, text_window=5, speech_window=6).layout
        generators = [torch.Generator().manual_seed(seeds[row]) for row in rows]
        hidden = torch.zeros(len(rows), 13, 16)
        sums.append(
            torch.stack(
                compute_reconstruction_loss(
                    tiny_model, hidden, picked[2], layout, 8, generators
                )
            )
        )
    assert torch.allclose(sums[0], sums[1] + sums[2], rtol=1e-5)


def test_no_more_than_four_rows_are_decoded(tiny_model, batch):
    many = tuple(torch.cat([values] * 4) for values in batch)
    decoded = []
    decoder = tiny_model.acoustic_tokenizer.decoder
    decoder.register_forward_pre_hook(lambda _, given: decoded.append(given[0]))
    compute(tiny_model, many, reconstruction_frames=4)
    assert [len(given) for given in decoded] == [4, 4]  # estimates and targets


def test_no_frames_raise(tiny_model, batch):
    with pytest.raises(ValueError, match="reconstruction_frames is 0: wanted at least"):
        compute(tiny_model, batch, reconstruction_frames=0)
