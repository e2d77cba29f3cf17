import math
from dataclasses import fields, replace

import pytest
import torch
from torch.nn import functional

from espnet_vibevoice.models import multispeaker_losses
from espnet_vibevoice.models.multispeaker_losses import (
    MultispeakerLosses,
    MultispeakerLossSettings,
    compute_losses,
    weigh_labels,
)
from espnet_vibevoice.models.multispeaker_sequence import (
    MultispeakerBatch,
    build_sequence,
)

START, END, FRAME, LAST = 258, 259, 260, 256
PLAIN = MultispeakerLossSettings(uncond_rate=0.0, sample_latents=False)
FIGURES = [field.name for field in fields(MultispeakerLosses)]


def draw(num_frames=6, draws=4):
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(num_frames, draws, 4, generator=generator)
    timesteps = torch.randint(0, 1000, (num_frames, draws), generator=generator)
    return {"noise": noise, "timesteps": timesteps}


def take_row(batch, row):
    """One row without padding."""
    frames, voice = batch.latents_lengths[row], batch.voice_lengths[row]
    one = slice(row, row + 1)
    return MultispeakerBatch(
        batch.prompt[one, : batch.prompt_lengths[row]],
        batch.prompt_lengths[one],
        batch.latents[one, :frames],
        batch.semantic[one, :frames],
        batch.latents_lengths[one],
        batch.voice_latents[one, :voice],
        batch.voice_lengths[one],
    )


def assert_same(first, second):
    for name in FIGURES:
        torch.testing.assert_close(getattr(first, name), getattr(second, name))


def compute_by_hand(model, batch, row, noise, timesteps):
    """Follow the definition position by position, without the code under test."""
    one = take_row(batch, row)
    frames = int(one.latents_lengths)
    ids = [*one.prompt[0].tolist(), *[FRAME] * frames, END, LAST]
    length = len(one.prompt[0])
    vectors, heard = [], iter(model.scale_latents(one.voice_latents[0]))
    for position, token in enumerate(ids):
        if token == FRAME and position < length:
            vectors.append(model.acoustic_connector(next(heard)))
        elif token == FRAME:
            frame = position - length
            vectors.append(
                model.acoustic_connector(model.scale_latents(one.latents[0, frame]))
                + model.semantic_connector(one.semantic[0, frame])
            )
        else:
            vectors.append(model.language_model.embed_tokens.weight[token])
    hidden = model.language_model(inputs_embeds=torch.stack(vectors)[None])[0][0]
    logits = hidden @ model.language_model.embed_tokens.weight.T
    token_errors, stop_errors = [], []
    for position, token in enumerate(ids[1:]):
        if token in (START, END, LAST):
            token_errors.append(-logits[position].log_softmax(0)[token])
        if position >= length - 1 and token in (FRAME, END):
            choices = logits[position, [START, END, FRAME, LAST]].log_softmax(0)
            stop_errors.append(-choices[1 if token == END else 2])
    stop = (sum(stop_errors[:-1]) + frames * stop_errors[-1]) / (2 * frames)
    errors = []
    for frame in range(frames):
        clean = model.scale_latents(one.latents[0, frame])
        for draw, timestep in zip(noise[frame], timesteps[frame], strict=True):
            ratio = (timestep / 1000 + 0.008) / 1.008 * math.pi / 2
            assert abs(model.schedule.alpha[timestep] - ratio.cos()) < 0.01
            alpha, sigma = (
                model.schedule.alpha[timestep],
                model.schedule.sigma[timestep],
            )
            predicted = model.prediction_head(
                (alpha * clean + sigma * draw)[None],
                timestep[None].float(),
                hidden[length - 1 + frame][None],
            )[0]
            errors.append((predicted - alpha * draw + sigma * clean).square().mean())
    return sum(errors) / len(errors), token_errors, stop


