"""Voice prompts: what the model has read of a voice before it speaks.

A prompt holds the outputs of four runs, as in the official presets: ``lm`` has read
the transcript, ``tts_lm`` the frames and then the transcript, and the two negative
ones the negative prompt alone. Generation goes on from these caches. Ours are
``.safetensors`` files with the same content and the prompt's source, from which tuned
weights make caches of their own; official ``.pt`` files are read as well.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.models.branch import Branch
from espnet_vibevoice.models.prompt_source import PromptSource, take_source
from espnet_vibevoice.models.reading import Reading
from espnet_vibevoice.models.sequence import SPEECH_TYPE, TEXT_TYPE
from espnet_vibevoice.models.stored_branch import (
    BranchSizes,
    StoredBranch,
    collect_branches,
    make_branch,
    read_tensors,
    run_part,
    write_branches,
)
from espnet_vibevoice.models.voice_preset import read_preset

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel

FORMAT = "vibevoice_voice_prompt"
BRANCHES = ("lm", "tts_lm", "neg_lm", "neg_tts_lm")
PROMPT_TEXT_TYPE = SPEECH_TYPE  # of the transcript in the released voices


@dataclass(frozen=True)
class VoicePrompt:
    """A voice; S frames and N tokens of its transcript.

    Args:
        lm (StoredBranch): Lower part, length N.
        tts_lm (StoredBranch): Upper part, length S + N, frames first.
        neg_lm (StoredBranch): Lower part of the negative branch, length 1.
        neg_tts_lm (StoredBranch): Upper part of the negative branch, length 1.
        source (PromptSource | None): What was read; None in official presets.

    Raises:
        ValueError: If shapes, sizes or lengths do not belong together.
    """

    lm: StoredBranch
    tts_lm: StoredBranch
    neg_lm: StoredBranch
    neg_tts_lm: StoredBranch
    source: PromptSource | None = None

    def __post_init__(self) -> None:
        """Check that the four belong together."""
        faults = []
        if self.tts_lm.length <= self.lm.length:
            faults.append(
                f"tts_lm has {self.tts_lm.length} positions, lm {self.lm.length}: no "
                "room for a frame"
            )
        for name in ("lm", "tts_lm"):
            positive, negative = getattr(self, name), getattr(self, f"neg_{name}")
            if positive.sizes != negative.sizes:
                faults.append(
                    f"{name} has {positive.sizes}, neg_{name} {negative.sizes}"
                )
            if negative.length != 1:
                faults.append(f"neg_{name} has {negative.length} positions, wanted 1")
        if self.source is not None:
            read = (self.num_frames, self.num_tokens)
            given = (len(self.source.latents), len(self.source.text_ids))
            if read != given:
                faults.append(f"caches of {read} frames and tokens, source of {given}")
        if faults:
            raise ValueError(
                f"not a voice prompt: {summarize_faults(faults)}. Fetch the file "
                "again, or make one with bin/make_voice_prompt"
            )

    @property
    def num_tokens(self) -> int:
        """Tokens of the transcript, N."""
        return self.lm.length

    @property
    def num_frames(self) -> int:
        """Frames of the voice, S."""
        return self.tts_lm.length - self.lm.length

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the tensors."""
        return self.lm.last_hidden_state.dtype

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "VoicePrompt":
        """Move to a device and a floating-point type; the source stays as it is."""
        moved = {name: getattr(self, name).to(device, dtype) for name in BRANCHES}
        return replace(self, **moved)

    def fit(self, model: "RealtimeModel") -> "VoicePrompt":
        """Check the sizes against a model and move to its device and type.

        Args:
            model (RealtimeModel): The model that is to speak.

        Raises:
            ValueError: If layers, heads or sizes differ.
        """
        faults = [] if self.source is None else self.source.find_faults(model)
        for name, branch, part in (
            ("lm", self.lm, model.language_model),
            ("tts_lm", self.tts_lm, model.tts_language_model),
        ):
            wanted = BranchSizes.of_part(part)
            if branch.sizes != wanted:
                faults.append(f"{name} has {branch.sizes}, this base {wanted}")
        if faults:
            raise ValueError(
                "the voice prompt was made for another base: "
                f"{summarize_faults(faults)}. Make it again with this one "
                "(bin/make_voice_prompt --base)."
            )
        weight = model.tts_input_types.weight
        return self.to(weight.device, weight.dtype)

    def read_by(self, model: "RealtimeModel") -> "VoicePrompt":
        """Make the prompt one of a model's own weights, as far as it can be.

        With a source the model reads it again; without one the caches stay those of
        the weights that made them, see `fit`.

        Args:
            model (RealtimeModel): The model that is to speak.

        Raises:
            ValueError: If layers, heads or sizes differ.
            RuntimeError: If the model does not know its negative prompt.
        """
        fitted = self.fit(model)
        source = self.source
        if source is None:
            return fitted
        return build_voice_prompt(
            model, source.latents, source.text_ids, source.prompt_text_type
        )

    def to_branches(self) -> tuple[Branch, Branch]:
        """Make fresh branches, positive and negative, that have read the prompt."""
        return (
            _make_branch(self.lm, self.tts_lm),
            _make_branch(self.neg_lm, self.neg_tts_lm),
        )


