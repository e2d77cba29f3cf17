"""Scripts that are heard while they are being spoken.

The model hears its own sound, so every frame is decoded at once in any case, and the
chunks together are the waveform of `generate_script`. Nothing of the audio is kept: a
script of an hour needs no more memory for it than one of a second. What grows is the
language model's cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_vibevoice.models.generation_settings import ScriptSettings
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_generation import warn_if_cut
from espnet_vibevoice.models.script_loop import run_script_loop
from espnet_vibevoice.models.script_prompt import ScriptPrompt, make_row
from espnet_vibevoice.models.script_row import ScriptRow


@dataclass(frozen=True)
class ScriptChunk:
    """The audio of one frame, or, at last, the end.

    Args:
        waveform (Tensor): Samples (hop_samples,); (0,) in the last chunk.
        latent (Tensor | None): Unscaled latent (D,); None in the last chunk.
        is_last (bool): Whether no chunk follows.
        stopped_by_end (bool): Whether speech ended here by itself, not by a limit.
        limit (str): Name of that limit, else empty.
    """

    waveform: Tensor
    latent: Tensor | None
    is_last: bool = False
    stopped_by_end: bool = False
    limit: str = ""


def stream_script(
    model: MultispeakerModel,
    prompt: ScriptPrompt,
    settings: ScriptSettings,
    generator: torch.Generator | None = None,
    *,
    noise: Tensor | None = None,
) -> Iterator[ScriptChunk]:
    """Speak a script and hand out each frame's audio at once; none of it is kept.

    Args:
        model (MultispeakerModel): The model.
        prompt (ScriptPrompt): The prompt.
        settings (ScriptSettings): All settings.
        generator (torch.Generator | None): Source of the noise; default global.
        noise (Tensor | None): See `generate_script`.

    Returns:
        Iterator[ScriptChunk]: Chunks of one frame, then one that tells how it ended.
            A warning is logged if a limit cut the speech.

    Raises:
        RuntimeError: If a value is not finite (while iterating), or the base has no
            semantic encoder.
        ValueError: If prompt or noise do not fit the model.
    """
    row = make_row(model, prompt, settings, generator, noise)
    return _stream(model, row, settings)


def _stream(
    model: MultispeakerModel, row: ScriptRow, settings: ScriptSettings
) -> Iterator[ScriptChunk]:
    """Run the loop for one script and hand out what it makes."""
    for (step,) in run_script_loop(model, [row], settings):
        warn_if_cut(step, row)
        frame = step.frame
        if frame is not None:
            yield ScriptChunk(frame.waveform, model.unscale_latents(frame.latent))
        if step.is_end or step.limit:
            nothing = model.speech_scaling_factor.new_zeros(0)
            yield ScriptChunk(nothing, None, True, step.is_end, step.limit)
