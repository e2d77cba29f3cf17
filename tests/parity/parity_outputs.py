"""Recompute every output of a parity folder from its inputs.

Each function takes the inputs and gives back the outputs of one part under the keys of
``io.safetensors``. All arithmetic is that of the package: nothing of the model is
written a second time here.
"""

from dataclasses import replace

import torch
from diffusers import DPMSolverMultistepScheduler
from parity_folder import ParitySettings, Tensors
from parity_generation import build_prompt, compute_generation, flatten_prompt
from torch import Tensor, nn

from espnet_vibevoice.models.diffusion import GuidedSampler
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.sequence import SequenceLayout, build_layout
from espnet_vibevoice.models.streaming import StreamingDecoder
from espnet_vibevoice.models.voice_prompt import VoicePrompt


@torch.no_grad()
def compute_outputs(
    model: RealtimeModel,
    inputs: Tensors,
    settings: ParitySettings,
    stored_prompt: VoicePrompt | None = None,
) -> Tensors:
    """Compute all outputs.

    Args:
        model (RealtimeModel): Model of the folder.
        inputs (Tensors): Its input tensors; others are not looked at.
        settings (ParitySettings): Windows, guidance, numbers of steps.
        stored_prompt (VoicePrompt | None): Voice prompt that generation starts from;
            default the one that is built from the inputs.

    Returns:
        Tensors: Output of each key.
    """
    prompt = build_prompt(model, inputs, settings)
    spoken = prompt if stored_prompt is None else stored_prompt
    return {
        **compute_language_models(model, inputs, settings),
        **compute_head(model, inputs),
        **compute_schedule(model, inputs, settings),
        **compute_samples(model, inputs, settings),
        **compute_codec(model, inputs),
        **flatten_prompt(prompt),
        **compute_generation(model, inputs, settings, spoken),
    }


def compute_language_models(
    model: RealtimeModel, inputs: Tensors, settings: ParitySettings
) -> Tensors:
    """Compute ``lm``, ``tts``, ``tts_a`` and ``tts_b`` in one pass each."""
    text = model.embed_text(inputs["lm.input_ids"])  # (1, T_text, H)
    latents = inputs["tts.latents"]
    speech = model.acoustic_connector(latents)  # (1, T_lat, H)
    short = lay_out_short(settings)
    layout = lay_out_long(inputs, settings)
    short_hidden = model.run_sequence(
        text[:, : settings.short_text], latents[:, : settings.short_frames], short
    )
    hidden = model.run_sequence(text, latents, layout)
    is_text = layout.type_ids == 1
    # The layout counts frames after all text; the folder counts each on its own.
    source_index = layout.source_index - torch.where(is_text, 0, text.shape[1])
    inputs_embeds = layout.arrange(text, speech) + model.tts_input_types(
        layout.type_ids
    )
    return {
        "lm.last_hidden_state": text,
        "tts.connector_out": speech,
        "tts_a.type_mask": short.type_ids,
        "tts_a.hidden": short_hidden,
        "tts_a.eos_logits": model.tts_eos_classifier(short_hidden),
        "tts_b.type_mask": layout.type_ids,
        "tts_b.source_index": source_index,
        "tts_b.inputs_embeds": inputs_embeds,
        "tts_b.hidden": hidden,
        "tts_b.eos_logits": model.tts_eos_classifier(hidden),
        "tts_b.speech_positions": layout.speech_positions[0],
        "tts_b.condition_positions": layout.condition_positions[0],
    }


def lay_out_short(settings: ParitySettings) -> SequenceLayout:
    """Layout of ``tts_a``: one window of text, then its frames."""
    counts = settings.short_text, settings.short_frames
    return build_layout(torch.tensor([counts[0]]), torch.tensor([counts[1]]), *counts)


def lay_out_long(inputs: Tensors, settings: ParitySettings) -> SequenceLayout:
    """Layout of ``tts_b``: all text and frames in windows."""
    num_text = inputs["lm.input_ids"].shape[1]
    layout = build_layout(
        torch.tensor([num_text]),
        torch.tensor([inputs["tts.latents"].shape[1]]),
        settings.text_window,
        settings.speech_window,
    )
    trailing = torch.arange(num_text)[None, num_text - settings.trailing_text :]
    return replace(
        layout,
        source_index=torch.cat([layout.source_index, trailing], dim=1),
        type_ids=torch.cat([layout.type_ids, torch.ones_like(trailing)], dim=1),
        lengths=layout.lengths + settings.trailing_text,
    )


