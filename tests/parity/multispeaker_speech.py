"""Recompute the generation of a multi-speaker folder."""

import itertools

import torch
from multispeaker_settings import MultispeakerSettings
from parity_folder import Tensors
from torch import Tensor

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_draws import LatentNoise, add_latent_noise
from espnet_vibevoice.models.multispeaker_script import PromptLayout
from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch
from espnet_vibevoice.models.script_loop import run_script_loop
from espnet_vibevoice.models.script_prompt import ScriptPrompt, make_row
from espnet_vibevoice.models.script_row import ScriptStep


def compute_generation(
    model: MultispeakerModel, inputs: Tensors, settings: MultispeakerSettings
) -> Tensors:
    """Compute ``gen``.

    Args:
        model (MultispeakerModel): The model.
        inputs (Tensors): Inputs.
        settings (MultispeakerSettings): Guidance, steps, limit.

    Returns:
        Tensors: Output of each key.
    """
    prompt = build_prompt(model, inputs)
    steps = run_steps(model, [prompt], inputs, settings)[0]
    outputs = collect_steps(steps)
    if settings.cfg_scale == 1:  # generation does without the negative branch
        outputs["gen.neg_condition"] = follow_negative(
            model,
            outputs["gen.tokens"],
            outputs["gen.latents"],
            outputs["gen.semantic"],
        )
    return outputs


def collect_steps(steps: list[ScriptStep]) -> Tensors:
    """Bring the steps of a script under the keys of ``gen``."""
    frames = [step.frame for step in steps if step.frame is not None]
    outputs = {
        "tokens": torch.tensor([step.token for step in steps]),
        "token_scores_start_end_diffusion_eos": torch.stack(
            [step.scores for step in steps]
        ),
    }
    if frames:
        outputs |= {
            "latents": torch.stack([frame.latent for frame in frames]),
            "condition": torch.stack([frame.condition for frame in frames]),
            "semantic": torch.stack([frame.semantic_features for frame in frames]),
            "waveform": torch.cat([frame.waveform for frame in frames]),
        }
    avoided = [frame.negative_condition for frame in frames]
    if avoided and avoided[0] is not None:
        outputs["neg_condition"] = torch.stack(avoided)
    return {f"gen.{key}": value for key, value in outputs.items()}


def build_prompt(model: MultispeakerModel, inputs: Tensors) -> ScriptPrompt:
    """Bring ids and sampled voices together."""
    mean = torch.stack(
        [model.acoustic_tokenizer.encode(row) for row in inputs["gen.speech_tensors"]]
    )
    rows = torch.zeros(len(mean), dtype=torch.long)
    batch = MultispeakerBatch(rows[:, None], rows, mean, mean, rows)
    draws = inputs["gen.rand.vae_std_draw"][:, None, None]
    noise = LatentNoise(draws * inputs["gen.rand.vae_noise"])
    latents = add_latent_noise(batch, noise, model.config.latent_std).latents
    voices = [
        voice[mask]
        for voice, mask in zip(latents, inputs["gen.speech_masks"], strict=True)
    ]
    real = inputs["gen.attention_mask"][0] == 1
    layout = PromptLayout(
        inputs["gen.input_ids"][0, real], inputs["gen.speech_input_mask"][0, real]
    )
    return ScriptPrompt(layout, tuple(voices), len(layout.ids))


def build_script_settings(
    inputs: Tensors, settings: MultispeakerSettings
) -> ScriptSettings:
    """Settings of generation whose caps lie behind what the folder can reach."""
    cap = len(inputs["gen.noise"])
    return ScriptSettings(
        cfg_scale=settings.cfg_scale,
        num_sampling_steps=settings.num_sampling_steps,
        max_frames_per_token=cap,
        max_frames=cap,
        max_control_tokens=settings.max_new_tokens,
    )


def run_steps(
    model: MultispeakerModel,
    prompts: list[ScriptPrompt],
    inputs: Tensors,
    settings: MultispeakerSettings,
) -> list[list[ScriptStep]]:
    """Speak prompts side by side, all from the noise of the folder.

    Args:
        model (MultispeakerModel): The model.
        prompts (list[ScriptPrompt]): The prompts (B,).
        inputs (Tensors): Inputs.
        settings (MultispeakerSettings): Guidance, steps, limit.

    Returns:
        list[list[ScriptStep]]: Steps of each prompt, without any that a limit forbids.
    """
    options = build_script_settings(inputs, settings)
    noise = inputs["gen.noise"][:, 0]
    rows = [make_row(model, prompt, options, noise=noise) for prompt in prompts]
    steps: list[list[ScriptStep]] = [[] for _ in prompts]
    loop = run_script_loop(model, rows, options)
    for made in itertools.islice(loop, settings.max_new_tokens):
        for step in made:
            if not step.limit:
                steps[step.row].append(step)
    return steps


def follow_negative(
    model: MultispeakerModel, tokens: Tensor, latents: Tensor, semantic: Tensor
) -> Tensor:
    """Run the negative branch over frames that are known, a segment in one pass.

    Args:
        model (MultispeakerModel): The model.
        tokens (Tensor): Tokens of the output (T,).
        latents (Tensor): Scaled latents (T_lat, D).
        semantic (Tensor): Semantic features (T_lat, D_sem).

    Returns:
        Tensor: Hidden state of the branch before each frame (T_lat, H).
    """
    known = model.get_tokens()
    start = model.embed_text(torch.tensor([known.speech_start]))
    frames = iter(model.embed_frames(latents, semantic))
    read, places, states = [start[0]], [], []
    latest, is_read = start[0], True
    for token in [*tokens.tolist(), known.speech_start]:
        if token == known.speech_start:
            if places:
                states.append(model.run_sequence(torch.stack(read)[None])[0, places])
            read, places, latest, is_read = [start[0]], [], start[0], True
        elif token == known.speech_diffusion:
            read += [] if is_read else [latest]
            places.append(len(read) - 1)
            latest, is_read = next(frames), False
        else:
            latest = model.embed_text(torch.tensor(token))
    return torch.cat(states)
