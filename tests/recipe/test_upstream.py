"""The mini recipe under ESPnet's own, unmodified tts.sh, from data to packing.

Runs only where ESPNET_ROOT names a checkout, which is read and never written:

    git clone --depth 1 https://github.com/espnet/espnet
    ESPNET_ROOT=$PWD/espnet python -m pytest tests/recipe/test_upstream.py

Add ``--branch v.202304`` for the numbering until 2023 (decoding is stage 7). The shell
part is the checkout's, Python packages are the installed ones. Takes a minute.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_vibevoice.models.encoder_file import load_codec

pytestmark = [pytest.mark.upstream, pytest.mark.recipe, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "egs2/mini_fa/tts1"
SENTENCES = {"train": 12, "valid": 2, "test": 3}
STATS = "exp/tts_stats_raw_vibevoice_latents_hugging_face_persian"
EXPERIMENT = "exp/tts_up"


@dataclass
class Finished:
    """A recipe that has run, and its valid audio, which was gone in training.

    Attributes:
        folder (Path): The recipe's folder in the copy of the checkout.
        audio (dict[str, np.ndarray]): Waveforms (T_wav,) of the valid set by utterance.
    """

    folder: Path
    audio: dict[str, np.ndarray]

    def read_scp(self, name: str) -> dict[str, str]:
        """Read a Kaldi table of the recipe."""
        lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        return dict(line.split(maxsplit=1) for line in lines)


def copy_checkout(target: Path) -> None:
    """Copy what a recipe needs of the checkout that ESPNET_ROOT names."""
    source = Path(os.environ["ESPNET_ROOT"])
    for part in ("asr1", "tts1"):
        name = f"egs2/TEMPLATE/{part}"
        shutil.copytree(source / name, target / name, symlinks=True)
    (target / "tools").mkdir()
    shutil.copy(source / "tools/extra_path.sh", target / "tools")


def copy_recipe(target: Path) -> None:
    """Copy the mini recipe's own files, with a few sentences only."""
    for name in ("conf", "local"):
        shutil.copytree(ROOT / RECIPE / name, target / name)
    shutil.copy(ROOT / RECIPE / "run.sh", target)
    for name, count in SENTENCES.items():
        path = target / f"local/sentences/{name}.txt"
        lines = path.read_text(encoding="utf-8").splitlines()[:count]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(command: list[str | Path], folder: Path) -> str:
    """Run a command in the environment of these tests and return what it prints."""
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:]
    return result.stdout


def take_audio_away(recipe: Path) -> dict[str, np.ndarray]:
    """Remove the audio of the training and the valid set, as training needs none."""
    audio = {}
    for name in ("train", "valid"):
        for line in (recipe / f"dump/raw/{name}/wav.scp").read_text().splitlines():
            key, path = line.split(maxsplit=1)
            if name == "valid":
                audio[key] = soundfile.read(recipe / path, dtype="float32")[0]
            (recipe / path).unlink()
    return audio


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Iterator[Finished]:
    """The recipe after all its stages, its audio taken away before training."""
    checkout = tmp_path_factory.mktemp("espnet")
    ours = tmp_path_factory.mktemp("ours") / RECIPE
    ours.mkdir(parents=True)
    copy_checkout(checkout)
    copy_recipe(ours)
    linked = run([ROOT / "local/link_recipe.sh", checkout, ours], ROOT)
    stages = re.search(r"stage (\d+) and packing stage (\d+) here", linked)
    decoding, packing = map(int, stages.groups())
    recipe = checkout / RECIPE
    tts_sh = (recipe / "tts.sh").read_text(encoding="utf-8")
    no_skip = "--skip_packing" if "\nskip_packing=" in tts_sh else "--skip_upload_hf"

    def run_stages(first: int, last: int, *options: str) -> None:
        stages = ["--stage", str(first), "--stop-stage", str(last), "--tag", "up"]
        run(["./run.sh", *stages, "--train_args", "--max_epoch 1", *options], recipe)

    run_stages(1, decoding - 2)
    audio = take_audio_away(recipe)
    run_stages(decoding - 1, decoding)
    run_stages(packing, packing, no_skip, "false")
    yield Finished(recipe, audio)
    shutil.rmtree(checkout)


