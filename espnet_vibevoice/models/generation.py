"""Step-by-step generation: windows of text, then frames, until speech ends.

Two branches run side by side, each with its own cache: one reads text and frames, the
other the negative prompt and the same frames. Before every frame the diffusion head is
guided from the second to the first. A caller may start from branches that have already
read a voice prompt. The loop always ends: a cap grows with the text.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import DynamicCache

from espnet_vibevoice.models.diffusion import GuidedSampler
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.sequence import (
    SPEECH_TYPE,
    TEXT_TYPE,
    validate_windows,
)


@dataclass(frozen=True)
class GenerationSettings:
    """How speech is generated.

    Args:
        cfg_scale (float): Guidance; more follows the text harder.
        num_sampling_steps (int): Diffusion steps per frame; more is slower.
        eos_threshold (float): Probability above which speech ends; more ends later.
        max_frames_per_token (float): Cap on the frames per text token.
        max_frames (int): Cap on all frames (7.5 of them are one second).
        text_window (int): Text tokens per window, as in training.
        speech_window (int): Frames per window, as in training.
    """

    cfg_scale: float = 1.5
    num_sampling_steps: int = 5
    eos_threshold: float = 0.5
    max_frames_per_token: float = 6.0
    max_frames: int = 2000
    text_window: int = 5
    speech_window: int = 6

    def count_max_frames(self, num_tokens: int) -> int:
        """Frames after which a text is given up, at least one window.

        Args:
            num_tokens (int): Length of the text.
        """
        cap = max(self.speech_window, math.ceil(self.max_frames_per_token * num_tokens))
        return min(cap, self.max_frames)


@dataclass(frozen=True)
class GenerationResult:
    """One generated utterance.

    Args:
        latents (Tensor): Unscaled latents (T_lat, D).
        waveform (Tensor): Waveform (T_wav,), T_wav = T_lat * hop_samples.
        eos_probability (Tensor): Probability of the end at each frame (T_lat,).
        stopped_by_eos (bool): False if a cap ended it: the speech may be cut.
    """

    latents: Tensor
    waveform: Tensor
    eos_probability: Tensor
    stopped_by_eos: bool


@dataclass(frozen=True)
class FrameStep:
    """What one step of generation has made.

    Args:
        latent (Tensor): Scaled latent (D,).
        condition (Tensor): Hidden state that it was made under (H,).
        negative_condition (Tensor): The other branch's hidden state (H,).
        eos_logit (Tensor): Classifier's logit once the frame is fed, ().
    """

    latent: Tensor
    condition: Tensor
    negative_condition: Tensor
    eos_logit: Tensor


@dataclass
class Branch:
    """What a branch has read so far.

    Args:
        text_cache (DynamicCache): Keys and values of the lower part.
        cache (DynamicCache): Keys and values of the upper part.
        hidden (Tensor | None): Hidden state of the last position (1, H); None before
            anything is read.
    """

    text_cache: DynamicCache = field(default_factory=DynamicCache)
    cache: DynamicCache = field(default_factory=DynamicCache)
    hidden: Tensor | None = None

    def feed_text(self, model: RealtimeModel, ids: Tensor) -> None:
        """Read text tokens.

        Args:
            model (RealtimeModel): The model.
            ids (Tensor): Token ids (1, T).
        """
        lower = model.language_model(
            input_ids=ids, past_key_values=self.text_cache, use_cache=True
        )
        self._feed(model, lower.last_hidden_state, TEXT_TYPE)

    def feed_frame(self, model: RealtimeModel, vector: Tensor) -> None:
        """Read one frame.

        Args:
            model (RealtimeModel): The model.
            vector (Tensor): Connector's output (1, 1, H).
        """
        self._feed(model, vector, SPEECH_TYPE)

    def _feed(self, model: RealtimeModel, vectors: Tensor, type_id: int) -> None:
        """Run the upper part on new positions of one type (1, T, H)."""
        upper = model.tts_language_model(
            inputs_embeds=vectors + model.tts_input_types.weight[type_id],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.hidden = upper.last_hidden_state[:, -1]


def start_branches(model: RealtimeModel) -> tuple[Branch, Branch]:
    """Make the branches of an utterance without a voice prompt.

    Args:
        model (RealtimeModel): The model.

    Returns:
        tuple[Branch, Branch]: The empty branch, and the negative one, which has read
            the negative prompt.

    Raises:
        RuntimeError: If the model does not know its negative prompt.
    """
    negative = Branch()
    device = model.tts_input_types.weight.device
    prompt = torch.tensor([[model.get_negative_prompt_id()]], device=device)
    negative.feed_text(model, prompt)
    return Branch(), negative


@torch.no_grad()
def generate_frames(
    model: RealtimeModel,
    text_ids: Tensor,
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
    branches: tuple[Branch, Branch] | None = None,
) -> Iterator[FrameStep]:
    """Make frame after frame, without an end: the caller decides when to stop.

    Args:
        model (RealtimeModel): The model.
        text_ids (Tensor): Token ids, int64 (T_text,).
        settings (GenerationSettings): Windows, guidance and steps.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): Noise of the frames to make (T_max, D), in place of
            drawing; the iterator ends after T_max frames.
        branches (tuple[Branch, Branch] | None): Branches that have read a voice
            prompt; they are changed.

    Yields:
        FrameStep: The next frame.

    Raises:
        ValueError: If there is no text or a window is below 1.
    """
    validate_windows(settings.text_window, settings.speech_window)
    if text_ids.dim() != 1 or len(text_ids) == 0:
        raise ValueError(
            f"text_ids: got shape {tuple(text_ids.shape)}, wanted (T_text,) with at "
            "least one token. Give one text at a time."
        )
    sampler = GuidedSampler(
        settings.num_sampling_steps,
        settings.cfg_scale,
        model.schedule.num_train_timesteps,
    )
    positive, negative = start_branches(model) if branches is None else branches
    text_ids = text_ids.to(model.tts_input_types.weight.device)
    windows = iter(text_ids.split(settings.text_window))
    frame = 0
    while noise is None or frame < len(noise):
        if frame % settings.speech_window == 0:
            window = next(windows, None)
            if window is not None:
                positive.feed_text(model, window[None])
        start = _draw_start(model, generator) if noise is None else noise[frame][None]
        yield _make_frame(model, sampler, positive, negative, start)
        frame += 1


def _draw_start(model: RealtimeModel, generator: torch.Generator | None) -> Tensor:
    """Draw the noise of one frame (1, D)."""
    device = generator.device if generator is not None else "cpu"
    return torch.randn(1, model.config.latent_dim, generator=generator, device=device)


def _make_frame(
    model: RealtimeModel,
    sampler: GuidedSampler,
    positive: Branch,
    negative: Branch,
    noise: Tensor,
) -> FrameStep:
    """Sample one frame from its noise (1, D) and feed it to both branches."""
    condition, avoided = positive.hidden, negative.hidden
    latent = sampler.sample(
        model.prediction_head, condition, avoided, noise.to(condition.device)
    )
    vector = model.acoustic_connector(latent.to(condition.dtype))[None]  # (1, 1, H)
    positive.feed_frame(model, vector)
    negative.feed_frame(model, vector)
    return FrameStep(
        latent=latent[0],
        condition=condition[0],
        negative_condition=avoided[0],
        eos_logit=model.tts_eos_classifier(positive.hidden)[0].float(),
    )


@torch.no_grad()
def generate(
    model: RealtimeModel,
    text_ids: Tensor,
    settings: GenerationSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
    branches: tuple[Branch, Branch] | None = None,
) -> GenerationResult:
    """Speak one text; the frame that ends speech is kept.

    Args:
        model (RealtimeModel): The model.
        text_ids (Tensor): Token ids, int64 (T_text,).
        settings (GenerationSettings): All settings.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): See `generate_frames`.
        branches (tuple[Branch, Branch] | None): See `generate_frames`.

    Returns:
        GenerationResult: Latents and audio.

    Raises:
        ValueError: If there is no text or a setting is out of range.
    """
    max_frames = settings.count_max_frames(len(text_ids))
    if max_frames < 1:
        raise ValueError(
            f"max_frames {settings.max_frames}: no frame may be made. Raise it."
        )
    frames = generate_frames(
        model, text_ids, settings, generator, noise=noise, branches=branches
    )
    latents, probabilities, stopped = [], [], False
    for step in frames:
        latents.append(step.latent)
        probabilities.append(step.eos_logit.sigmoid())
        stopped = bool(probabilities[-1] > settings.eos_threshold)
        if stopped or len(latents) == max_frames:
            break
    unscaled = model.unscale_latents(torch.stack(latents))
    return GenerationResult(
        latents=unscaled,
        waveform=model.acoustic_tokenizer.decode(unscaled),
        eos_probability=torch.stack(probabilities),
        stopped_by_eos=stopped,
    )
