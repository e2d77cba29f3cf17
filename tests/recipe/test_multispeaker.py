"""The multi-speaker family through the commands of a recipe, on a tiny base."""

import os
import subprocess
import sys
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_vibevoice.bin import collect_latents, dump_latents
from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.plugin import use_task
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

pytestmark = pytest.mark.recipe

ROOT = Path(__file__).parents[2]
USUAL = [
    *("--config", "train.yaml", "--ngpu", "0", "--num_workers", "0"),
    *("--token_type", "hugging_face", "--token_list", "tokens.txt"),
    *("--normalize", "none", "--feats_extract", "vibevoice_latents"),
    *("--use_tensorboard", "false"),
]
TEXTS = {
    "a1": "سلام",
    "a2": "هوا خوب است",
    "b1": "درود",
    "talk": "Speaker 1: سلام. Speaker 2: درود.",
}
FRAMES = {"a1": 3, "a2": 5, "b1": 4, "talk": 6}
UTT2SPK = {"a1": "a", "a2": "a", "b1": "b", "talk": "talk"}
CONFIG = {
    "tts": "vibevoice",
    "tts_conf": {
        "lora_rank": 4,
        "min_encoder_fit": 0.0,
        "ddpm_batch_mul": 2,
        "uncond_rate": 0.0,
        "max_frames": 4,
    },
    "batch_type": "unsorted",
    "batch_size": 2,
    "optim": "adamw",
    "optim_conf": {"lr": 0.01},
    "scheduler": "warmupcosinelr",
    "scheduler_conf": {"warmup_steps": 1},
    "max_epoch": 2,
    "num_att_plot": 2,
    "sample_interval": 2,
    "best_model_criterion": [["valid", "loss", "min"]],
    "keep_nbest_models": 1,
}


