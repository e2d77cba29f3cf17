"""Losses of rows with and without a voice prompt."""

from dataclasses import replace

import pytest
import torch

from espnet_vibevoice.models.batch import (
    PromptBatch,
    build_sequences,
    derive_seed,
    draw_rows,
    seed_rows,
    start_generators,
)
from espnet_vibevoice.models.losses import RealtimeLossSettings
from espnet_vibevoice.models.sequence import gather_positions

SETTINGS = RealtimeLossSettings(uncond_rate=0.0)
DRAWN = {
    "noise": torch.randn(18, 4, 4, generator=torch.Generator().manual_seed(5)),
    "timesteps": torch.arange(72).view(18, 4) * 13,
}


def make_prompts(text_lengths=(3, 0), latents_lengths=(6, 0), padding=0):
    """Prompts of the two rows of the batch; padding holds what must not be read."""
    generator = torch.Generator().manual_seed(7)
    text = torch.full((2, max(text_lengths) + padding), -1)
    latents = torch.full((2, max(latents_lengths) + padding, 4), float("nan"))
    for row, (num_text, num_frames) in enumerate(
        zip(text_lengths, latents_lengths, strict=True)
    ):
        text[row, :num_text] = torch.randint(0, 30, (num_text,), generator=generator)
        latents[row, :num_frames] = torch.randn(num_frames, 4, generator=generator)
    return PromptBatch(
        text, torch.tensor(text_lengths), latents, torch.tensor(latents_lengths)
    )


def compute(model, batch, prompts=None, settings=SETTINGS, **given):
    return model.compute_losses(*batch, settings, prompts=prompts, **(DRAWN | given))


def figures(losses):
    return torch.stack([losses.loss, losses.diffusion_loss, losses.eos_loss])


def test_prompts_of_no_length_change_no_loss(tiny_model, batch):
    empty = make_prompts((0, 0), (0, 0), padding=2)
    wanted = figures(compute(tiny_model, batch))
    assert torch.allclose(figures(compute(tiny_model, batch, empty)), wanted, atol=1e-6)


def test_prompts_change_the_loss_of_their_row_only(tiny_model, batch):
    torch.manual_seed(0)
    prompts = make_prompts()
    both = compute(tiny_model, batch, prompts).diffusion_loss
    rows = []
    for row, span in enumerate([slice(0, 13), slice(13, 18)]):
        text, text_lengths, latents, latents_lengths = batch
        alone = (
            text[row : row + 1, : text_lengths[row]],
            text_lengths[row : row + 1],
            latents[row : row + 1, : latents_lengths[row]],
            latents_lengths[row : row + 1],
        )
        own = PromptBatch(
            prompts.text[row : row + 1],
            prompts.text_lengths[row : row + 1],
            prompts.latents[row : row + 1],
            prompts.latents_lengths[row : row + 1],
        )
        drawn = {name: value[span] for name, value in DRAWN.items()}
        rows.append(
            [
                compute(tiny_model, alone, given, **drawn).diffusion_loss
                for given in (own, None)
            ]
        )
    assert torch.allclose(both, (13 * rows[0][0] + 5 * rows[1][0]) / 18, atol=1e-6)
    assert not torch.allclose(rows[0][0], rows[0][1], atol=1e-5)
    assert torch.allclose(rows[1][0], rows[1][1], atol=1e-6)


def test_prompts_more_padding_changes_no_loss_and_no_gradient(tiny_model, batch):
    gradients = []
    for padding in (0, 5):
        tiny_model.zero_grad()
        prompts = make_prompts((3, 2), (6, 4), padding)
        losses = compute(tiny_model, batch, prompts)
        losses.loss.backward()
        gradient = torch.cat(
            [p.grad.flatten() for p in tiny_model.parameters() if p.grad is not None]
        )
        gradients.append(torch.cat([figures(losses).detach(), gradient]))
    assert gradients[0].isfinite().all()
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_prompt_text_type_is_heard(tiny_model, batch):
    losses = [
        compute(
            tiny_model, batch, make_prompts(), replace(SETTINGS, prompt_text_type=kind)
        ).diffusion_loss
        for kind in (0, 1)
    ]
    assert not torch.allclose(losses[0], losses[1], atol=1e-5)


def test_uncond_row_sees_neither_prompt_nor_text(tiny_model, batch):
    uncond = torch.tensor([True, True])
    with_prompts = compute(tiny_model, batch, make_prompts(), uncond_rows=uncond)
    without = compute(tiny_model, batch, uncond_rows=uncond)
    assert torch.allclose(with_prompts.loss, without.loss, atol=1e-6)


def test_eos_accuracy_counts_from_the_first_frame_behind_the_prompt(tiny_model, batch):
    classifier = tiny_model.tts_eos_classifier
    for fires, wanted in ((-30.0, 0.0), (30.0, 0.0)):
        torch.nn.init.constant_(classifier.fc2.bias, fires)
        assert compute(tiny_model, batch, make_prompts()).eos_accuracy == wanted
    # A row of one frame stops right when the classifier fires at once.
    one_frame = (*batch[:2], batch[2][:, :1], torch.tensor([1, 1]))
    drawn = {name: value[:2] for name, value in DRAWN.items()}
    losses = compute(tiny_model, one_frame, make_prompts(), **drawn)
    assert losses.eos_accuracy == 1.0


