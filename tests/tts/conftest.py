"""A tiny corpus, and ESPnet's task, model and training on it, in this process."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.data.kaldi import write_table
from espnet_vibevoice.text.tokenizer import load_tokenizer

TEXTS = {"u1": "سلام", "u2": "هوا", "u3": "خوب است"}
FRAMES = {"u1": 4, "u2": 3, "u3": 6}
TRAIN_CONFIG = Path(__file__).parents[2] / "egs2/mini_fa/tts1/conf/train.yaml"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums in one order, and no fight for the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def corpus(tiny_base, tmp_path_factory):
    """Three utterances of 3 to 6 frames at 24 kHz, and the token list of the base."""
    folder = tmp_path_factory.mktemp("corpus")
    for index, (utt_id, frames) in enumerate(FRAMES.items()):
        noise = np.random.default_rng(index).normal(0, 0.05, 3200 * frames - 7)
        soundfile.write(folder / f"{utt_id}.wav", noise, 24000)
    write_table(folder / "wav.scp", {u: folder / f"{u}.wav" for u in TEXTS})
    write_table(folder / "text", TEXTS)
    write_table(folder / "utt2spk", {"u1": "s1", "u2": "s1", "u3": "s2"})
    tokens = "\n".join(load_tokenizer(tiny_base).vocabulary())
    (folder / "tokens.txt").write_text(tokens + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make_args(corpus, tiny_base):
    """Parse options of the task as the stages of a recipe give them."""
    from espnet_vibevoice.tts.task import VibeVoiceTTSTask

    def make(output_dir, *words) -> Namespace:
        options = ["--config", TRAIN_CONFIG, "--output_dir", output_dir, "--ngpu", 0]
        options += ["--token_list", corpus / "tokens.txt", "--num_workers", 0]
        options += ["--token_type", "hugging_face", "--normalize", "none"]
        options += ["--feats_extract", "vibevoice_latents", "--use_tensorboard", "no"]
        options += ["--feats_extract_conf", "hop_length=3200", "--max_epoch", 1]
        options += ["--num_att_plot", 0]
        for mode in ("train", "valid"):
            key = f"--{mode}_data_path_and_name_and_type"
            options += [key, f"{corpus}/text,text,text"]
            options += [key, f"{corpus}/wav.scp,speech,sound"]
        options += ["--tts_conf", f"base={tiny_base}", *words]
        return VibeVoiceTTSTask.get_parser().parse_args([str(o) for o in options])

    return make


@pytest.fixture(scope="session")
def stats_dir(make_args, tmp_path_factory):
    """What the statistics stage writes for the corpus."""
    from espnet_vibevoice.tts.task import VibeVoiceTTSTask

    folder = tmp_path_factory.mktemp("stats")
    words = ["--collect_stats", "yes", "--write_collected_feats", "yes"]
    VibeVoiceTTSTask.main(make_args(folder, *words, "--batch_size", 2))
    return folder


@pytest.fixture(scope="session")
def make_train_args(make_args, stats_dir):
    """Parse options of a training on what the statistics stage wrote."""

    def make(output_dir, *words) -> Namespace:
        shapes = []
        for mode in ("train", "valid"):
            for name in ("text_shape", "speech_shape"):
                shapes += [f"--{mode}_shape_file", stats_dir / mode / name]
        return make_args(output_dir, *shapes, *words)

    return make
