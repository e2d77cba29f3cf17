"""The realtime class as ESPnet calls it."""

import logging

import pytest
import torch
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer
from espnet2.tts.espnet_model import ESPnetTTSModel

from espnet_vibevoice.models.realtime import PARTS
from espnet_vibevoice.tts.latents import VibeVoiceLatents
from espnet_vibevoice.tts.realtime import DEFAULT_TRAINED_PARTS, VibeVoiceRealtimeTTS

VOCAB_SIZE, LATENT_DIM = 264, 4


@pytest.fixture
def make_tts(tiny_base):
    def make(**overrides):
        options = {"idim": VOCAB_SIZE, "odim": LATENT_DIM, "base": str(tiny_base)}
        return VibeVoiceRealtimeTTS(**(options | overrides))

    return make


@pytest.fixture
def batch():
    """Two rows: 7 tokens and 13 frames, 4 tokens and 5 frames."""
    generator = torch.Generator().manual_seed(1)
    return {
        "text": torch.randint(0, 250, (2, 7), generator=generator),
        "text_lengths": torch.tensor([7, 4]),
        "feats": torch.randn(2, 13, LATENT_DIM, generator=generator),
        "feats_lengths": torch.tensor([13, 5]),
    }


def take_step(tts, optimizer, batch, seed):
    torch.manual_seed(seed)
    optimizer.zero_grad()
    loss, _, _ = tts.train()(**batch)
    loss.backward()
    optimizer.step()
    return loss.detach()


def test_forward_gives_a_finite_loss_and_public_statistics(make_tts, batch):
    loss, stats, weight = make_tts().train()(**batch)
    assert loss.requires_grad and torch.isfinite(loss)
    assert list(stats) == [
        "loss",
        "diffusion_loss",
        "eos_loss",
        "eos_accuracy",
        "unfed_tokens",
    ]
    assert not any(value.requires_grad for value in stats.values())
    assert torch.equal(stats["loss"], loss.detach())
    assert weight == 2


def test_forward_weights_make_up_the_loss(make_tts, batch):
    tts = make_tts(diffusion_weight=2.0, eos_weight=3.0, uncond_rate=0.0)
    loss, stats, _ = tts.eval()(**batch)
    wanted = 2 * stats["diffusion_loss"] + 3 * stats["eos_loss"]
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_forward_padding_changes_no_loss(make_tts, batch):
    tts = make_tts(uncond_rate=0.0).eval()
    loss, _, _ = tts(**batch)
    text = torch.nn.functional.pad(batch["text"], (0, 3), value=9)
    feats = torch.nn.functional.pad(batch["feats"], (0, 0, 0, 4), value=5.0)
    padded, _, _ = tts(**(batch | {"text": text, "feats": feats}))
    assert padded.item() == pytest.approx(loss.item(), rel=1e-5)


def test_forward_validation_loss_is_the_same_twice(make_tts, batch):
    tts = make_tts().eval()
    torch.manual_seed(0)
    first, _, _ = tts(**batch)
    torch.manual_seed(1)
    assert torch.equal(first, tts(**batch)[0])
    tts.train()
    assert not torch.equal(tts(**batch)[0], tts(**batch)[0])


def test_step_changes_trained_parts_and_leaves_frozen_ones(make_tts, batch):
    tts = make_tts(uncond_rate=0.0)
    before = {name: value.clone() for name, value in tts.model.state_dict().items()}
    optimizer = torch.optim.AdamW(tts.parameters(), lr=1e-3, weight_decay=0.1)
    take_step(tts, optimizer, batch, seed=0)
    after = tts.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == set(DEFAULT_TRAINED_PARTS)


def test_train_keeps_frozen_parts_in_evaluation_mode(make_tts):
    tts = make_tts(trained_parts=["prediction_head"]).train()
    assert tts.training and tts.model.prediction_head.training
    for part in set(PARTS) - {"prediction_head"}:
        modules = list(tts.model.get_submodule(part).modules())
        assert not any(module.training for module in modules), part
    tts.eval()
    assert not tts.model.prediction_head.training


def test_state_dict_holds_the_trained_parts(make_tts):
    tts = make_tts(trained_parts=["tts_eos_classifier", "acoustic_connector"])
    parts = {name.split(".")[1] for name in tts.state_dict()}
    assert parts == {"tts_eos_classifier", "acoustic_connector"}


def test_save_and_load_gives_the_same_output(make_tts, batch, tmp_path):
    tts = make_tts()
    optimizer = torch.optim.AdamW(tts.parameters(), lr=1e-2)
    take_step(tts, optimizer, batch, seed=0)
    torch.save(tts.state_dict(), tmp_path / "1epoch.pth")
    loaded = make_tts()
    before, _, _ = loaded.eval()(**batch)
    loaded.load_state_dict(torch.load(tmp_path / "1epoch.pth"))
    wanted, _, _ = tts.eval()(**batch)
    assert torch.equal(loaded(**batch)[0], wanted)
    assert not torch.equal(before, wanted)