def compute_head(model: RealtimeModel, inputs: Tensors) -> Tensors:
    """Compute ``head``: the diffusion head and its timestep embedding."""
    head, timesteps = model.prediction_head, inputs["head.timesteps"]
    return {
        "head.output": head(inputs["head.noisy"], timesteps, inputs["head.condition"]),
        "head.t_embedding": head.timestep_proj(head.timestep_embedding(timesteps)),
    }


def compute_schedule(
    model: RealtimeModel, inputs: Tensors, settings: ParitySettings
) -> Tensors:
    """Compute ``sched``: noise levels, mixing, target and the solver's tables."""
    schedule = model.schedule
    mixed = inputs["sched.x0"], inputs["sched.noise"], inputs["sched.timesteps"]
    outputs = {
        "sched.alpha_t": schedule.alpha,
        "sched.sigma_t": schedule.sigma,
        "sched.add_noise": schedule.add_noise(*mixed),
        "sched.velocity": schedule.velocity(*mixed),
    }
    for steps in settings.schedule_steps:
        solver = build_sampler(model, steps, settings.cfg_scale).solver
        solver.set_timesteps(steps)
        outputs[f"sched.inference_timesteps_{steps}"] = solver.timesteps
        outputs[f"sched.inference_sigmas_{steps}"] = solver.sigmas
    return outputs


class RecordingSolver:
    """A solver that keeps the sample after each of its steps.

    Args:
        solver (DPMSolverMultistepScheduler): Solver that does the work.

    Attributes:
        samples (list[Tensor]): Sample after each step (N, D).
    """

    def __init__(self, solver: DPMSolverMultistepScheduler):
        self.solver = solver
        self.samples: list[Tensor] = []

    @property
    def timesteps(self) -> Tensor:
        """Timesteps of the solver, int64 (steps,)."""
        return self.solver.timesteps

    def set_timesteps(self, steps: int, device: torch.device) -> None:
        """Start anew."""
        self.samples.clear()
        self.solver.set_timesteps(steps, device=device)

    def step(self, velocity: Tensor, timestep: Tensor, sample: Tensor):
        """Take one step and keep its sample; the solver's own result."""
        result = self.solver.step(velocity, timestep, sample)
        self.samples.append(result.prev_sample)
        return result


def build_sampler(model: RealtimeModel, steps: int, cfg_scale: float) -> GuidedSampler:
    """Build the package's sampler for a model."""
    return GuidedSampler(steps, cfg_scale, model.schedule.num_train_timesteps)


def compute_samples(
    model: RealtimeModel, inputs: Tensors, settings: ParitySettings
) -> Tensors:
    """Compute ``sample``: guided sampling with its trajectories."""
    condition, negative = inputs["sample.condition"], inputs["sample.neg_condition"]
    noise = inputs["sample.init_noise"][: len(condition)]
    outputs = {}
    for steps in settings.sample_steps:
        sampler = build_sampler(model, steps, settings.cfg_scale)
        sampler.solver = RecordingSolver(sampler.solver)
        latents = sampler.sample(model.prediction_head, condition, negative, noise)
        outputs[f"sample.latents_{steps}steps"] = latents
        trajectory = torch.stack(sampler.solver.samples)  # (steps, N, D)
        outputs[f"sample.trajectory_{steps}steps"] = trajectory
    return outputs


def compute_codec(model: RealtimeModel, inputs: Tensors) -> Tensors:
    """Compute ``codec``: decoding in one pass and in frames, encoding."""
    codec = model.acoustic_tokenizer
    latents, waveform = (
        inputs["codec.decode_latents"][0],
        inputs["codec.encode_waveform"],
    )
    missing = -len(waveform) % codec.hop_samples
    padded = nn.functional.pad(waveform, (0, missing))
    decoder = StreamingDecoder(codec)
    streamed = torch.cat([decoder.decode(latent) for latent in latents.split(1)])
    return {
        "codec.decode_audio": codec.decode(latents)[None, None],
        "codec.decode_audio_streaming": streamed[None, None],
        "codec.encode_mean": codec.encode(waveform)[None],
        "codec.encode_mean_zero_padded": codec.encode(padded)[None],
    }
