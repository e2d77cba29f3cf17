"""Which parts of a model are trained; all others are frozen."""

import logging
from collections.abc import Sequence

from espnet_vibevoice.models.realtime import PARTS, RealtimeModel

logger = logging.getLogger(__name__)

DEFAULT_TRAINED_PARTS = (
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    "prediction_head",
    "tts_eos_classifier",
)


def freeze_all_but(model: RealtimeModel, trained_parts: Sequence[str]) -> None:
    """Freeze what is not trained, and log what each part holds.

    Args:
        model (RealtimeModel): The model.
        trained_parts (Sequence[str]): Parts that are trained, by module name.

    Raises:
        ValueError: If there is none, or a name is unknown or that of the codec.
    """
    known = [part for part in PARTS if part != "acoustic_tokenizer"]
    wrong = sorted(set(trained_parts) - set(known))
    if wrong or not trained_parts:
        raise ValueError(
            f"tts_conf trained_parts is {list(trained_parts)}: choose at least one "
            f"of {', '.join(known)}"
        )
    for part in PARTS:
        module = model.get_submodule(part)
        is_trained = part in trained_parts
        module.requires_grad_(is_trained)
        logger.info(
            "%s: %s, %d parameters, %s",
            part,
            type(module).__name__,
            sum(p.numel() for p in module.parameters()),
            "trained" if is_trained else "frozen",
        )