@pytest.mark.parametrize("frame", [0, 5, 12])
def test_leak_a_frame_changes_later_conditions_only(tiny_model, batch, frame):
    prompts = make_prompts((3, 2), (6, 4))
    text, text_lengths, latents, latents_lengths = batch
    conditions = []
    for change in (0.0, 1.0):
        changed = latents.clone()
        changed[0, frame, 2] += change
        given = (text, text_lengths, changed, latents_lengths)
        sequences = build_sequences(
            *given, text_window=5, speech_window=6, prompts=prompts
        )
        hidden = tiny_model.run_sequence(
            tiny_model.embed_text(sequences.text), sequences.latents, sequences.layout
        )
        found = gather_positions(hidden, sequences.layout.condition_positions)
        conditions.append([found[r, sequences.layout.speech_mask[r]] for r in (0, 1)])
    (before, other_before), (after, other_after) = conditions
    assert torch.allclose(before[: frame + 1], after[: frame + 1], atol=1e-6)
    difference = (before - after)[frame + 1 :].abs().amax(dim=1)
    assert len(difference) == 12 - frame
    assert (difference > 1e-4).all()
    assert torch.allclose(other_before, other_after, atol=1e-6)


def test_leak_a_prompt_frame_changes_all_conditions(tiny_model, batch):
    losses = []
    for change in (0.0, 1.0):
        prompts = make_prompts()
        prompts.latents[0, 2] += change
        losses.append(compute(tiny_model, batch, prompts).diffusion_loss)
    assert not torch.allclose(losses[0], losses[1], atol=1e-6)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (make_prompts((3, 2), (4, 0)), r"rows \[1\] have a transcript but no frames"),
        (
            PromptBatch(
                torch.zeros(1, 1, dtype=torch.long),
                torch.tensor([1]),
                torch.zeros(1, 1, 4),
                torch.tensor([1]),
            ),
            "prompts of 1 rows, the batch has 2",
        ),
        (
            PromptBatch(
                torch.tensor([[99], [1]]),
                torch.tensor([1, 1]),
                torch.zeros(2, 1, 4),
                torch.tensor([1, 1]),
            ),
            "prompt_token ids 1 to 99: the base has 0 to 31",
        ),
        (
            PromptBatch(
                torch.zeros(2, 1, dtype=torch.long),
                torch.tensor([1, 1]),
                torch.zeros(2, 1, 3),
                torch.tensor([1, 1]),
            ),
            r"prompt_latents \(2, 1, 3\): wanted",
        ),
    ],
)
def test_prompts_that_do_not_fit_raise(tiny_model, batch, prompts, message):
    with pytest.raises(ValueError, match=message):
        compute(tiny_model, batch, prompts)


def test_seed_rows_follow_from_utterance_seed_and_step_only():
    seeds = seed_rows(["a", "b"], 3, 1)
    assert seeds.dtype == torch.int64
    assert torch.equal(seed_rows(["b", "a"], 3, 1).flip(0), seeds)
    others = [seeds[1], seed_rows(["a"], 3, 2)[0], seed_rows(["a"], 4, 1)[0]]
    assert seeds[0] not in torch.stack(others)
    assert derive_seed("a", 3, 1) == 1995164847813790206 == int(seeds[0])  # every run


def test_draw_rows_follow_the_rate():
    generators = start_generators(4000, seed_rows([str(i) for i in range(4000)], 0, 0))
    assert draw_rows(generators, 0.15).float().mean() == pytest.approx(0.15, abs=0.02)
    assert not draw_rows(generators, 0.0).any()
    assert draw_rows(generators, 1.0).all()


def test_row_seeds_of_another_number_raise(tiny_model, batch):
    with pytest.raises(
        ValueError, match=r"row_seeds \(3,\): wanted \(2,\), one of each"
    ):
        tiny_model.compute_losses(*batch, SETTINGS, row_seeds=torch.arange(3))


def test_row_seeds_draw_the_same_beside_any_neighbour(tiny_model, batch):
    settings = replace(SETTINGS, uncond_rate=0.5)
    losses = []
    for rows in ([0, 1], [1, 0], [0], [1]):
        picked = [values[rows] for values in batch]
        seeds = seed_rows([f"utt{row}" for row in rows], 0, 0)
        losses.append(tiny_model.compute_losses(*picked, settings, row_seeds=seeds))
    both, swapped, first, second = (each.diffusion_loss for each in losses)
    assert torch.allclose(both, swapped, atol=1e-6)
    assert torch.allclose(both, (13 * first + 5 * second) / 18, atol=1e-6)


def test_row_seeds_go_before_the_generator_and_differ(tiny_model, batch):
    losses = [
        tiny_model.compute_losses(
            *batch,
            SETTINGS,
            row_seeds=seed_rows(["a", "b"], 0, step),
            generator=torch.Generator().manual_seed(seed),
        ).diffusion_loss
        for step, seed in ((0, 0), (0, 1), (1, 0))
    ]
    assert torch.equal(losses[0], losses[1])
    assert not torch.allclose(losses[0], losses[2], atol=1e-5)
