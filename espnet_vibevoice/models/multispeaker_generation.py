"""Speak scripts of one or several speakers: one, or a batch.

Each script has its own noise, so its audio depends on its text, voices and seed and not
on its neighbours. The loop itself is in `script_loop`, what it reads first in
`script_prompt`, speech that is heard while it is being made in
`multispeaker_streaming`.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.script_loop import run_script_loop
from espnet_vibevoice.models.script_prompt import (
    ScriptPrompt,
    make_row,
    prepare_script,
)
from espnet_vibevoice.models.script_row import ScriptRow, ScriptStep

__all__ = [
    "ScriptPrompt",
    "ScriptResult",
    "ScriptSettings",
    "generate_script",
    "generate_scripts",
    "prepare_script",
]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScriptResult:
    """One spoken script.

    Args:
        latents (Tensor): Unscaled latents (T_lat, D).
        waveform (Tensor): Waveform (T_wav,), T_wav = T_lat * hop_samples; float32.
        tokens (Tensor): Tokens of the output, frames included, int64 (T,).
        stopped_by_end (bool): False if a limit ended it: the speech may be cut.
        limit (str): Name of that limit, else empty.
    """

    latents: Tensor
    waveform: Tensor
    tokens: Tensor
    stopped_by_end: bool
    limit: str


@dataclass
class _Recording:
    """Steps of one script so far."""

    tokens: list[int] = field(default_factory=list)
    latents: list[Tensor] = field(default_factory=list)
    waveforms: list[Tensor] = field(default_factory=list)
    is_end: bool = False
    limit: str = ""

    def add(self, step: ScriptStep) -> None:
        """Append a step; of a frame what the result tells, not the rest."""
        self.is_end, self.limit = step.is_end, step.limit
        if not step.limit:
            self.tokens.append(step.token)
        if step.frame is not None:
            self.latents.append(step.frame.latent)
            self.waveforms.append(step.frame.waveform)

    def finish(self, model: MultispeakerModel) -> ScriptResult:
        """Join what was recorded."""
        nothing = model.speech_scaling_factor.new_zeros(0)
        latents = nothing.view(0, model.config.latent_dim)
        if self.latents:
            latents = model.unscale_latents(torch.stack(self.latents))
        return ScriptResult(
            latents=latents,
            waveform=torch.cat([nothing, *self.waveforms]),
            tokens=torch.tensor(self.tokens, dtype=torch.long),
            stopped_by_end=self.is_end,
            limit=self.limit,
        )


def generate_script(
    model: MultispeakerModel,
    prompt: ScriptPrompt,
    settings: ScriptSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
) -> ScriptResult:
    """Speak one script.

    Args:
        model (MultispeakerModel): The model.
        prompt (ScriptPrompt): The prompt.
        settings (ScriptSettings): All settings.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): Noise of the frames (T_max, D), in place of drawing; no
            more frames are made than it has.

    Returns:
        ScriptResult: Tokens, latents and audio. A warning is logged if a limit cut it.

    Raises:
        RuntimeError: If a value is not finite, or the base has no semantic encoder.
        ValueError: If prompt or noise do not fit the model.
    """
    return _run(model, [make_row(model, prompt, settings, generator, noise)], settings)[
        0
    ]


def generate_scripts(
    model: MultispeakerModel,
    prompts: Sequence[ScriptPrompt],
    settings: ScriptSettings,
    seeds: Sequence[int] | None = None,
) -> list[ScriptResult]:
    """Speak several scripts side by side.

    Row i equals `generate_script` with ``torch.Generator().manual_seed(seeds[i])``, up
    to rounding.

    Args:
        model (MultispeakerModel): The model.
        prompts (Sequence[ScriptPrompt]): Prompt of each script.
        settings (ScriptSettings): All settings.
        seeds (Sequence[int] | None): Seed of each script; default drawn from the
            global generator.

    Returns:
        list[ScriptResult]: One for each script. A warning is logged for each one that
            a limit cut.

    Raises:
        RuntimeError: If a value is not finite, or the base has no semantic encoder.
        ValueError: If the numbers of prompts and seeds differ, or a prompt does not
            fit the model.
    """
    if not prompts:
        return []
    if seeds is None:
        seeds = torch.randint(2**62, (len(prompts),)).tolist()
    if len(prompts) != len(seeds):
        raise ValueError(
            f"got {len(prompts)} prompts and {len(seeds)} seeds: give one seed for "
            "each prompt."
        )
    rows = [
        make_row(model, prompt, settings, torch.Generator().manual_seed(seed))
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    return _run(model, rows, settings)


def _run(
    model: MultispeakerModel, rows: list[ScriptRow], settings: ScriptSettings
) -> list[ScriptResult]:
    """Run the loop to its end."""
    recordings = [_Recording() for _ in rows]
    for steps in run_script_loop(model, rows, settings):
        for step in steps:
            recordings[step.row].add(step)
            warn_if_cut(step, rows[step.row])
    return [recording.finish(model) for recording in recordings]


def warn_if_cut(step: ScriptStep, row: ScriptRow) -> None:
    """Log a warning if a limit ended a script.

    Args:
        step (ScriptStep): Its latest step.
        row (ScriptRow): The script.
    """
    if step.limit:
        logger.warning(
            "speech did not end by itself: cut after %d frames by %s. Split the "
            "script, or raise the limit",
            row.num_frames,
            step.limit,
        )