def test_losses_follow_the_definition_position_by_position(
    tiny_multispeaker, script_batch
):
    given = draw()
    losses = compute_losses(tiny_multispeaker, script_batch, PLAIN, **given)
    parts = [slice(0, 4), slice(4, 6)]
    rows = [
        compute_by_hand(
            tiny_multispeaker,
            script_batch,
            row,
            given["noise"][part],
            given["timesteps"][part],
        )
        for row, part in enumerate(parts)
    ]
    diffusion = (4 * rows[0][0] + 2 * rows[1][0]) / 6
    tokens = torch.stack(rows[0][1] + rows[1][1])
    assert len(tokens) == (5 + 2) + (3 + 2)  # of voices and opening, of the output
    stop = (rows[0][2] + rows[1][2]) / 2
    torch.testing.assert_close(losses.diffusion_loss, diffusion.detach())
    torch.testing.assert_close(losses.token_loss, tokens.mean().detach())
    torch.testing.assert_close(losses.stop_loss, stop.detach())
    wanted = 1.4 * diffusion + 0.04 * tokens.mean() + 0.1 * stop
    torch.testing.assert_close(losses.loss, wanted)


@pytest.mark.parametrize(("weight", "num_labels"), [(0.0, 12), (1.0, 12 + 5)])
def test_logits_are_computed_at_labels_only(
    tiny_multispeaker, script_batch, weight, num_labels
):
    shapes = []
    tiny_multispeaker.lm_head.register_forward_hook(
        lambda _, args, output: shapes.append(tuple(output.shape))
    )
    settings = replace(PLAIN, text_token_weight=weight)
    compute_losses(tiny_multispeaker, script_batch, settings)
    assert shapes == [(num_labels, 264)]


def test_text_tokens_count_by_their_weight(tiny_multispeaker, script_batch):
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    weights = weigh_labels(sequence, tiny_multispeaker.tokens, 0.5)
    assert weights[1, :11].tolist() == [1, 0, 1, 0.5, 0.5, 1, 0, 0, 1, 1, 0]
    assert not weights[1, 11:].any()


@pytest.mark.parametrize("positive_weight", [None, 3.0])
def test_stop_loss_weighs_the_end_against_going_on(
    tiny_multispeaker, script_batch, positive_weight
):
    settings = replace(PLAIN, stop_positive_weight=positive_weight)
    losses = compute_losses(tiny_multispeaker, script_batch, settings, **draw())
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    hidden = tiny_multispeaker.run_sequence(
        tiny_multispeaker.embed_batch(sequence, script_batch)
    )
    per_row = []
    for row, (first, frames) in enumerate([(13, 4), (6, 2)]):
        logits = tiny_multispeaker.compute_control_logits(hidden[row])
        logits = logits[first : first + frames + 1]
        labels = torch.tensor([2] * frames + [1])
        errors = functional.cross_entropy(logits, labels, reduction="none")
        weight = frames if positive_weight is None else positive_weight
        per_row.append((errors[:-1].sum() + weight * errors[-1]) / (frames + weight))
    torch.testing.assert_close(losses.stop_loss, torch.stack(per_row).mean().detach())


def test_stop_accuracy_counts_rows_that_would_end_right(
    tiny_multispeaker, script_batch, monkeypatch
):
    def choose(hidden):
        # the positions of row 0, then of row 1, whose last choice is wrong
        chosen = torch.tensor([2, 2, 2, 2, 1, 2, 2, 2])
        assert len(hidden) == len(chosen)
        return functional.one_hot(chosen, 4).float()

    monkeypatch.setattr(tiny_multispeaker, "compute_control_logits", choose)
    losses = compute_losses(tiny_multispeaker, script_batch, PLAIN)
    assert losses.stop_accuracy.item() == 0.5


def test_padding_and_neighbours_change_nothing(tiny_multispeaker, script_batch):
    settings = MultispeakerLossSettings(uncond_rate=0.5)
    seeds = torch.tensor([3, 4])
    both = compute_losses(tiny_multispeaker, script_batch, settings, row_seeds=seeds)
    assert torch.isfinite(both.loss)
    alone = [
        compute_losses(
            tiny_multispeaker,
            take_row(script_batch, row),
            settings,
            row_seeds=seeds[row : row + 1],
        )
        for row in range(2)
    ]
    diffusion = (4 * alone[0].diffusion_loss + 2 * alone[1].diffusion_loss) / 6
    torch.testing.assert_close(both.diffusion_loss, diffusion)
    swapped = replace(
        script_batch,
        **{
            field.name: getattr(script_batch, field.name).flip(0)
            for field in fields(script_batch)
            if getattr(script_batch, field.name) is not None
        },
    )
    flipped = compute_losses(
        tiny_multispeaker, swapped, settings, row_seeds=seeds.flip(0)
    )
    assert_same(both, flipped)


