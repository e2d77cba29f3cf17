"""Validation texts spoken in training: files, TensorBoard, and no harm to training."""

import dataclasses
import logging
import sys
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from espnet2.train.distributed_utils import DistributedOption
from PIL import Image

from espnet_vibevoice.tts.dumped_latents import use_dumped_latents
from espnet_vibevoice.tts.samples import SampleWriter, is_sample_epoch, write_samples
from espnet_vibevoice.tts.task import VibeVoiceTTSTask


@pytest.fixture(scope="module")
def make_tts_and_batches(make_train_args, tmp_path_factory):
    """Build a model that speaks briefly, and its validation set one by one."""

    def make(**tts_conf):
        settings = {"max_frames": 3, "num_sampling_steps": 2, "strategy": "lora"}
        words = ["--num_att_plot", 3]
        for key, value in (settings | tts_conf).items():
            words += ["--tts_conf", f"{key}={value}"]
        args = make_train_args(tmp_path_factory.mktemp("exp"), *words)
        return build_tts_and_batches(args)

    return make


@pytest.fixture(scope="module")
def tts_and_batches(make_tts_and_batches):
    """The model in float32, and its batches."""
    return make_tts_and_batches()


def build_tts_and_batches(args):
    use_dumped_latents(args, "valid")
    tts = VibeVoiceTTSTask.build_model(args).tts
    option = DistributedOption()
    factory = VibeVoiceTTSTask.build_iter_factory(args, option, "plot_att")
    return tts, list(factory.build_iter(1))


@pytest.mark.parametrize(
    ("interval", "wanted"), [(0, []), (1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])]
)
def test_is_sample_epoch_each_interval_and_the_last(interval, wanted):
    epochs = [epoch for epoch in range(1, 6) if is_sample_epoch(epoch, interval, 5)]
    assert epochs == wanted


class Summary:
    """Notes what TensorBoard would get."""

    def __init__(self):
        self.seen = []

    def add_audio(self, tag, waveform, epoch, fs):
        self.seen.append((tag, tuple(waveform.shape), epoch, fs))

    def add_image(self, tag, pixels, epoch, dataformats):
        self.seen.append((tag, pixels.shape[2], epoch, dataformats))


def test_write_samples_writes_sound_and_pictures(tts_and_batches, tmp_path):
    tts, batches = tts_and_batches
    summary = Summary()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    write_samples(tts, batches[:1], SampleWriter(tmp_path, 7, 24000, summary))
    assert torch.equal(torch.get_rng_state(), state)
    spoken, fs = soundfile.read(tmp_path / "epoch7/u1.wav")
    natural, _ = soundfile.read(tmp_path / "natural/u1.wav")
    assert fs == 24000 and len(spoken) in (3200, 6400, 9600) and len(natural) == 12800
    assert Image.open(tmp_path / "epoch7/u1.png").size[0] > 300
    assert summary.seen == [
        ("sample/u1", (1, len(spoken)), 7, 24000),
        ("sample_mel/u1", 3, 7, "HWC"),
    ]


def test_write_samples_same_weights_give_the_same_sound(tts_and_batches, tmp_path):
    tts, batches = tts_and_batches
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        write_samples(tts, batches[1:2], SampleWriter(tmp_path, epoch, 24000))
    first, second = (tmp_path / f"epoch{epoch}/u2.wav" for epoch in (1, 2))
    assert first.read_bytes() == second.read_bytes()


def test_write_samples_speaks_with_the_voice_of_the_batch(tts_and_batches, tmp_path):
    tts, batches = tts_and_batches
    (utt_ids, batch), *_ = batches
    mute = {**batch, "prompt_feats_lengths": torch.zeros(1, dtype=torch.long)}
    assert batch["prompt_feats_lengths"].item() == 3
    write_samples(tts, [(utt_ids, batch)], SampleWriter(tmp_path, 1, 24000))
    write_samples(tts, [(utt_ids, mute)], SampleWriter(tmp_path, 2, 24000))
    first, second = (tmp_path / f"epoch{epoch}/u1.wav" for epoch in (1, 2))
    assert first.read_bytes() != second.read_bytes()


def test_write_samples_speaks_in_bfloat16(make_tts_and_batches, tmp_path, caplog):
    tts, batches = make_tts_and_batches(precision="bfloat16", base_dtype="bfloat16")
    assert batches[0][1]["prompt_feats_lengths"].item() == 3
    write_samples(tts, batches[:1], SampleWriter(tmp_path, 1, 24000))
    assert (tmp_path / "epoch1/u1.wav").is_file(), caplog.text


def test_write_samples_bad_utterance_is_named_and_the_others_are_spoken(
    tts_and_batches, tmp_path, caplog
):
    tts, batches = tts_and_batches
    (utt_ids, batch), *others = batches
    empty = {**batch, "text_lengths": torch.zeros(1, dtype=torch.long)}
    with caplog.at_level(logging.WARNING):
        batches = [(utt_ids, empty), *others]
        write_samples(tts, batches, SampleWriter(tmp_path, 4, 24000))
    assert "u1: no sample of epoch 4: " in caplog.text
    found = sorted(path.name for path in (tmp_path / "epoch4").glob("*.wav"))
    assert found == ["u2.wav", "u3.wav"]


def test_write_samples_with_averaged_weights_stays_in_evaluation(
    tts_and_batches, tmp_path
):
    tts, batches = tts_and_batches
    tts.train()
    write_samples(tts, batches[:1], SampleWriter(tmp_path, 1, 24000))
    assert not tts.training


def test_sample_writer_logs_to_wandb(tmp_path, monkeypatch):
    logged = []
    wandb = ModuleType("wandb")
    wandb.Audio = lambda wave, sample_rate: ("audio", len(wave), sample_rate)
    wandb.Image = lambda path: ("image", path)
    wandb.log = logged.append
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    writer = SampleWriter(tmp_path, 2, 24000)
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 6400)).float()
    dataclasses.replace(writer, use_wandb=True).write("s/u", wave, wave)
    picture = str(tmp_path / "epoch2/s_u.png")
    audio = ("audio", 6400, 24000)
    assert logged == [{"sample/s_u": audio, "sample_mel/s_u": ("image", picture)}]
