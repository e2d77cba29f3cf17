"""Which attention implementations can be chosen, and what each needs."""

import torch
from transformers.utils import is_flash_attn_2_available

ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
HALF_TYPES = (torch.bfloat16, torch.float16)


def check_attention(name: str, dtype: torch.dtype) -> None:
    """Refuse an attention that cannot run.

    Args:
        name (str): sdpa | eager | flash_attention_2.
        dtype (torch.dtype): Type of the weights.

    Raises:
        ValueError: If there is no such attention or it cannot run in this type.
        RuntimeError: If its package is not installed.
    """
    if name not in ATTENTIONS:
        raise ValueError(
            f"attn_implementation {name!r} is not known: choose one of "
            f"{', '.join(ATTENTIONS)}."
        )
    if name != "flash_attention_2":
        return
    if dtype not in HALF_TYPES:
        raise ValueError(
            f"flash_attention_2 cannot run in {dtype}: load the base in bfloat16 or "
            "float16, or use attn_implementation sdpa."
        )
    if not is_flash_attn_2_available():
        raise RuntimeError(
            "flash_attention_2 needs the package flash-attn and an NVIDIA GPU: run "
            "`pip install flash-attn --no-build-isolation`, or use "
            "attn_implementation sdpa."
        )
