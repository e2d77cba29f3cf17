"""What both families need to learn four utterances by heart through ESPnet's trainer.

A folder of the run holds ``base``, ``data`` (texts, latents and other features) and
``exp``; a test loads from it what it needs.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import torch
import yaml
from espnet2.tts.abs_tts import AbsTTS
from torch import Tensor

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

# \u200c is ZERO WIDTH NON-JOINER. A token is a byte, so there are one window of text
# and several.
TEXTS = {
    "f_1": "سلام",
    "f_2": "هوا خوب است",
    "m_1": "می\u200cرود",
    "m_2": "کتاب من",
}
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.05,
}
MAX_LEARNING_RATE = 3e-3
TRAINING = {
    "token_type": "hugging_face",
    "normalize": "none",
    "feats_extract": "vibevoice_latents",
    "batch_type": "unsorted",
    "batch_size": len(TEXTS),
    "num_workers": 0,
    "optim": "adamw",
    "optim_conf": {"lr": MAX_LEARNING_RATE},
    "grad_clip": 1.0,
    "scheduler": "onecyclelr",
    "keep_nbest_models": 1,
    "num_att_plot": 0,
    "use_tensorboard": False,
    "use_matplotlib": False,
    "ngpu": 0,
}
DRAWS = 64  # noise draws per frame in the evaluation


def widen_original(tiny_base: Path, num_layers: int) -> dict[str, Any]:
    """Read the original configuration of a tiny base, wide enough for four texts."""
    original = json.loads((tiny_base / "config.json").read_text(encoding="utf-8"))
    original["decoder_config"] |= {**SIZES, "num_hidden_layers": num_layers}
    original["diffusion_head_config"] |= {"hidden_size": 64, "head_layers": 3}
    return original


def write_data(folder: Path, **features: Mapping[str, Tensor]) -> None:
    """Write texts and tables of features as stage 5 leaves them.

    Args:
        folder (Path): Folder to make.
        features (dict): Table name (``feats``, ``semantic``) to features of each
            utterance (T_lat, D).
    """
    folder.mkdir()
    for name, table in features.items():
        arrays = {utt_id: value.numpy() for utt_id, value in table.items()}
        kaldiio.save_ark(f"{folder}/{name}.ark", arrays, scp=f"{folder}/{name}.scp")
    write_table(folder / "text", TEXTS)
    write_table(folder / "utt2spk", {utt_id: utt_id[0] for utt_id in TEXTS})
    frames = {utt_id: len(value) for utt_id, value in features["feats"].items()}
    write_table(folder / "speech_shape", frames)


def read_features(folder: Path, name: str) -> dict[str, Tensor]:
    """Read a table that `write_data` wrote below the folder of a run."""
    table = kaldiio.load_scp(f"{folder}/data/{name}.scp")
    return {utt_id: torch.from_numpy(np.array(table[utt_id])) for utt_id in TEXTS}


def train(tiny_base: Path, folder: Path, steps: tuple[int, int], **conf: Any) -> None:
    """Train as the recipe does, in this process.

    Args:
        tiny_base (Path): Where the tokenizer comes from.
        folder (Path): Holds ``base`` and ``data``; ``exp`` is made.
        steps (tuple[int, int]): Number of epochs and of steps in each.
        conf (dict): Further keys of the training configuration.
    """
    base, data, (epochs, per_epoch) = folder / "base", folder / "data", steps
    shutil.copy(tiny_base / "tokenizer.json", base)
    vocabulary = "\n".join(load_tokenizer(base).vocabulary()) + "\n"
    (data / "tokens.txt").write_text(vocabulary, encoding="utf-8")
    schedule = {"max_lr": MAX_LEARNING_RATE, "total_steps": epochs * per_epoch}
    counts = {"max_epoch": epochs, "num_iters_per_epoch": per_epoch}
    given = {**TRAINING, **counts, "scheduler_conf": schedule, **conf}
    config = data / "train.yaml"
    config.write_text(yaml.safe_dump(given), encoding="utf-8")
    words = [f"--config={config}", f"--output_dir={folder}/exp"]
    words += [f"--tts_conf=base={base}", f"--token_list={data}/tokens.txt"]
    for mode in ("train", "valid"):
        option = f"--{mode}_data_path_and_name_and_type"
        words += [f"{option}={data}/text,text,text"]
        words += [f"{option}={data}/feats.scp,speech,kaldi_ark"]
        words += [f"--{mode}_shape_file={data}/speech_shape"]
    VibeVoiceTTSTask.main(cmd=words)


def load_models(folder: Path) -> tuple[AbsTTS, AbsTTS]:
    """Load the model of the base and that of the last epoch."""
    config = folder / "exp/config.yaml"
    untrained, trained = (
        VibeVoiceTTSTask.build_model_from_file(config, path, "cpu")[0].tts.eval()
        for path in (None, folder / "exp/latest.pth")
    )
    return untrained, trained


def read_prompts(folder: Path) -> dict[str, str]:
    """Read who prompted whom in training."""
    return read_table(folder / "exp/utt2prompt.train")