class Recipe:
    """A folder with a corpus, in which commands run."""

    def __init__(self, folder, base):
        self.folder = folder
        self.base = base

    def call(self, main, *words):
        """Call the main function of a command in this process, whose imports are there.

        Data stages are called like that; their commands have tests of their own.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            options = ["--train_config", "train.yaml", "--base", self.base, *words]
            patch.setattr(sys, "argv", ["command", *map(str, options)])
            main()

    def run(self, *words):
        """Run a command of ESPnet with our classes."""
        launcher = ["-m", "espnet_vibevoice", "--base", self.base, "-m"]
        done = subprocess.run(
            [sys.executable, *map(str, [*launcher, *words])],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout

    def list_training_options(self):
        """List the options of a training on what stage 5 wrote, as tts.sh does."""
        options = [*USUAL, "--output_dir", "exp", "--resume", "true"]
        for mode in ("train", "valid"):
            data = f"--{mode}_data_path_and_name_and_type"
            options += [data, "data/text,text,text"]
            options += [data, "latents/feats.scp,speech,kaldi_ark"]
            for name in ("text_shape.hugging_face", "speech_shape"):
                options += [f"--{mode}_shape_file", f"stats/{name}"]
        return options


@pytest.fixture(scope="module")
def recipe(tiny_multispeaker_base, tmp_path_factory):
    """Corpus, token list, latents with semantic features, statistics."""
    folder = tmp_path_factory.mktemp("recipe")
    for seed, (utt_id, frames) in enumerate(FRAMES.items()):
        noise = np.random.default_rng(seed).normal(0, 0.05, 3200 * frames - 9)
        soundfile.write(folder / f"{utt_id}.wav", noise, 24000)
    data = folder / "data"
    write_table(data / "wav.scp", {u: folder / f"{u}.wav" for u in TEXTS})
    write_table(data / "text", TEXTS)
    write_table(data / "utt2spk", UTT2SPK)
    write_table(data / "utt2prompt", {"talk": "a1 b1"})
    (folder / "train.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    write_lines(
        folder / "tokens.txt", load_tokenizer(tiny_multispeaker_base).vocabulary()
    )
    made = Recipe(folder, tiny_multispeaker_base)
    words = ["--wav_scp", "data/wav.scp", "--out_dir", "latents", "--job", "1"]
    made.call(dump_latents.main, *words)
    words = ["--data_dir", "data", "--latents_dir", "latents", "--nj", "1"]
    words += ["--stats_dir", "stats", "--token_type", "hugging_face"]
    made.call(collect_latents.main, *words)
    return made


@pytest.fixture(scope="module")
def trained(recipe):
    """Two epochs by LoRA."""
    recipe.run("espnet2.bin.tts_train", *recipe.list_training_options())
    return recipe


def test_stage_5_writes_both_tables(recipe, monkeypatch):
    monkeypatch.chdir(recipe.folder)
    acoustic = kaldiio.load_scp(str(recipe.folder / "latents" / "feats.scp"))
    semantic = kaldiio.load_scp(str(recipe.folder / "latents" / "semantic.scp"))
    assert list(acoustic) == list(semantic) == list(TEXTS)
    for utt_id, frames in FRAMES.items():
        assert acoustic[utt_id].shape == (frames, 4)
        assert semantic[utt_id].shape == (frames, 6)
        assert np.abs(semantic[utt_id]).max() > 0
    shape = read_table(recipe.folder / "stats" / "speech_shape")
    assert shape == {u: str(frames) for u, frames in FRAMES.items()}


def test_training_reads_both_and_writes_small_checkpoints(trained):
    experiment = trained.folder / "exp"
    config = yaml.safe_load((experiment / "config.yaml").read_text("utf-8"))
    data = config["train_data_path_and_name_and_type"]
    assert ["latents/semantic.scp", "semantic", "kaldi_ark"] in [list(d) for d in data]
    prompts = read_table(experiment / "utt2prompt.train")
    assert prompts == {"a1": "a2", "a2": "a1", "b1": "b1", "talk": "a1 b1"}
    state = torch.load(experiment / "valid.loss.best.pth")
    parts = {n.split(".")[2] for n in state if n.startswith("tts.model.")}
    assert parts == {"language_model", "acoustic_connector", "semantic_connector"}
    assert sorted(p.name for p in (experiment / "samples" / "epoch2").glob("*.wav"))


def test_decoding_speaks_each_text(trained, monkeypatch):
    use_task()
    from espnet2.bin import tts_inference

    monkeypatch.chdir(trained.folder)
    command = ["--ngpu", "0"]
    command += ["--data_path_and_name_and_type", "data/text,text,text"]
    command += ["--key_file", "data/text", "--train_config", "exp/config.yaml"]
    command += ["--model_file", "exp/valid.loss.best.pth", "--output_dir", "decoded"]
    command += ["--config", str(ROOT / "conf" / "decode_vibevoice.yaml")]
    tts_inference.main(cmd=[*command, "--vocoder_file", "none"])
    for utt_id in TEXTS:
        samples, fs = soundfile.read(trained.folder / f"decoded/wav/{utt_id}.wav")
        assert fs == 24000 and len(samples) % 3200 == 0
        assert np.isfinite(samples).all()


def test_resume_goes_on_where_training_ended(trained, monkeypatch):
    monkeypatch.chdir(trained.folder)
    options = [*trained.list_training_options(), "--tts_conf", f"base={trained.base}"]
    VibeVoiceTTSTask.main(cmd=[*options, "--max_epoch", "3", "--num_att_plot", "0"])
    states = torch.load(trained.folder / "exp/checkpoint.pth", weights_only=False)
    assert sorted(states["reporter"]["stats"]) == [1, 2, 3]


def test_statistics_stage_of_espnet_writes_semantic_features(recipe, monkeypatch):
    monkeypatch.chdir(recipe.folder)
    options = [*USUAL, "--output_dir", "collected"]
    options += ["--collect_stats", "true", "--write_collected_feats", "true"]
    options += ["--tts_conf", f"base={recipe.base}"]
    for mode in ("train", "valid"):
        data = f"--{mode}_data_path_and_name_and_type"
        options += [data, "data/text,text,text", data, "data/wav.scp,speech,sound"]
        options += [f"--{mode}_shape_file", "data/wav.scp"]
    VibeVoiceTTSTask.main(cmd=options)
    dumped = kaldiio.load_scp("latents/semantic.scp")
    collected = read_table("collected/train/collect_feats/semantic.scp")
    assert list(collected) == list(TEXTS)
    for utt_id, path in collected.items():
        np.testing.assert_allclose(np.load(path), dumped[utt_id], atol=1e-5)
    ours = read_table("stats/text_shape")
    assert read_table("collected/train/text_shape") == ours
