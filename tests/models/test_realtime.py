import pytest
import torch

from espnet_vibevoice.models.losses import compute_eos_loss, find_stop_frames
from espnet_vibevoice.models.realtime import PARTS, RealtimeLossSettings, RealtimeModel
from espnet_vibevoice.models.sequence import build_layout, gather_positions

SETTINGS = RealtimeLossSettings(uncond_rate=0.0)
NO_ROWS = torch.tensor([False, False])


def draws(num_frames=18):
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(num_frames, 4, 4, generator=generator)
    timesteps = torch.randint(0, 1000, (num_frames, 4), generator=generator)
    return {"noise": noise, "timesteps": timesteps}


def compute_conditions(model, text, latents):
    layout = build_layout(
        torch.tensor([text.shape[1]]), torch.tensor([latents.shape[1]]), 5, 6
    )
    hidden = model.run_sequence(model.embed_text(text), latents, layout)
    return gather_positions(hidden, layout.condition_positions)[0]


def test_parts_are_the_models_children(tiny_model):
    children = {name for name, _ in tiny_model.named_children()}
    assert children == {*PARTS, "schedule"}


@pytest.mark.parametrize("uncond", [[False, False], [False, True]])
def test_losses_more_padding_changes_none(tiny_model, batch, uncond):
    text, text_lengths, latents, latents_lengths = batch
    uncond = torch.tensor(uncond)
    tight = tiny_model.compute_losses(*batch, SETTINGS, uncond_rows=uncond, **draws())
    padded_text = torch.full((2, 12), -1)
    padded_text[0, :7], padded_text[1, :4] = text[0], text[1, :4]
    padded = torch.full((2, 20, 4), float("nan"))
    padded[0, :13], padded[1, :5] = latents[0], latents[1, :5]
    loose = tiny_model.compute_losses(
        padded_text,
        text_lengths,
        padded,
        latents_lengths,
        SETTINGS,
        uncond_rows=uncond,
        **draws(),
    )
    assert torch.allclose(tight.loss, loose.loss, atol=1e-6)
    assert torch.allclose(tight.eos_loss, loose.eos_loss, atol=1e-6)
    loose.loss.backward()
    grads = [p.grad for p in tiny_model.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


def test_losses_batch_equals_mean_of_rows(tiny_model, batch):
    text, text_lengths, latents, latents_lengths = batch
    drawn = draws()
    both = tiny_model.compute_losses(*batch, SETTINGS, **drawn)
    rows, start = [], 0
    for row in range(2):
        num_text, num_frames = int(text_lengths[row]), int(latents_lengths[row])
        rows.append(
            tiny_model.compute_losses(
                text[row : row + 1, :num_text],
                text_lengths[row : row + 1],
                latents[row : row + 1, :num_frames],
                latents_lengths[row : row + 1],
                SETTINGS,
                noise=drawn["noise"][start : start + num_frames],
                timesteps=drawn["timesteps"][start : start + num_frames],
            )
        )
        start += num_frames
    diffusion = (13 * rows[0].diffusion_loss + 5 * rows[1].diffusion_loss) / 18
    assert torch.allclose(both.diffusion_loss, diffusion, atol=1e-6)
    eos = (rows[0].eos_loss + rows[1].eos_loss) / 2
    assert torch.allclose(both.eos_loss, eos, atol=1e-6)


def test_condition_of_a_frame_knows_earlier_frames_only(tiny_model):
    text = torch.arange(12)[None]
    latents = torch.randn(1, 15, 4)
    changed = latents.clone()
    changed[0, 8] += 1
    before = compute_conditions(tiny_model, text, latents)
    after = compute_conditions(tiny_model, text, changed)
    assert torch.allclose(before[:9], after[:9], atol=1e-6)
    assert ((before - after)[9:].abs().amax(dim=1) > 1e-4).all()


def test_uncond_row_sees_no_text(tiny_model, batch):
    text, *rest = batch
    uncond = torch.tensor([True, True])
    first = tiny_model.compute_losses(
        text, *rest, SETTINGS, uncond_rows=uncond, **draws()
    )
    other = tiny_model.compute_losses(
        (text + 1) % 30, *rest, SETTINGS, uncond_rows=uncond, **draws()
    )
    seen = tiny_model.compute_losses(
        text, *rest, SETTINGS, uncond_rows=NO_ROWS, **draws()
    )
    assert torch.equal(first.loss, other.loss)
    assert not torch.allclose(first.diffusion_loss, seen.diffusion_loss, atol=1e-5)
    assert first.eos_loss.isnan() and first.loss.isfinite()


def test_losses_same_generator_seed_same_loss(tiny_model, batch):
    losses = [
        tiny_model.compute_losses(
            *batch,
            RealtimeLossSettings(uncond_rate=0.5),
            generator=torch.Generator().manual_seed(seed),
        ).loss
        for seed in (1, 1, 2)
    ]
    assert torch.equal(losses[0], losses[1])
    assert not torch.equal(losses[0], losses[2])


def test_uncond_without_negative_prompt_raises(tiny_model, batch):
    tiny_model.negative_prompt_id = None
    with pytest.raises(RuntimeError, match="Set model.negative_prompt_id"):
        tiny_model.compute_losses(
            *batch, SETTINGS, uncond_rows=torch.tensor([True] * 2)
        )


def test_losses_wrong_latent_size_raises(tiny_model, batch):
    text, text_lengths, latents, latents_lengths = batch
    with pytest.raises(ValueError, match=r"wanted \(B, T_text\) and \(B, T_lat, 4\)"):
        tiny_model.compute_losses(
            text, text_lengths, latents[..., :3], latents_lengths, SETTINGS
        )


def test_losses_foreign_token_raises(tiny_model, batch):
    text, *rest = batch
    with pytest.raises(ValueError, match="the base has 0 to 31"):
        tiny_model.compute_losses(text + 30, *rest, SETTINGS)


def test_losses_overfitting_two_utterances_fall(tiny_model, batch):
    trained = [p for p in tiny_model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-2)
    history = []
    for _ in range(40):
        losses = tiny_model.compute_losses(*batch, SETTINGS, **draws())
        optimizer.zero_grad()
        losses.loss.backward()
        optimizer.step()
        history.append(losses)
    assert history[-1].diffusion_loss < 0.6 * history[0].diffusion_loss
    assert history[-1].eos_loss < 0.1
    assert history[-1].eos_accuracy == 1.0


def test_training_step_changes_trained_parts_only(tiny_model, batch):
    trained = ("prediction_head", "tts_eos_classifier")
    for part in PARTS:
        tiny_model.get_submodule(part).requires_grad_(part in trained)
    before = {k: v.clone() for k, v in tiny_model.state_dict().items()}
    parameters = [p for p in tiny_model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    tiny_model.compute_losses(*batch, SETTINGS, **draws()).loss.backward()
    optimizer.step()
    changed = {
        name.split(".")[0]
        for name, value in tiny_model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == set(trained)


def test_codec_is_frozen_by_default(tiny_model):
    trainable = {
        n.split(".")[0] for n, p in tiny_model.named_parameters() if p.requires_grad
    }
    assert trainable == set(PARTS) - {"acoustic_tokenizer"}


def test_scale_latents_and_back_is_identity(tiny_model):
    tiny_model.speech_scaling_factor.fill_(0.2)
    tiny_model.speech_bias_factor.fill_(-0.05)
    latents = torch.randn(3, 4)
    scaled = tiny_model.scale_latents(latents)
    assert torch.allclose(scaled, (latents - 0.05) * 0.2)
    assert torch.allclose(tiny_model.unscale_latents(scaled), latents, atol=1e-6)


def test_from_config_leaves_global_generator_alone(tiny_model):
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    RealtimeModel.from_config(tiny_model.config, seed=1)
    assert torch.equal(torch.rand(1), wanted)


def test_eos_loss_balanced_weight_counts_last_frame_as_half():
    layout = build_layout(torch.tensor([1]), torch.tensor([5]), 5, 6)
    logits = torch.full((1, 5), -20.0)  # right everywhere but on the last frame
    balanced = compute_eos_loss(logits, layout, None)
    plain = compute_eos_loss(logits, layout, 1.0)
    assert torch.allclose(balanced, torch.tensor([10.0]), atol=1e-3)
    assert torch.allclose(plain, torch.tensor([4.0]), atol=1e-3)


def test_find_stop_frames_ignores_padding():
    layout = build_layout(torch.tensor([1, 1]), torch.tensor([4, 2]), 5, 6)
    logits = torch.tensor([[-1.0, -1, 1, 1], [-1, -1, 1, 1]])
    assert find_stop_frames(logits, layout).tolist() == [2, -1]
