"""Four utterances learnt by heart through ESPnet's trainer, then spoken.

If targets, conditions, windows, prompts or the end of speech were laid out wrongly
anywhere between the data files and generation, the texts could not be said again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.config import parse_config
from espnet_vibevoice.models.generation import generate, start_branches
from espnet_vibevoice.models.losses import RealtimeLosses
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import build_voice_prompt
from espnet_vibevoice.text.tokenizer import load_tokenizer
from espnet_vibevoice.tts.realtime import VibeVoiceRealtimeTTS
from tests.recipe.overfitting import (
    DRAWS,
    TEXTS,
    load_models,
    read_features,
    read_prompts,
    train,
    widen_original,
    write_data,
)

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

# Speech ends inside a window, and with one.
FRAMES = {"f_1": 9, "f_2": 24, "m_1": 13, "m_2": 17}
LATENT_DIM = 4
STEPS = (3, 200)  # epochs, steps in each
SETTINGS = {"strategy": "conservative", "ddpm_batch_mul": 16, "prompt_drop_rate": 0.5}


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


def learn(tiny_base: Path, folder: Path) -> None:
    """Write a base of random weights and random latents of unit variance; train."""
    tokenizer = load_tokenizer(tiny_base)
    config = parse_config(widen_original(tiny_base, 5), tokenizer.negative_prompt_id)
    RealtimeModel.from_config(config, seed=0).save(folder / "base")
    generator = torch.Generator().manual_seed(0)
    latents = {
        utt_id: torch.randn(count, LATENT_DIM, generator=generator)
        for utt_id, count in FRAMES.items()
    }
    write_data(folder / "data", feats=latents)
    train(tiny_base, folder, STEPS, tts="vibevoice_realtime", tts_conf=SETTINGS)


@pytest.fixture(scope="module")
def overfitted(tiny_base: Path, make_once: Callable[..., Path]) -> Overfitted:
    """Train once for all workers; tests must not change the models."""
    folder = make_once("overfitting", lambda folder: learn(tiny_base, folder))
    tokenizer = load_tokenizer(folder / "base")
    return Overfitted(
        *load_models(folder),
        latents=read_features(folder, "feats"),
        tokens={key: torch.tensor(tokenizer.encode(t)) for key, t in TEXTS.items()},
        prompts=read_prompts(folder),
    )


@torch.no_grad()
def evaluate(tts: VibeVoiceRealtimeTTS, overfitted: Overfitted) -> RealtimeLosses:
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
