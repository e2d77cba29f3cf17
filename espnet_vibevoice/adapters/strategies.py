"""Strategies: which parts of a base are trained, in full or by LoRA.

Parts are named by module, with the original's names, and compared whole:
``language_model`` never means ``tts_language_model``. What no strategy names is frozen;
the codec always is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
DEFAULT_STRATEGY = "lora"
DEFAULT_RANK = 16


@dataclass(frozen=True)
class Strategy:
    """What is trained.

    Args:
        name (str): Name in ``strategy:``.
        full (tuple[str, ...]): Parts trained in full.
        lora (Mapping): Part to the names of its linear layers that get LoRA.
        rank (int): Rank of LoRA; more learns more and takes more memory.
    """

    name: str
    full: tuple[str, ...]
    lora: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    rank: int = DEFAULT_RANK

    def describe(self, part: str) -> str:
        """Tell how a part is trained: full, lora or frozen."""
        if part in self.full:
            return "full"
        return "lora" if part in self.lora else "frozen"

    def count_trained(self, part: str, name: str, shape: Sequence[int]) -> int:
        """Count the parameters that training adds or changes for one weight.

        Args:
            part (str): Part that holds the weight.
            name (str): Name of the weight inside the part.
            shape (Sequence[int]): Its shape; (out, in) for a linear layer.

        Returns:
            int: All of it in a part trained in full; rank * (in + out) for a linear
                layer with LoRA; else 0.
        """
        if part in self.full:
            count = 1
            for size in shape:
                count *= size
            return count
        module, _, kind = name.rpartition(".")
        leaf = module.rpartition(".")[2]
        if kind != "weight" or leaf not in self.lora.get(part, ()):
            return 0
        assert len(shape) == 2, (name, shape)
        return self.rank * (shape[0] + shape[1])


def _lora(part: str) -> Mapping[str, tuple[str, ...]]:
    """LoRA on the attention projections of one part."""
    return MappingProxyType({part: ATTENTION_PROJECTIONS})


_REALTIME = (
    Strategy(
        "lora",
        full=("acoustic_connector", "tts_eos_classifier"),
        lora=_lora("tts_language_model"),
    ),
    Strategy(
        "conservative",
        full=(
            "tts_language_model",
            "tts_input_types",
            "acoustic_connector",
            "prediction_head",
            "tts_eos_classifier",
        ),
    ),
    Strategy(
        "full",
        full=(
            "language_model",
            "tts_language_model",
            "tts_input_types",
            "acoustic_connector",
            "prediction_head",
            "tts_eos_classifier",
        ),
    ),
    Strategy("head_only", full=("prediction_head",)),
)
# One language model reads text and speech here, so "conservative" adapts it by LoRA.
_MULTISPEAKER = (
    Strategy(
        "lora",
        full=("acoustic_connector", "semantic_connector"),
        lora=_lora("language_model"),
    ),
    Strategy(
        "conservative",
        full=("acoustic_connector", "semantic_connector", "prediction_head"),
        lora=_lora("language_model"),
    ),
    Strategy(
        "full",
        full=(
            "language_model",
            "lm_head",
            "acoustic_connector",
            "semantic_connector",
            "prediction_head",
        ),
    ),
    Strategy("head_only", full=("prediction_head",)),
)
STRATEGY_NAMES = tuple(strategy.name for strategy in _REALTIME)
# By model_type of config.json.
_FAMILIES = {"vibevoice_streaming": _REALTIME, "vibevoice": _MULTISPEAKER}


def find_strategy(model_type: str, name: str, rank: int = DEFAULT_RANK) -> Strategy:
    """Look a strategy up.

    Args:
        model_type (str): ``model_type`` of a base's ``config.json``.
        name (str): lora | conservative | full | head_only.
        rank (int): Rank of LoRA.

    Raises:
        ValueError: If there is no such family or strategy, or the rank is below 1.
    """
    if model_type not in _FAMILIES:
        raise ValueError(
            f"model_type {model_type!r} is not known, wanted one of "
            f"{', '.join(_FAMILIES)}. Give a base of VibeVoice in the original format."
        )
    if name not in STRATEGY_NAMES:
        raise ValueError(
            f"strategy {name!r} is not known: choose one of "
            f"{', '.join(STRATEGY_NAMES)}."
        )
    if rank < 1:
        raise ValueError(f"LoRA rank {rank}: give at least 1.")
    table = {strategy.name: strategy for strategy in _FAMILIES[model_type]}
    return replace(table[name], rank=rank)
