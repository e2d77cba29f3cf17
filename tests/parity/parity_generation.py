"""Recompute the voice prompt and the generation of a parity folder."""

import contextlib
from collections.abc import Iterator

import torch
from parity_folder import ParitySettings, Tensors
from torch import Tensor

from espnet_vibevoice.models.generation import (
    FrameStep,
    GenerationResult,
    GenerationSettings,
    generate,
    generate_frames,
)
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.voice_prompt import (
    BRANCHES,
    VoicePrompt,
    build_voice_prompt,
)


def build_prompt(
    model: RealtimeModel, inputs: Tensors, settings: ParitySettings
) -> VoicePrompt:
    """Build the voice prompt from its frames and its transcript."""
    return build_voice_prompt(
        model,
        model.unscale_latents(inputs["voice.prompt_latents"][0]),
        inputs["voice.prompt_text_ids"][0],
        settings.prompt_text_type,
    )


def flatten_prompt(prompt: VoicePrompt) -> Tensors:
    """Bring the outputs of a prompt under the keys of ``voice``."""
    outputs = {}
    for name in BRANCHES:
        branch = getattr(prompt, name)
        outputs[f"voice.{name}.last_hidden_state"] = branch.last_hidden_state
        for layer, (keys, values) in enumerate(
            zip(branch.keys, branch.values, strict=True)
        ):
            outputs[f"voice.{name}.key_cache.{layer}"] = keys
            outputs[f"voice.{name}.value_cache.{layer}"] = values
    return outputs


def compute_generation(
    model: RealtimeModel,
    inputs: Tensors,
    settings: ParitySettings,
    prompt: VoicePrompt,
) -> Tensors:
    """Compute ``gen`` and ``gen_eos``: generation after a voice prompt."""
    with replace_eos_bias(model, torch.zeros(())):
        steps = run_frames(model, inputs, settings, prompt)
    with replace_eos_bias(model, inputs["gen.eos_bias"]):
        endless = run_generation(model, inputs, settings, prompt)
    with replace_eos_bias(model, inputs["gen_eos.eos_bias"]):
        ended = run_generation(model, inputs, settings, prompt)
    latents = torch.stack([step.latent for step in steps])
    avoided = [step.negative_condition for step in steps]
    if settings.cfg_scale == 1:
        avoided = follow_negative(model, latents, prompt)
    num_frames = len(ended.latents)
    # The reference samples on to the end of the window that speech ends in.
    sampled = -(-num_frames // settings.speech_window) * settings.speech_window
    kept = model.scale_latents(ended.latents)
    return {
        "gen.latents": latents,
        "gen.condition": torch.stack([step.condition for step in steps]),
        "gen.neg_condition": torch.stack(avoided),
        "gen.eos_logit_without_bias": torch.stack([step.eos_logit for step in steps]),
        "gen.waveform": endless.waveform,
        "gen_eos.frame_index": torch.tensor(num_frames - 1),
        "gen_eos.num_samples": torch.tensor(len(ended.waveform)),
        "gen_eos.latents": torch.cat([kept, latents[num_frames:sampled]]),
    }


def follow_negative(
    model: RealtimeModel, latents: Tensor, prompt: VoicePrompt
) -> list[Tensor]:
    """Feed the negative branch, which generation leaves out without guidance.

    Args:
        model (RealtimeModel): The model.
        latents (Tensor): Scaled latents (T_lat, D).
        prompt (VoicePrompt): Holds the branch's start.

    Returns:
        list[Tensor]: Hidden state before each frame, each (H,).
    """
    _, negative = prompt.to_branches()
    conditions = []
    for vector in model.acoustic_connector(latents)[:, None, None]:
        conditions.append(negative.hidden[0])
        negative.feed_frame(model, vector)
    return conditions


def run_frames(
    model: RealtimeModel,
    inputs: Tensors,
    settings: ParitySettings,
    prompt: VoicePrompt,
) -> list[FrameStep]:
    """Make as many frames as there is noise for."""
    frames = generate_frames(
        model,
        inputs["gen.text_ids"][0],
        build_generation_settings(inputs, settings),
        noise=inputs["gen.noise"][:, 0],
        branches=prompt.to_branches(),
    )
    return list(frames)


def run_generation(
    model: RealtimeModel,
    inputs: Tensors,
    settings: ParitySettings,
    prompt: VoicePrompt,
) -> GenerationResult:
    """Speak until the classifier ends speech or the noise is used up."""
    return generate(
        model,
        inputs["gen.text_ids"][0],
        build_generation_settings(inputs, settings),
        noise=inputs["gen.noise"][:, 0],
        branches=prompt.to_branches(),
    )


def build_generation_settings(
    inputs: Tensors, settings: ParitySettings
) -> GenerationSettings:
    """Settings of generation whose caps lie behind the end of the noise."""
    cap = len(inputs["gen.noise"]) + 1
    return GenerationSettings(
        cfg_scale=settings.cfg_scale,
        num_sampling_steps=settings.num_sampling_steps,
        max_frames_per_token=cap,
        max_frames=cap,
        text_window=settings.text_window,
        speech_window=settings.speech_window,
    )


@contextlib.contextmanager
def replace_eos_bias(model: RealtimeModel, bias: Tensor) -> Iterator[None]:
    """Give the end-of-speech classifier another bias for a while.

    Args:
        model (RealtimeModel): The model.
        bias (Tensor): New bias ().
    """
    parameter = model.tts_eos_classifier.fc2.bias
    before = parameter.detach().clone()
    try:
        parameter.data.fill_(float(bias))
        yield
    finally:
        parameter.data.copy_(before)
