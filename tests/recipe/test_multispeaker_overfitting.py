"""Four utterances of two speakers learnt by heart, then spoken to the right end.

If prompts, conditions, semantic features, voices or control tokens were laid out
wrongly anywhere between the data files and generation, the texts could not be said
again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from espnet_vibevoice.models.codec_stream import DecoderStream, EncoderStream
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import parse_multispeaker_config
from espnet_vibevoice.models.multispeaker_generation import generate_script
from espnet_vibevoice.models.multispeaker_losses import MultispeakerLosses
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch
from espnet_vibevoice.tts.decoding_prompt import make_prompt
from espnet_vibevoice.tts.multispeaker import VibeVoiceMultispeakerTTS
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

FRAMES = {"f_1": 4, "f_2": 11, "m_1": 6, "m_2": 8}
STEPS = (2, 400)  # epochs, steps in each
SETTINGS = {
    "strategy": "full",
    "ddpm_batch_mul": 16,
    "sample_latents": False,
    "voice_prompt_drop_rate": 0.5,
}


@dataclass(frozen=True)
class Overfitted:
    """A model before and after training, and what it was trained on.

    Args:
        untrained (VibeVoiceMultispeakerTTS): Model of the base.
        trained (VibeVoiceMultispeakerTTS): Model of the last epoch.
        latents (dict[str, Tensor]): Latents of each utterance (T_lat, D).
        semantic (dict[str, Tensor]): Semantic features of their sound (T_lat, D_sem).
        tokens (dict[str, Tensor]): Prompt of each without voices (T_text,).
        prompts (dict[str, str]): Who prompted whom.
    """

    untrained: VibeVoiceMultispeakerTTS
    trained: VibeVoiceMultispeakerTTS
    latents: dict[str, torch.Tensor]
    semantic: dict[str, torch.Tensor]
    tokens: dict[str, torch.Tensor]
    prompts: dict[str, str]


def write_base(tiny_base: Path, folder: Path) -> MultispeakerModel:
    """Write a base that can learn four texts, with the codec of the tiny one."""
    codec = load_model(str(tiny_base))
    config = parse_multispeaker_config(widen_original(tiny_base, 3), codec.tokens)
    model = MultispeakerModel.from_config(config, seed=0)
    kept = ("acoustic_tokenizer.", "semantic_tokenizer.", "speech_")
    state = {n: v for n, v in codec.state_dict().items() if n.startswith(kept)}
    assert not model.load_state_dict(state, strict=False).unexpected_keys
    model.save(folder)
    return model


@torch.no_grad()
def make_features(
    model: MultispeakerModel,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Draw random latents; return them and the semantic features of their sound."""
    generator = torch.Generator().manual_seed(0)
    latents, semantic = {}, {}
    for utt_id, count in FRAMES.items():
        drawn = torch.randn(count, model.config.latent_dim, generator=generator)
        latents[utt_id] = model.unscale_latents(drawn)
        sound = DecoderStream(model.acoustic_tokenizer.decoder).decode(
            latents[utt_id][None]
        )
        stream = EncoderStream(model.semantic_tokenizer.encoder)
        semantic[utt_id] = stream.encode(sound)[0]
    return latents, semantic


def learn(tiny_base: Path, folder: Path) -> None:
    """Write base and data; train."""
    model = write_base(tiny_base, folder / "base")
    latents, semantic = make_features(model)
    write_data(folder / "data", feats=latents, semantic=semantic)
    train(tiny_base, folder, STEPS, tts="vibevoice", tts_conf=SETTINGS)


@pytest.fixture(scope="module")
def overfitted(
    tiny_multispeaker_base: Path, make_once: Callable[..., Path]
) -> Overfitted:
    """Train once for all workers; tests must not change the models."""
    folder = make_once(
        "multispeaker_overfitting",
        lambda folder: learn(tiny_multispeaker_base, folder),
    )
    untrained, trained = load_models(folder)
    encode = trained.tokenizer.encode
    return Overfitted(
        untrained,
        trained,
        latents=read_features(folder, "feats"),
        semantic=read_features(folder, "semantic"),
        tokens={key: torch.tensor(encode(text)) for key, text in TEXTS.items()},
        prompts=read_prompts(folder),
    )


@torch.no_grad()
def evaluate(
    tts: VibeVoiceMultispeakerTTS, overfitted: Overfitted
) -> MultispeakerLosses:
    """Compute the losses of the four utterances under fixed draws."""
    tables = (overfitted.tokens, overfitted.latents, overfitted.semantic)
    tokens, latents, semantic = (list(table.values()) for table in tables)
    batch = MultispeakerBatch(
        pad_sequence(tokens, batch_first=True),
        torch.tensor([len(ids) for ids in tokens]),
        pad_sequence(latents, batch_first=True),
        pad_sequence(semantic, batch_first=True),
        torch.tensor([len(frames) for frames in latents]),
    )
    return tts.model.compute_losses(
        batch,
        replace(tts.loss_settings, ddpm_batch_mul=DRAWS, uncond_rate=0.0),
        generator=torch.Generator().manual_seed(1),
    )


def test_overfitting_diffusion_loss_falls_below_a_twentieth(overfitted):
    before = evaluate(overfitted.untrained, overfitted)
    after = evaluate(overfitted.trained, overfitted)
    assert after.diffusion_loss < 0.05 * before.diffusion_loss
    assert after.stop_accuracy == 1.0


@pytest.mark.parametrize("is_prompted", [False, True])
@pytest.mark.parametrize("utt_id", TEXTS)
def test_overfitting_generation_repeats_the_utterance(overfitted, utt_id, is_prompted):
    tts, voices = overfitted.trained, []
    if is_prompted:
        prompt_id = overfitted.prompts[utt_id]
        assert prompt_id != utt_id and prompt_id[0] == utt_id[0]
        voices = [overfitted.latents[prompt_id]]
    result = generate_script(
        tts.model,
        make_prompt(tts.tokenizer, overfitted.tokens[utt_id], voices),
        tts.generation_settings,
        torch.Generator().manual_seed(2),
    )
    control = tts.model.get_tokens()
    wanted = overfitted.latents[utt_id]
    frames = [control.speech_diffusion] * len(wanted)
    assert result.stopped_by_end
    assert result.tokens.tolist() == [*frames, control.speech_end, control.end_of_text]
    scaled = [tts.model.scale_latents(x).flatten() for x in (result.latents, wanted)]
    assert torch.corrcoef(torch.stack(scaled))[0, 1] > 0.9
