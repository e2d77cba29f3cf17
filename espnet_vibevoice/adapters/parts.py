"""The parts of both families, and what each named strategy trains of them.

Names are the original's, and are compared whole: ``language_model`` never means
``tts_language_model``. The codecs are no parts here, since nothing trains them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
HEAD = "prediction_head"
CUSTOM = "custom"

_LANGUAGE_MODEL = (*ATTENTION_PROJECTIONS, *MLP_PROJECTIONS)
_CONNECTOR = ("linear_1", "linear_2")
# Part to the names of its linear layers, last word of the path. Other parts have none.
LINEAR_LAYERS: Mapping[str, tuple[str, ...]] = {
    "language_model": _LANGUAGE_MODEL,
    "tts_language_model": _LANGUAGE_MODEL,
    "acoustic_connector": _CONNECTOR,
    "semantic_connector": _CONNECTOR,
    HEAD: (
        "noisy_images_proj",
        "cond_proj",
        "fc1",
        "fc2",
        *MLP_PROJECTIONS,
        "linear",
        "linear_1",
        "linear_2",
    ),
    "tts_eos_classifier": ("fc1", "fc2"),
}


@dataclass(frozen=True)
class Strategy:
    """What a named strategy trains.

    Args:
        full (tuple[str, ...]): Parts trained in full.
        lora (tuple[str, ...]): Parts that get LoRA.
    """

    full: tuple[str, ...]
    lora: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Args:
        parts (tuple[str, ...]): Parts that can be trained.
        strategies (Mapping[str, Strategy]): By name; ``custom`` is not among them.
    """

    parts: tuple[str, ...]
    strategies: Mapping[str, Strategy]

    @property
    def connectors(self) -> tuple[str, ...]:
        """Parts that bring a codec's latents to the width of the language model."""
        return tuple(part for part in self.parts if part.endswith("_connector"))


_REALTIME_PARTS = (
    "language_model",
    "tts_language_model",
    "tts_input_types",
    "acoustic_connector",
    HEAD,
    "tts_eos_classifier",
)
_MULTISPEAKER_PARTS = (
    "language_model",
    "lm_head",
    "acoustic_connector",
    "semantic_connector",
    HEAD,
)
# By model_type of config.json.
FAMILIES: Mapping[str, Family] = {
    "vibevoice_streaming": Family(
        _REALTIME_PARTS,
        {
            "lora": Strategy(
                full=("acoustic_connector", "tts_eos_classifier"),
                lora=("tts_language_model",),
            ),
            "conservative": Strategy(full=_REALTIME_PARTS[1:]),
            "full": Strategy(full=_REALTIME_PARTS),
            "head_only": Strategy(full=(HEAD,)),
        },
    ),
    # One language model reads text and speech here, so "conservative" gives it LoRA.
    "vibevoice": Family(
        _MULTISPEAKER_PARTS,
        {
            "lora": Strategy(
                full=("acoustic_connector", "semantic_connector"),
                lora=("language_model",),
            ),
            "conservative": Strategy(
                full=("acoustic_connector", "semantic_connector", HEAD),
                lora=("language_model",),
            ),
            "full": Strategy(full=_MULTISPEAKER_PARTS),
            "head_only": Strategy(full=(HEAD,)),
        },
    ),
}
STRATEGY_NAMES = ("lora", "conservative", "full", "head_only", CUSTOM)


def get_family(model_type: str) -> Family:
    """Look a family up.

    Args:
        model_type (str): ``model_type`` of a base's ``config.json``.

    Raises:
        ValueError: If there is no such family.
    """
    if model_type not in FAMILIES:
        raise ValueError(
            f"model_type {model_type!r} is not known, wanted one of "
            f"{', '.join(FAMILIES)}. Give a base of VibeVoice in the original format."
        )
    return FAMILIES[model_type]