def test_unconditional_rows_learn_frames_alone(tiny_multispeaker, script_batch):
    rows = torch.tensor([True, False])
    given = {"uncond_rows": rows, **draw()}
    losses = compute_losses(tiny_multispeaker, script_batch, PLAIN, **given)
    kept = take_row(script_batch, 1)
    alone = compute_losses(tiny_multispeaker, kept, PLAIN)
    torch.testing.assert_close(losses.token_loss, alone.token_loss)
    torch.testing.assert_close(losses.stop_loss, alone.stop_loss)
    prompt, voices = script_batch.prompt.clone(), script_batch.voice_latents.clone()
    prompt[0, 0], voices[0] = 11, 0.0  # nobody hears or reads them
    other = replace(script_batch, prompt=prompt, voice_latents=voices)
    assert_same(losses, compute_losses(tiny_multispeaker, other, PLAIN, **given))


def test_batch_of_unconditional_rows_has_finite_gradients(
    tiny_multispeaker, script_batch
):
    settings = replace(PLAIN, uncond_rate=1.0)
    losses = compute_losses(tiny_multispeaker, script_batch, settings)
    losses.loss.backward()
    assert torch.isfinite(losses.loss) and losses.token_loss.isnan()
    assert losses.stop_loss.isnan() and losses.stop_accuracy.isnan()
    gradients = [p.grad for p in tiny_multispeaker.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)


def test_tokenizers_get_no_gradient(tiny_multispeaker, script_batch):
    compute_losses(tiny_multispeaker, script_batch, PLAIN).loss.backward()
    for name, parameter in tiny_multispeaker.named_parameters():
        assert (parameter.grad is None) is ("_tokenizer." in name), name


def test_batch_without_voices_trains(tiny_multispeaker):
    batch = MultispeakerBatch(
        torch.tensor([[5, 6, START]]),
        torch.tensor([3]),
        torch.ones(1, 2, 4),
        torch.ones(1, 2, 6),
        torch.tensor([2]),
    )
    losses = compute_losses(tiny_multispeaker, batch, MultispeakerLossSettings())
    assert torch.isfinite(losses.loss)


def test_two_processes_give_the_figures_of_one(
    tiny_multispeaker, script_batch, monkeypatch
):
    third = take_row(script_batch, 1)
    given = draw(8)
    parts = [slice(0, 6), slice(6, 8)]
    three = replace(
        script_batch,
        **{
            field.name: getattr(script_batch, field.name)[[0, 1, 1]]
            for field in fields(script_batch)
            if getattr(script_batch, field.name) is not None
        },
    )
    wanted = compute_losses(tiny_multispeaker, three, PLAIN, **given)
    counts = []

    def keep(values):
        counts.append(values.detach().clone())
        return counts[-1]

    def run(batch, part):
        drawn = {name: value[part] for name, value in given.items()}
        return compute_losses(tiny_multispeaker, batch, PLAIN, **drawn)

    monkeypatch.setattr(multispeaker_losses, "sum_over_processes", keep)
    shares = list(zip([script_batch, third], parts, strict=True))
    for batch, part in shares:
        run(batch, part)
    total = counts[0] + counts[1]
    monkeypatch.setattr(multispeaker_losses, "sum_over_processes", lambda _: total)
    found = [run(batch, part) for batch, part in shares]
    for name in FIGURES:  # ESPnet weights each process by its rows
        mean = (2 * getattr(found[0], name) + getattr(found[1], name)) / 3
        torch.testing.assert_close(mean, getattr(wanted, name))


def test_model_without_tokens_raises(tiny_multispeaker, script_batch):
    tiny_multispeaker.tokens = None
    with pytest.raises(RuntimeError, match="Set model.tokens from the tokenizer"):
        compute_losses(tiny_multispeaker, script_batch, PLAIN)


def test_bfloat16_autocast_stays_close(tiny_multispeaker, script_batch):
    given = draw()
    wanted = tiny_multispeaker.compute_losses(script_batch, PLAIN, **given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = tiny_multispeaker.compute_losses(script_batch, PLAIN, **given)
    assert losses.loss.dtype == torch.float32
    torch.testing.assert_close(losses.loss, wanted.loss, rtol=0.05, atol=0.05)