def make_training(make_tts):
    """Build model, optimiser and scheduler as ESPnet's trainer holds them."""
    model = ESPnetTTSModel(None, None, None, None, None, None, make_tts())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 / (n + 1))
    return model, optimizer, schedule


def train_steps(training, batch, seeds):
    model, optimizer, schedule = training
    for seed in seeds:
        take_step(model.tts, optimizer, batch, seed)
        schedule.step()


def test_resume_equals_uninterrupted(make_tts, batch, tmp_path):
    whole, first, second = (make_training(make_tts) for _ in range(3))
    train_steps(whole, batch, [0, 1, 2, 3])
    train_steps(first, batch, [0, 1])
    model, optimizer, schedule = first
    states = {
        "model": model.state_dict(),
        "reporter": Reporter().state_dict(),
        "optimizers": [optimizer.state_dict()],
        "schedulers": [schedule.state_dict()],
        "scaler": None,
    }
    torch.save(states, tmp_path / "checkpoint.pth")
    model, optimizer, schedule = second
    checkpoint = tmp_path / "checkpoint.pth"
    Trainer.resume(checkpoint, model, Reporter(), [optimizer], [schedule], None)
    train_steps(second, batch, [2, 3])
    resumed, wanted = model.state_dict(), whole[0].state_dict()
    assert resumed.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(resumed[name], wanted[name]), name


def test_espnet_model_takes_latents_as_speech(make_tts, tiny_base, batch):
    extractor = VibeVoiceLatents(str(tiny_base))
    model = ESPnetTTSModel(extractor, None, None, None, None, None, make_tts())
    given = {
        "text": batch["text"],
        "text_lengths": batch["text_lengths"],
        "speech": batch["feats"],
        "speech_lengths": batch["feats_lengths"],
    }
    loss, _, weight = model.eval()(**given, utt_id=["a", "b"])
    assert torch.equal(loss, model.tts(**batch)[0])
    assert weight == 2


def test_inference_gives_a_finite_waveform(make_tts):
    tts = make_tts(max_frames_per_token=2.0).eval()
    output = tts.inference(torch.arange(5), use_teacher_forcing=False, spembs=None)
    frames = len(output["prob"])
    assert 1 <= frames <= 10
    assert output["wav"].shape == (3200 * frames,)
    assert torch.isfinite(output["wav"]).all() and output["wav"].abs().max() > 0
    assert ((output["prob"] >= 0) & (output["prob"] <= 1)).all()


def test_inference_follows_the_seed(make_tts):
    tts = make_tts(max_frames_per_token=1.0, eos_threshold=1.0).eval()
    wavs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        wavs.append(tts.inference(torch.arange(5))["wav"])
    assert torch.equal(wavs[0], wavs[1])
    assert not torch.equal(wavs[0], wavs[2])


@pytest.mark.parametrize(("threshold", "warnings"), [(1.0, 1), (0.0, 0)])
def test_inference_warns_when_speech_did_not_end(make_tts, caplog, threshold, warnings):
    tts = make_tts(max_frames_per_token=1.0, eos_threshold=threshold).eval()
    with caplog.at_level(logging.WARNING):
        output = tts.inference(torch.arange(7))
    assert caplog.text.count("cut after 7 frames") == warnings
    assert len(output["prob"]) == (7 if warnings else 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"idim": 265}, "token list has 265 tokens, .*base knows 264: rerun the token"),
        ({"odim": 5}, r"latents have 5 dimensions, .*base has 4: dump them .*stage 5"),
        ({"trained_parts": []}, r"trained_parts is \[\]: choose at least one of lang"),
        ({"trained_parts": ["prediction_head", "head"]}, "head.*: choose at least one"),
        ({"trained_parts": ["acoustic_tokenizer"]}, "acoustic_tokenizer.*: choose"),
    ],
)
def test_constructor_wrong_setting_raises(make_tts, overrides, message):
    with pytest.raises(ValueError, match=message):
        make_tts(**overrides)


def test_constructor_logs_what_is_trained(make_tts, caplog):
    with caplog.at_level(logging.INFO):
        make_tts(trained_parts=["tts_input_types"])
    assert "tts_input_types: Embedding, 32 parameters, trained" in caplog.text
    assert caplog.text.count("frozen") == len(PARTS) - 1


def test_attributes_that_espnets_decoding_reads(make_tts):
    tts = make_tts()
    assert tts.fs == 24000
    assert (tts.spks, tts.langs, tts.spk_embed_dim) == (None, None, None)
    assert (tts.require_raw_speech, tts.require_vocoder) == (False, False)
