"""Training by two processes gives the losses and weights of one process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from espnet_vibevoice.data.kaldi import write_table
from espnet_vibevoice.text.tokenizer import load_tokenizer

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "egs2/mini_fa/tts1/conf/train.yaml"
FRAMES = [9, 4, 12, 7, 5, 11, 3, 8, 6, 10]
TEXT = "امروز هوا خوب است و باران نمی‌بارد"
SETTINGS = {
    "strategy": "lora",
    "lora_dropout": 0.0,  # draws as many numbers as it has rows, so not the same
    "prompt_drop_rate": 0.3,
    "uncond_rate": 0.3,
    "text_window": 5,
}
LOSSES = ("loss", "diffusion_loss", "eos_loss", "eos_accuracy", "unfed_tokens")


@pytest.fixture
def folder(tiny_base, tmp_path):
    """Latents, texts and shapes of ten utterances, and the tokens of the base."""
    tokenizer, rng = load_tokenizer(tiny_base), np.random.default_rng(0)
    tokens = "\n".join(tokenizer.vocabulary())
    (tmp_path / "tokens.txt").write_text(tokens + "\n", encoding="utf-8")
    texts = {f"u{i}": TEXT[: 2 + 2 * i] for i in range(len(FRAMES))}
    latents = {utt_id: tmp_path / f"{utt_id}.npy" for utt_id in texts}
    for path, frames in zip(latents.values(), FRAMES, strict=True):
        np.save(path, rng.normal(size=(frames, 4)).astype(np.float32))
    write_table(tmp_path / "text", texts)
    write_table(tmp_path / "feats.scp", latents)
    write_table(tmp_path / "utt2spk", {u: f"s{int(u[1:]) % 3}" for u in texts})
    lengths = {utt_id: len(tokenizer.encode(text)) for utt_id, text in texts.items()}
    write_table(tmp_path / "text_shape", lengths)
    shapes = {u: f"{n},4" for u, n in zip(texts, FRAMES, strict=True)}
    write_table(tmp_path / "speech_shape", shapes)
    return tmp_path


def training_options(folder, base, name):
    """Options of a training of two epochs with several steps each."""
    given = ["--config", CONFIG, "--output_dir", folder / name, "--ngpu", "0"]
    given += ["--token_type", "hugging_face", "--token_list", folder / "tokens.txt"]
    given += ["--normalize", "none", "--feats_extract", "vibevoice_latents"]
    for mode in ("train", "valid"):
        data = f"--{mode}_data_path_and_name_and_type"
        given += [data, f"{folder}/text,text,text"]
        given += [data, f"{folder}/feats.scp,speech,npy"]
        for shape in ("text_shape", "speech_shape"):
            given += [f"--{mode}_shape_file", folder / shape]
    for key, value in {"base": base, **SETTINGS}.items():
        given += ["--tts_conf", f"{key}={value}"]
    given += ["--max_epoch", "2", "--batch_type", "numel", "--batch_bins", "120"]
    given += ["--min_batch_size", "2", "--num_workers", "1"]
    return [*given, "--use_tensorboard", "false", "--use_matplotlib", "false"]


def start(launcher, options):
    """Start a training with a launcher and return its process."""
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, (*launcher, *options))],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def read_figures(experiment):
    """Read the figures of each epoch, in training and validation."""
    states = torch.load(experiment / "checkpoint.pth", weights_only=False)
    return {
        (epoch, mode, name): stats[mode][name]
        for epoch, stats in states["reporter"]["stats"].items()
        for mode in ("train", "valid")
        for name in LOSSES
    }


def load_weights(path):
    """Load what was trained; the seal is another for other last digits."""
    return {
        name: value
        for name, value in torch.load(path).items()
        if name != "tts.lora_seal"
    }


def test_two_processes_train_as_one(folder, tiny_base):
    train = ["espnet_vibevoice", "-m", "espnet2.bin.tts_train"]
    two = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    share = ["--dist_backend", "gloo", "--dist_world_size", "2"]
    share += ["--multiprocessing_distributed", "false"]
    runs = [
        start(train, training_options(folder, tiny_base, "one")),
        start([*two, *train], [*training_options(folder, tiny_base, "two"), *share]),
    ]
    try:
        logs = [run.communicate(timeout=900)[0] for run in runs]
    finally:
        for run in runs:
            run.terminate()
    for run, log in zip(runs, logs, strict=True):
        assert run.returncode == 0, log
        assert "N-batch=4" in log, log
    one, two = (read_figures(folder / name) for name in ("one", "two"))
    assert len(one) == 2 * 2 * len(LOSSES)
    assert two == pytest.approx(one, rel=1e-6)
    assert one[1, "train", "loss"] != pytest.approx(one[2, "train", "loss"], rel=1e-3)
    first, second = (
        load_weights(folder / name / "2epoch.pth") for name in ("one", "two")
    )
    torch.testing.assert_close(second, first, rtol=0, atol=1e-5)
    before = load_weights(folder / "one/1epoch.pth")
    moved = {n: (first[n] - before[n]).abs().max().item() for n in first}
    assert all(distance > 1e-4 for n, distance in moved.items() if "lora" in n), moved
