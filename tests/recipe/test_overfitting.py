"""Four utterances learnt by heart through ESPnet's trainer, then spoken.

If targets, conditions, windows, prompts or the end of speech were laid out wrongly
anywhere between the data files and generation, the texts could not be said again.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch
import yaml
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import generate, start_branches
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import build_voice_prompt
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

# \u200c is ZERO WIDTH NON-JOINER. A token is a byte, so there are one window of text
# and several; speech ends inside a window, and with one.
TEXTS = {
    "f_1": "سلام",
    "f_2": "هوا خوب است",
    "m_1": "می\u200cرود",
    "m_2": "کتاب من",
}
FRAMES = {"f_1": 9, "f_2": 24, "m_1": 13, "m_2": 17}
LATENT_DIM = 4
SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 2,
    "initializer_range": 0.05,
}
EPOCHS, STEPS_PER_EPOCH = 3, 400
TRAINING = {
    "tts": "vibevoice_realtime",
    "tts_conf": {
        "strategy": "conservative",
        "ddpm_batch_mul": 16,
        "prompt_drop_rate": 0.5,
    },
    "token_type": "hugging_face",
    "normalize": "none",
    "feats_extract": "vibevoice_latents",
    "batch_type": "unsorted",
    "batch_size": len(TEXTS),
    "num_workers": 0,
    "max_epoch": EPOCHS,
    "num_iters_per_epoch": STEPS_PER_EPOCH,
    "optim": "adamw",
    "optim_conf": {"lr": 3e-3},
    "grad_clip": 1.0,
    "scheduler": "onecyclelr",
    "scheduler_conf": {"max_lr": 3e-3, "total_steps": EPOCHS * STEPS_PER_EPOCH},
    "keep_nbest_models": 1,
    "num_att_plot": 0,
    "use_tensorboard": False,
    "use_matplotlib": False,
    "ngpu": 0,
}
DRAWS = 64  # noise draws per frame in the evaluation


@dataclass(frozen=True)
class Overfitted:
    """A model before and after training, and what it was trained on.

    Args:
        untrained (VibeVoiceRealtimeTTS): Model of the base.
        trained (VibeVoiceRealtimeTTS): Model of the last epoch.
        latents (dict[str, Tensor]): Latents of each utterance (T_lat, D).
        tokens (dict[str, Tensor]): Token ids of each (T_text,).
        prompts (dict[str, str]): Who prompted whom.
    """

    untrained: VibeVoiceRealtimeTTS
    trained: VibeVoiceRealtimeTTS
    latents: dict[str, torch.Tensor]
    tokens: dict[str, torch.Tensor]
    prompts: dict[str, str]


def write_base(tiny_base: Path, folder: Path) -> None:
    """Write a base of random weights that can learn four texts by heart."""
    original = json.loads((tiny_base / "config.json").read_text(encoding="utf-8"))
    original["decoder_config"] |= SIZES
    original["diffusion_head_config"] |= {"hidden_size": 64, "head_layers": 3}
    config = parse_config(original, load_tokenizer(tiny_base).negative_prompt_id)
    RealtimeModel.from_config(config, seed=0).save(folder)
    shutil.copy(tiny_base / "tokenizer.json", folder)


def write_data(folder: Path) -> dict[str, torch.Tensor]:
    """Write a set of random latents of unit variance; return them."""
    generator = np.random.default_rng(0)
    latents = {
        utt_id: generator.standard_normal((count, LATENT_DIM)).astype(np.float32)
        for utt_id, count in FRAMES.items()
    }
    folder.mkdir()
    kaldiio.save_ark(f"{folder}/feats.ark", latents, scp=f"{folder}/feats.scp")
    write_table(folder / "text", TEXTS)
    write_table(folder / "utt2spk", {utt_id: utt_id[0] for utt_id in TEXTS})
    write_table(folder / "speech_shape", FRAMES)
    return {utt_id: torch.from_numpy(value) for utt_id, value in latents.items()}


def train(base: Path, data: Path, output: Path) -> None:
    """Train as the recipe does, in this process."""
    config = data / "train.yaml"
    config.write_text(yaml.safe_dump(TRAINING), encoding="utf-8")
    words = [f"--config={config}", f"--output_dir={output}", f"--tts_conf=base={base}"]
    words += [f"--token_list={data}/tokens.txt"]
    for mode in ("train", "valid"):
        words += [f"--{mode}_data_path_and_name_and_type={data}/text,text,text"]
        words += [f"--{mode}_data_path_and_name_and_type={data}/feats.scp,speech,"]
        words[-1] += "kaldi_ark"
        words += [f"--{mode}_shape_file={data}/speech_shape"]
    VibeVoiceTTSTask.main(cmd=words)


@pytest.fixture(scope="module")
def overfitted(tiny_base, tmp_path_factory) -> Overfitted:
    """Train; tests must not change the models."""
    folder = tmp_path_factory.mktemp("overfitting")
    write_base(tiny_base, folder / "base")
    latents = write_data(folder / "data")
    tokenizer = load_tokenizer(folder / "base")
    vocabulary = "\n".join(tokenizer.vocabulary()) + "\n"
    (folder / "data/tokens.txt").write_text(vocabulary, encoding="utf-8")
    train(folder / "base", folder / "data", folder / "exp")
    config = folder / "exp/config.yaml"
    models = [
        VibeVoiceTTSTask.build_model_from_file(config, path, "cpu")[0].tts.eval()
        for path in (None, folder / "exp/latest.pth")
    ]
    return Overfitted(
        *models,
        latents=latents,
        tokens={key: torch.tensor(tokenizer.encode(t)) for key, t in TEXTS.items()},
        prompts=read_table(folder / "exp/utt2prompt.train"),
    )


@torch.no_grad()
def evaluate(tts: VibeVoiceRealtimeTTS, overfitted: Overfitted):
    """Compute the losses of the four utterances under fixed draws."""
    tokens, latents = overfitted.tokens.values(), overfitted.latents.values()
    return tts.model.compute_losses(
        pad_sequence(list(tokens), batch_first=True),
        torch.tensor([len(ids) for ids in tokens]),
        pad_sequence(list(latents), batch_first=True),
        torch.tensor([len(frames) for frames in latents]),
        replace(tts.loss_settings, ddpm_batch_mul=DRAWS, uncond_rate=0.0),
        generator=torch.Generator().manual_seed(1),
    )


def test_overfitting_diffusion_loss_falls_below_a_twentieth(overfitted):
    before = evaluate(overfitted.untrained, overfitted)
    after = evaluate(overfitted.trained, overfitted)
    assert after.diffusion_loss < 0.05 * before.diffusion_loss
    assert after.eos_accuracy == 1.0


@pytest.mark.parametrize("is_prompted", [False, True])
@pytest.mark.parametrize("utt_id", TEXTS)
def test_overfitting_generation_repeats_the_utterance(overfitted, utt_id, is_prompted):
    tts, prompt = overfitted.trained, None
    if is_prompted:
        prompt_id = overfitted.prompts[utt_id]
        assert prompt_id != utt_id and prompt_id[0] == utt_id[0]
        prompt = build_voice_prompt(
            tts.model, overfitted.latents[prompt_id], overfitted.tokens[prompt_id]
        )
    result = generate(
        tts.model,
        overfitted.tokens[utt_id],
        tts.generation_settings,
        torch.Generator().manual_seed(2),
        branches=start_branches(tts.model, prompt),
    )
    wanted = overfitted.latents[utt_id]
    length = min(len(wanted), len(result.latents))
    pair = torch.stack([result.latents[:length].flatten(), wanted[:length].flatten()])
    assert result.stopped_by_eos
    assert abs(len(result.latents) - len(wanted)) <= 1
    assert torch.corrcoef(pair)[0, 1] > 0.9