def _make_branch(lower: StoredBranch, upper: StoredBranch) -> Branch:
    """Make a branch that goes on from stored runs of its two parts."""
    last = upper.last_hidden_state[:, -1].clone()
    return Branch(Reading(lower.to_cache()), Reading(upper.to_cache(), hidden=last))


@torch.no_grad()
def build_voice_prompt(
    model: "RealtimeModel",
    latents: Tensor,
    text_ids: Tensor,
    prompt_text_type: int = PROMPT_TEXT_TYPE,
) -> VoicePrompt:
    """Let a model read a voice: frames first, then their transcript.

    Args:
        model (RealtimeModel): The model.
        latents (Tensor): Unscaled latents of the recording (S, D).
        text_ids (Tensor): Token ids of its transcript, int64 (N,).
        prompt_text_type (int): Type of the transcript's positions: 0 as in the
            released voices, or 1, the type of text to speak.

    Returns:
        VoicePrompt: The prompt, on the model's device, in its type; its source holds
            copies of latents and ids on the CPU.

    Raises:
        RuntimeError: If the model does not know its negative prompt.
        ValueError: If there are no frames, no tokens or no such type, or latents or
            ids are of another base.
    """
    own = latents.detach().to("cpu", torch.float32, copy=True)
    source = PromptSource(own, text_ids.detach().to("cpu", copy=True), prompt_text_type)
    faults = source.find_faults(model)
    if faults:
        raise ValueError(
            f"this base cannot read the voice: {summarize_faults(faults)}. Use its own "
            "encoder and tokenizer."
        )
    types = model.tts_input_types.weight  # (2, H)
    scaled = model.scale_latents(latents.to(types.device).float())
    speech = model.acoustic_connector(scaled.to(types.dtype))[None] + types[SPEECH_TYPE]
    lower = run_part(model.language_model, input_ids=text_ids.to(types.device)[None])
    text = lower.last_hidden_state + types[prompt_text_type]
    negative_ids = torch.tensor([[model.get_negative_prompt_id()]], device=types.device)
    neg_lower = run_part(model.language_model, input_ids=negative_ids)
    return VoicePrompt(
        lm=lower,
        tts_lm=run_part(
            model.tts_language_model, inputs_embeds=torch.cat([speech, text], dim=1)
        ),
        neg_lm=neg_lower,
        neg_tts_lm=run_part(
            model.tts_language_model,
            inputs_embeds=neg_lower.last_hidden_state + types[TEXT_TYPE],
        ),
        source=source,
    )


def load_voice_prompt(path: str | Path) -> VoicePrompt:
    """Read a prompt of ours (``.safetensors``) or an official preset (``.pt``).

    Args:
        path (str | Path): The file.

    Returns:
        VoicePrompt: The prompt, on the CPU, in the type of the file; with its source
            if the file has it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or no voice prompt.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such voice prompt. Give a .safetensors file made with "
            "bin/make_voice_prompt, or an official .pt preset."
        )
    source = None
    if path.suffix == ".safetensors":
        tensors = read_tensors(path, FORMAT)
        source = take_source(path, tensors)
        stored = collect_branches(path, tensors)
    else:
        parts = read_preset(path)
        stored = {name: make_branch(path, name, *part) for name, part in parts.items()}
    if set(stored) != set(BRANCHES):
        raise ValueError(
            f"{path}: got the branches {sorted(stored)}, wanted {sorted(BRANCHES)}. "
            "Give a voice prompt of VibeVoice-Realtime."
        )
    try:
        return VoicePrompt(**stored, source=source)
    except ValueError as err:
        raise ValueError(f"{path}: {err}") from err


def check_prompt_name(path: Path) -> None:
    """Refuse a name that `load_voice_prompt` would not take for one of ours.

    Raises:
        ValueError: If the name does not end in ``.safetensors``.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: give a name that ends in .safetensors.")


def save_voice_prompt(prompt: VoicePrompt, path: str | Path) -> None:
    """Write a prompt as ``.safetensors``, whole or not at all; nothing is rounded.

    Args:
        prompt (VoicePrompt): The prompt. Its source, if any, is written as well: who
            has the file and the codec can hear the recording.
        path (str | Path): File to write; its folder is made.

    Raises:
        ValueError: If the name does not end in ``.safetensors``.
    """
    path = Path(path)
    check_prompt_name(path)
    facts = {
        "frames": prompt.num_frames,
        "tokens": prompt.num_tokens,
        "hidden_size": prompt.lm.sizes.hidden_size,
        "lower_layers": prompt.lm.sizes.layers,
        "upper_layers": prompt.tts_lm.sizes.layers,
        "key_value_heads": prompt.tts_lm.sizes.key_value_heads,
        "head_dim": prompt.tts_lm.sizes.head_dim,
    }
    metadata = {"format": FORMAT} | {key: str(fact) for key, fact in facts.items()}
    branches = {name: getattr(prompt, name) for name in BRANCHES}
    others = {} if prompt.source is None else prompt.source.to_tensors()
    write_branches(path, branches, metadata, others)
