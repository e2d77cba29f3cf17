"""The realtime class as ESPnet calls it."""

import logging

import pytest
import torch
from espnet2.train.reporter import Reporter
from espnet2.train.trainer import Trainer
from espnet2.tts.espnet_model import ESPnetTTSModel

from espnet_vibevoice.models.realtime import PARTS
from espnet_vibevoice.tts.latents import VibeVoiceLatents
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS

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


def test_train_keeps_frozen_parts_in_evaluation_mode(make_tts):
    tts = make_tts(strategy="head_only").train()
    assert tts.training and tts.model.prediction_head.training
    for part in set(PARTS) - {"prediction_head"}:
        modules = list(tts.model.get_submodule(part).modules())
        assert not any(module.training for module in modules), part
    tts.eval()
    assert not tts.model.prediction_head.training


def test_state_dict_holds_the_trained_parts(make_tts):
    trained = ["tts_eos_classifier", "acoustic_connector"]
    tts = make_tts(strategy="custom", trained_parts=trained)
    names = [name.split(".") for name in tts.state_dict()]
    assert {words[1] for words in names if words[0] == "model"} == set(trained)
    assert [words for words in names if words[0] != "model"] == [["base_fingerprint"]]


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


def make_training(make_tts, seed):
    """Build model, optimiser and scheduler as ESPnet's trainer holds them."""
    torch.manual_seed(seed)  # of the LoRA factors
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
    whole, first, second = (make_training(make_tts, seed) for seed in (0, 0, 1))
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
        ({"strategy": "lorra"}, "strategy 'lorra' is not known: choose one of lora"),
        ({"precision": "int8"}, "precision is 'int8': choose one of float32"),
        ({"ema_decay": 1.5}, "ema_decay is 1.5: give a number above 0"),
        ({"freeze_head_layers": [0]}, "prediction_head is frozen as a whole"),
    ],
)
def test_constructor_wrong_setting_raises(make_tts, overrides, message):
    with pytest.raises(ValueError, match=message):
        make_tts(**overrides)


def test_constructor_logs_what_is_trained(make_tts, caplog):
    with caplog.at_level(logging.INFO):
        tts = make_tts(lora_rank=4)
    rows = {line.split()[0]: line.split() for line in caplog.text.splitlines() if line}
    factors = 2 * 4 * (16 + 16 + 16 + 8 + 16 + 8 + 16 + 16)
    assert rows["part"][1:] == ["total", "trained", "share", "how"]
    assert rows["tts_language_model"][2:] == [f"{factors}", "27.86%", "lora", "r4"]
    assert rows["acoustic_tokenizer"][2:] == ["0", "0.00%", "frozen"]
    trained = sum(p.numel() for p in tts.parameters() if p.requires_grad)
    assert rows["total"][2] == f"{trained:,}"
    assert rows["total"][4:] == ["strategy", "lora"]


def test_attributes_that_espnets_decoding_reads(make_tts):
    tts = make_tts()
    assert tts.fs == 24000
    assert (tts.spks, tts.langs, tts.spk_embed_dim) == (None, None, None)
    assert (tts.require_raw_speech, tts.require_vocoder) == (False, False)
