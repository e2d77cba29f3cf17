"""What a voice prompt was read from: a recording's latents and its transcript.

Caches are those of the weights that made them. A prompt that carries its source can be
read again by tuned weights; the official presets carry none. In our files the source
is three tensors, ``source.latents``, ``source.text_ids`` and
``source.prompt_text_type``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.models.sequence import validate_prompt_text_type

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel

_NAMES = tuple(f"source.{n}" for n in ("latents", "text_ids", "prompt_text_type"))


@dataclass(frozen=True)
class PromptSource:
    """A recording of S frames and its transcript of N tokens, on the CPU.

    Args:
        latents (Tensor): Unscaled latents (S, D), float32.
        text_ids (Tensor): Token ids of the transcript (N,), int64.
        prompt_text_type (int): Type of the transcript's positions, 0 or 1.

    Raises:
        ValueError: If there are no frames, no tokens, no such type, or tensors of
            another type.
    """

    latents: Tensor
    text_ids: Tensor
    prompt_text_type: int

    def __post_init__(self) -> None:
        """Check shapes and types."""
        latents, text_ids = self.latents, self.text_ids
        if latents.dim() != 2 or 0 in latents.shape:
            raise ValueError(
                f"latents: got shape {tuple(latents.shape)}, wanted (S, D) with at "
                "least one frame. Give the encoded recording."
            )
        if text_ids.dim() != 1 or len(text_ids) == 0:
            raise ValueError(
                f"text_ids: got shape {tuple(text_ids.shape)}, wanted (N,) with at "
                "least one token. Give the transcript of the recording."
            )
        if latents.dtype != torch.float32 or text_ids.dtype != torch.int64:
            raise ValueError(
                f"latents are {latents.dtype} and text_ids {text_ids.dtype}, wanted "
                "torch.float32 and torch.int64. Convert them."
            )
        validate_prompt_text_type(self.prompt_text_type)

    def find_faults(self, model: "RealtimeModel") -> list[str]:
        """List what a model cannot read; empty if it can read all.

        Args:
            model (RealtimeModel): The model.
        """
        faults = []
        dim, wanted_dim = self.latents.shape[1], model.config.latent_dim
        if dim != wanted_dim:
            faults.append(f"latents have {dim} dimensions, this base {wanted_dim}")
        low, high = self.text_ids.aminmax()
        rows = model.config.language_model.vocab_size
        if low < 0 or high >= rows:
            faults.append(
                f"text_ids has ids {low} to {high}, this base knows 0 to {rows - 1}"
            )
        return faults

    def to_tensors(self) -> dict[str, Tensor]:
        """Name the tensors as in a file."""
        text_type = torch.tensor(self.prompt_text_type)
        return dict(zip(_NAMES, (self.latents, self.text_ids, text_type), strict=True))


def take_source(path: Path, tensors: dict[str, Tensor]) -> PromptSource | None:
    """Take the source out of the tensors of a file.

    Args:
        path (Path): The file, for messages.
        tensors (dict[str, Tensor]): Name to tensor; those of the source are removed.

    Returns:
        PromptSource | None: The source, or None if the file has none.

    Raises:
        ValueError: If it is not whole.
    """
    found = {name: tensors.pop(name) for name in _NAMES if name in tensors}
    if not found:
        return None
    absent = [name for name in _NAMES if name not in found]
    if absent:
        raise ValueError(f"{path}: the tensor {absent[0]} is missing. Make it again.")
    latents, text_ids, text_type = (found[name] for name in _NAMES)
    if text_type.dim() != 0 or text_type.dtype != torch.int64:
        raise ValueError(
            f"{path}: {_NAMES[2]} is {text_type.dtype} of shape "
            f"{tuple(text_type.shape)}, wanted one int64. Make it again."
        )
    try:
        return PromptSource(latents, text_ids, int(text_type))
    except ValueError as err:
        raise ValueError(f"{path}: source: {err}") from err
