import csv
import dataclasses
import math

import pytest
import torch

from espnet_vibevoice.models.calibration import calibrate_codec
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.models.encoder_init import (
    init_encoder,
    load_codec_to_train,
    read_latent_scale,
)
from espnet_vibevoice.models.encoder_training import (
    EncoderTrainer,
    EncoderTrainingSettings,
)
from espnet_vibevoice.score.fit import measure_fit

SETTINGS = EncoderTrainingSettings(
    max_steps=4, lr=1e-3, warmup_steps=2, valid_interval=2
)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def base(tiny_model, tmp_path):
    """Write a base whose decoder is as near to linear as the released ones begin."""
    codec = tiny_model.acoustic_tokenizer
    for name, parameter in codec.named_parameters():
        if name.endswith("gamma"):
            parameter.data.fill_(1e-3)
    noise = torch.randn(12800, generator=torch.Generator().manual_seed(0)) * 0.05
    calibrate_codec(tiny_model, [noise], target_rms=0.05)
    codec.encoder = None
    tiny_model.save(tmp_path / "base")
    return str(tmp_path / "base")


@pytest.fixture
def speak(base):
    """Make waveforms that the decoder can make: (B, 4 frames), loud and quiet."""
    codec = load_codec(base)
    scale, bias = read_latent_scale(base)

    def make(count, seed):
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, 4, codec.latent_dim, generator=generator)
        loudness = torch.rand(count, 4, 1, generator=generator) * -1.5
        with torch.no_grad():
            return codec.run_decoder(latents * 10**loudness / scale - bias)

    return make


@pytest.fixture
def make_trainer(base, speak, tmp_path):
    def make(name, settings=SETTINGS, **identity):
        codec, is_fresh = load_codec_to_train(base, None, from_scratch=False)
        assert is_fresh
        scale, bias = read_latent_scale(base)
        init_encoder(codec, speak(4, 0), scale, bias, settings.seed)
        return EncoderTrainer(codec, scale, bias, settings, tmp_path / name, identity)

    return make


def train(trainer, speak, on_validation=len):
    trainer.resume()
    trainer.run(lambda step: speak(4, 100 + step), [speak(4, 50)], on_validation)


def read_tsv(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_init_encoder_gives_latents_of_the_base(make_trainer, speak):
    trainer = make_trainer("out")
    latents = trainer.codec.run_encoder(speak(4, 0))
    scaled = (latents + trainer.latent_bias) * trainer.latent_scale
    assert abs(scaled.mean()) < 1e-3 and abs(scaled.std() - 1) < 1e-3
    assert trainer.compute_losses(speak(4, 0))[1].item() < 1e-4


def test_load_codec_to_train_starts_where_it_is_told(tiny_base, base, exact_bases):
    assert not load_codec_to_train(str(tiny_base), None, from_scratch=False)[1]
    assert load_codec_to_train(str(tiny_base), None, from_scratch=True)[1]
    codec, is_fresh = load_codec_to_train(base, str(tiny_base), from_scratch=False)
    assert not is_fresh
    wanted = load_codec(str(tiny_base)).encoder.state_dict()
    found = codec.encoder.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_train_changes_the_encoder_only(make_trainer, speak):
    trainer = make_trainer("out")
    before = {k: v.clone() for k, v in trainer.codec.state_dict().items()}
    train(trainer, speak)
    for name, value in trainer.codec.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("decoder."), name


def test_train_writes_history_and_best_encoder(make_trainer, speak, base):
    trainer = make_trainer("out")
    seen = []
    train(trainer, speak, lambda history: seen.append(len(history)))
    rows = read_tsv(trainer.out_dir / "validation.tsv")
    assert [row["step"] for row in rows] == ["0", "2", "4"] and seen == [1, 2, 3]
    losses = [float(row["valid_loss"]) for row in rows]
    assert losses == [row["valid_loss"] for row in trainer.history]
    best = load_codec(
        base, acoustic_encoder=str(trainer.out_dir / "encoder.safetensors")
    )
    kept = dataclasses.replace(trainer, codec=best, step=0, history=[])
    assert kept.compute_losses(speak(4, 50))[0].item() == pytest.approx(min(losses))


def test_resume_equals_an_undisturbed_training(make_trainer, speak):
    whole = make_trainer("whole")
    train(whole, speak)
    first = make_trainer("parts")
    first.resume()

    def die_at_3(step):
        if step == 3:  # behind the checkpoint of step 2
            raise KeyboardInterrupt
        return speak(4, 100 + step)

    with pytest.raises(KeyboardInterrupt):
        first.run(die_at_3, [speak(4, 50)], len)
    (first.out_dir / ".checkpoint.pt.tmp").write_bytes(b"half")
    second = make_trainer("parts")
    train(second, speak)
    assert second.step == 4
    for name, value in whole.codec.state_dict().items():
        assert torch.equal(second.codec.state_dict()[name], value), name
    for name in ("validation.tsv", "encoder.safetensors"):
        one, other = (t.out_dir / name for t in (whole, second))
        assert one.read_bytes() == other.read_bytes()


def test_resume_finished_training_does_nothing(make_trainer, speak):
    train(make_trainer("out"), speak)
    again = make_trainer("out")
    assert again.resume() and again.step == 4
    again.run(lambda step: pytest.fail("a step was drawn"), [], len)


def test_resume_other_settings_raise(make_trainer, speak):
    train(make_trainer("out", base="x"), speak)
    other = make_trainer("out", dataclasses.replace(SETTINGS, lr=0.5), base="y")
    with pytest.raises(ValueError, match="base: was x, is y; lr: was 0.001, is 0.5"):
        other.resume()


def test_train_step_not_finite_raises(make_trainer):
    trainer = make_trainer("out")
    with pytest.raises(RuntimeError, match="step 1: the loss is nan.*lower --lr"):
        trainer.train_step(torch.full((1, 6400), math.nan))


def test_compute_lr_rises_then_falls_to_a_tenth():
    settings = EncoderTrainingSettings(max_steps=100, lr=1.0, warmup_steps=10)
    assert settings.compute_lr(0) == pytest.approx(0.1)
    assert settings.compute_lr(10) == pytest.approx(1.0)
    assert settings.compute_lr(100) == pytest.approx(0.1)


def test_read_latent_scale_missing_raises(base):
    from safetensors.torch import load_file, save_file

    path = f"{base}/model.safetensors"
    state = load_file(path)
    del state["model.speech_bias_factor"]
    save_file(state, path)
    with pytest.raises(ValueError, match="has no model.speech_bias_factor"):
        read_latent_scale(base)


@pytest.mark.slow
def test_train_from_scratch_halves_the_reconstruction_error(make_trainer, speak):
    settings = dataclasses.replace(
        SETTINGS, max_steps=200, lr=3e-3, warmup_steps=10, valid_interval=100
    )
    trainer = make_trainer("out", settings)
    held_out = speak(8, 50)
    before = [measure_fit(trainer.codec, wave)[1] for wave in held_out]
    trainer.resume()
    trainer.run(lambda step: speak(4, 100 + step), [held_out], len)
    first, last = trainer.history[0], trainer.history[-1]
    assert last["valid_loss"] < 0.5 * first["valid_loss"]
    after = [measure_fit(trainer.codec, wave)[1] for wave in held_out]
    distance = sum(row.log_mel_distance for row in after)
    assert distance < 0.5 * sum(row.log_mel_distance for row in before)
    assert last["valid_prior"] < 1.0
