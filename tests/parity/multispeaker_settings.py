"""What the tensors of a multi-speaker parity folder were made with."""

import re
from dataclasses import dataclass
from typing import Any

from torch import Tensor

SPECIAL_TOKENS = {
    "speech_start_id": "<|vision_start|>",
    "speech_end_id": "<|vision_end|>",
    "speech_diffusion_id": "<|vision_pad|>",
    "eos_id": "<|endoftext|>",
}
GRADIENT_PREFIX = "train.grad_norm."


@dataclass(frozen=True)
class MultispeakerSettings:
    """Token ids, generation options, and which parts of an output are kept.

    Args:
        speech_start_id (int): Opens speech.
        speech_end_id (int): Closes speech.
        speech_diffusion_id (int): Stands for one frame.
        eos_id (int): Ends generation.
        ddpm_batch_mul (int): Noise draws per frame of ``train``.
        cfg_scale (float): Guidance of ``gen``.
        num_sampling_steps (int): Solver steps per frame of ``gen``.
        max_new_tokens (int): Tokens after which ``gen`` stops.
        num_logits (int): Positions of ``lm.logits_last``.
        logits_of_example (tuple[int, int]): Row and number of positions of the
            training logits.
        gradient_names (tuple[str, ...]): Original names of the weights whose
            gradient norms are kept.
    """

    speech_start_id: int
    speech_end_id: int
    speech_diffusion_id: int
    eos_id: int
    ddpm_batch_mul: int
    cfg_scale: float
    num_sampling_steps: int
    max_new_tokens: int
    num_logits: int
    logits_of_example: tuple[int, int]
    gradient_names: tuple[str, ...]

    @property
    def allowed_ids(self) -> list[int]:
        """Ids that generation may choose, in the order of the scores."""
        return [
            self.speech_start_id,
            self.speech_end_id,
            self.speech_diffusion_id,
            self.eos_id,
        ]


def read_multispeaker_settings(
    io: dict[str, Tensor], meta: dict[str, Any]
) -> MultispeakerSettings:
    """Find out what the outputs of a folder were made with.

    Args:
        io (dict): Tensors of the folder; names of keys tell what is kept.
        meta (dict): Its ``meta.json``.

    Returns:
        MultispeakerSettings: The settings.

    Raises:
        ValueError: If ``meta.json`` or the keys do not tell one of them.
    """
    found = {
        name: next((v for k, v in _special_ids(meta).items() if token in k), None)
        for name, token in SPECIAL_TOKENS.items()
    }
    generation = meta.get("gen", {})
    found["ddpm_batch_mul"] = meta.get("ddpm_batch_mul")
    for name, key in (
        ("cfg_scale", "cfg_scale"),
        ("num_sampling_steps", "steps"),
        ("max_new_tokens", "max_new_tokens"),
    ):
        found[name] = generation.get(key)
    kept = {
        "num_logits": r"lm\.logits_last(\d+)",
        "logits_of_example": r"train\.logits_example(\d+)_last(\d+)",
    }
    for name, pattern in kept.items():
        found[name] = next(
            (m.groups() for m in (re.fullmatch(pattern, key) for key in io) if m), None
        )
    absent = sorted(name for name, value in found.items() if value is None)
    if absent:
        raise ValueError(
            f"meta.json and the keys of io.safetensors do not tell {absent}. Make "
            "the folder again."
        )
    found["num_logits"] = int(found["num_logits"][0])
    found["logits_of_example"] = tuple(map(int, found["logits_of_example"]))
    gradients = sorted(key for key in io if key.startswith(GRADIENT_PREFIX))
    found["gradient_names"] = tuple(
        key.removeprefix(GRADIENT_PREFIX) for key in gradients
    )
    return MultispeakerSettings(**found)


def _special_ids(meta: dict[str, Any]) -> dict[str, int]:
    """Special ids of ``meta.json``."""
    return meta.get("special_ids", {})
