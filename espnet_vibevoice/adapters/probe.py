"""A fixed small input, and what a model of either family makes of it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from espnet_vibevoice.models.config import REALTIME_TYPE
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import MULTISPEAKER_TYPE
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.sequence import build_layout, gather_positions
from espnet_vibevoice.models.speech_model import SpeechModel

PROBE_TOKENS = 12
PROBE_FRAMES = 8
_TOKEN_STEP = 7919  # prime: the tokens are spread over any vocabulary
# Hidden states (1, T_seq, H), those before each frame and those at it (T_lat, H), and
# the scores that decide about the end of speech.
Outputs = tuple[Tensor, Tensor, Tensor]


@torch.no_grad()
def run_probe(model: SpeechModel) -> tuple[Tensor, Tensor, Tensor]:
    """Run a model on the fixed input.

    Args:
        model (SpeechModel): The model, in evaluation mode.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Hidden states (1, T_seq, H), velocities
            (T_lat, D) and the scores that decide about the end of speech (T_lat, ...),
            float32.

    Raises:
        RuntimeError: If it is in training mode.
    """
    if model.training:
        raise RuntimeError(
            "the probe was given a model in training mode, where dropout changes its "
            "outputs. Call model.eval() first."
        )
    device = model.language_model.embed_tokens.weight.device
    generator = torch.Generator().manual_seed(0)
    size = (2, PROBE_FRAMES, model.config.latent_dim)
    latents, noise = torch.randn(size, generator=generator).to(device)
    vocab_size = model.config.language_model.vocab_size
    ids = torch.arange(PROBE_TOKENS, device=device) * _TOKEN_STEP % vocab_size
    run_sequence = _SEQUENCES[model.config.model_type]
    hidden, condition, logits = run_sequence(model, ids[None], latents[None])
    steps = model.schedule.num_train_timesteps - 1
    timesteps = torch.linspace(0, steps, PROBE_FRAMES, device=device).round()
    velocity = model.prediction_head(noise.to(condition.dtype), timesteps, condition)
    return hidden.float(), velocity.float(), logits.float()


def _run_realtime(model: RealtimeModel, ids: Tensor, latents: Tensor) -> Outputs:
    """Read text and frames in windows; scores are the end-of-speech logits."""
    layout = build_layout(
        torch.tensor([PROBE_TOKENS], device=ids.device),
        torch.tensor([PROBE_FRAMES], device=ids.device),
        text_window=5,
        speech_window=6,
    )
    hidden = model.run_sequence(model.embed_text(ids), latents, layout)
    condition = gather_positions(hidden, layout.condition_positions)[0]
    spoken = gather_positions(hidden, layout.speech_positions)[0]
    return hidden, condition, model.tts_eos_classifier(spoken)


def _run_multispeaker(
    model: MultispeakerModel, ids: Tensor, latents: Tensor
) -> Outputs:
    """Read text, then frames; scores are those of the whole vocabulary."""
    size = (1, PROBE_FRAMES, model.config.semantic_dim)
    features = torch.randn(size, generator=torch.Generator().manual_seed(1))
    frames = model.embed_frames(latents, features.to(latents.device))
    hidden = model.run_sequence(torch.cat([model.embed_text(ids), frames], dim=1))
    condition = hidden[0, PROBE_TOKENS - 1 : -1]
    return hidden, condition, model.compute_logits(hidden[0, PROBE_TOKENS:])


_SEQUENCES: Mapping[str, Callable[[SpeechModel, Tensor, Tensor], Outputs]] = {
    REALTIME_TYPE: _run_realtime,
    MULTISPEAKER_TYPE: _run_multispeaker,
}
