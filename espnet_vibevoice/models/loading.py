"""A base of either family, whole or the part of it that data stages need."""

import torch

from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.checkpoint import has_encoder_weights, load_weights
from espnet_vibevoice.models.config import REALTIME_TYPE, load_config
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.multispeaker_config import (
    MULTISPEAKER_TYPE,
    MultispeakerConfig,
)
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.semantic import SemanticTokenizer

SpeechModels = RealtimeModel | MultispeakerModel
MODEL_CLASSES = {REALTIME_TYPE: RealtimeModel, MULTISPEAKER_TYPE: MultispeakerModel}
SEMANTIC_PART = "semantic_tokenizer"


def load_model(base: str, dtype: torch.dtype = torch.float32) -> SpeechModels:
    """Load a base by the class of its family.

    Args:
        base (str): Base, see `base_folder.resolve_base`.
        dtype (torch.dtype): Type of the weights in memory.

    Returns:
        RealtimeModel | MultispeakerModel: The model, in evaluation mode.

    Raises:
        FileNotFoundError: If the base or one of its files does not exist.
        ValueError: If it is of neither family, or its weights do not fit.
    """
    config = load_config(resolve_base(base))
    return MODEL_CLASSES[config.model_type].from_base(base, dtype)


def load_semantic_tokenizer(
    base: str, dtype: torch.dtype = torch.float32
) -> SemanticTokenizer | None:
    """Load the semantic tokenizer of a base, and nothing else of it.

    Args:
        base (str): Base, see `base_folder.resolve_base`.
        dtype (torch.dtype): Type of the weights in memory.

    Returns:
        SemanticTokenizer | None: In evaluation mode; None if the family has none.

    Raises:
        FileNotFoundError: If the base or one of its files does not exist.
        ValueError: If its weights do not fit.
    """
    folder = resolve_base(base)
    config = load_config(folder)
    if not isinstance(config, MultispeakerConfig):
        return None
    with torch.device("meta"):
        tokenizer = SemanticTokenizer(
            config, has_encoder_weights(folder, SEMANTIC_PART)
        )
    load_weights(tokenizer, folder, dtype, prefix=f"{SEMANTIC_PART}.")
    return tokenizer.eval()