def test_upstream_statistics_are_the_latents_of_the_audio(finished):
    feats = finished.read_scp(f"{STATS}/valid/collect_feats/feats.scp")
    assert feats.keys() == finished.audio.keys()
    codec = load_codec(str(finished.folder / "downloads/mini_base"))
    for key, path in feats.items():
        dumped = np.load(finished.folder / path)
        wanted = codec.encode(torch.from_numpy(finished.audio[key]))
        np.testing.assert_allclose(dumped, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["train", "valid"])
def test_upstream_speech_shape_counts_frames(finished, name):
    feats = finished.read_scp(f"{STATS}/{name}/collect_feats/feats.scp")
    frames = {key: len(np.load(finished.folder / p)) for key, p in feats.items()}
    shapes = finished.read_scp(f"{STATS}/{name}/speech_shape")
    assert {key: int(shape) for key, shape in shapes.items()} == frames
    assert frames.keys() == finished.read_scp(f"dump/raw/{name}/text").keys()
    samples = finished.read_scp(f"dump/raw/{name}/utt2num_samples")
    for key, count in frames.items():
        assert count == -(-int(samples[key]) // 3200)


def test_upstream_statistics_load_no_language_model(finished):
    log = (finished.folder / STATS / "logdir/stats.1.log").read_text(encoding="utf-8")
    assert "Total Number of model parameters: 1.00" in log


def test_upstream_training_reads_latents(finished):
    log = (finished.folder / EXPERIMENT / "train.log").read_text(encoding="utf-8")
    for name in ("train", "valid"):
        scp = f"{STATS}/{name}/collect_feats/feats.scp"
        assert f'speech: {{"path": "{scp}", "type": "npy"}}' in log
    config = finished.folder / EXPERIMENT / "config.yaml"
    shapes = yaml.safe_load(config.read_text(encoding="utf-8"))["train_shape_file"]
    assert shapes == [f"{STATS}/train/text_shape", f"{STATS}/train/speech_shape"]


@pytest.mark.parametrize("name", ["train", "valid"])
def test_upstream_training_is_prompted_by_the_same_speaker(finished, name):
    utt2spk = finished.read_scp(f"dump/raw/{name}/utt2spk")
    prompts = finished.read_scp(f"{EXPERIMENT}/utt2prompt.{name}")
    assert prompts.keys() == utt2spk.keys()
    for utt_id, prompt in prompts.items():
        assert utt2spk[prompt] == utt2spk[utt_id]
        is_alone = list(utt2spk.values()).count(utt2spk[utt_id]) == 1
        assert (prompt == utt_id) == is_alone


def test_upstream_decodes_the_whole_test_set(finished):
    (wav_scp,) = (finished.folder / EXPERIMENT).glob("decode_*/test/wav/wav.scp")
    wavs = finished.read_scp(str(wav_scp.relative_to(finished.folder)))
    assert wavs.keys() == finished.read_scp("data/test/text").keys()
    assert len(wavs) == SENTENCES["test"]
    for path in wavs.values():
        samples, rate = soundfile.read(finished.folder / path)
        assert rate == 24000
        assert len(samples) > 0 and len(samples) % 3200 == 0
        assert np.abs(samples).max() > 0


def test_upstream_packs_model_and_base(finished):
    (archive,) = (finished.folder / EXPERIMENT).glob("*.zip")
    with zipfile.ZipFile(archive) as packed:
        names = set(packed.namelist())
    assert {f"{EXPERIMENT}/config.yaml", "downloads/mini_base/config.json"} <= names
    assert any(name.endswith(".pth") for name in names)
