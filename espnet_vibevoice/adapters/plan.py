"""What a training plan holds: parts trained in full, parts with LoRA, and how.

A plan knows names and sizes only, so that a table can be printed and an adapter
described without building the model. `strategies.build_plan` makes one from the keys
of ``tts_conf``, `lora.apply_plan` applies it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from espnet_vibevoice.adapters.parts import HEAD

DEFAULT_RANK = 16
DEFAULT_ALPHA = 32
DEFAULT_DROPOUT = 0.05


@dataclass(frozen=True)
class LoraSettings:
    """How one part gets LoRA.

    Args:
        targets (tuple[str, ...]): Names of its linear layers, the last word of each
            path: ``q_proj`` stands for that layer of every block.
        rank (int): Rank r of the factors; more learns more and takes more memory.
        alpha (float): Strength: the product of the factors is scaled by alpha / r.
        dropout (float): Share of the inputs dropped in training, 0 to below 1.
        use_rslora (bool): Scale by alpha / sqrt(r) instead.
        use_dora (bool): Learn the length of each row of the weight apart from its
            direction; slower.

    Raises:
        ValueError: If a value is out of range.
    """

    targets: tuple[str, ...]
    rank: int = DEFAULT_RANK
    alpha: float = DEFAULT_ALPHA
    dropout: float = DEFAULT_DROPOUT
    use_rslora: bool = False
    use_dora: bool = False

    def __post_init__(self) -> None:
        if not is_count(self.rank) or self.rank < 1:
            raise ValueError(
                f"LoRA rank {self.rank!r}: give a whole number of at least 1."
            )
        if not is_number(self.alpha) or not 0 < self.alpha < math.inf:
            raise ValueError(f"LoRA alpha {self.alpha!r}: give a number above 0.")
        if not is_number(self.dropout) or not 0 <= self.dropout < 1:
            raise ValueError(
                f"LoRA dropout {self.dropout!r}: give a number from 0 to below 1."
            )
        for name in ("use_rslora", "use_dora"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}: give true or false."
                )

    @property
    def scaling(self) -> float:
        """Factor of the product B @ A."""
        return self.alpha / (math.sqrt(self.rank) if self.use_rslora else self.rank)


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained of a model, and how; whatever it does not name is frozen.

    Args:
        strategy (str): Name of the strategy that it came from.
        full (tuple[str, ...]): Parts trained in full.
        lora (Mapping[str, LoraSettings]): Parts that get LoRA.
        frozen_head_layers (tuple[int, ...]): Layers of the diffusion head, from 0,
            that stay frozen although the head is trained.
    """

    strategy: str
    full: tuple[str, ...]
    lora: Mapping[str, LoraSettings] = field(default_factory=dict)
    frozen_head_layers: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that are trained, in full or by LoRA."""
        return (*self.full, *self.lora)

    def describe(self, part: str) -> str:
        """Tell how a part is trained: full, lora r16, or frozen."""
        if part in self.full:
            return "full"
        if part not in self.lora:
            return "frozen"
        settings = self.lora[part]
        kind = "dora" if settings.use_dora else "lora"
        return f"{kind} r{settings.rank}"

    def is_frozen_head_layer(self, part: str, name: str) -> bool:
        """Tell whether a weight or layer lies in a frozen layer of the head.

        Args:
            part (str): Part that holds it.
            name (str): Its name inside the part.
        """
        frozen = tuple(f"layers.{index}." for index in self.frozen_head_layers)
        return part == HEAD and name.startswith(frozen)

    def gets_lora(self, part: str, path: str) -> bool:
        """Tell whether a linear layer gets LoRA.

        Args:
            part (str): Part that holds it.
            path (str): Its path inside the part.
        """
        if part not in self.lora or self.is_frozen_head_layer(part, path):
            return False
        return path.rpartition(".")[2] in self.lora[part].targets

    def count_trained(self, part: str, name: str, shape: Sequence[int]) -> int:
        """Count the parameters that training adds or changes for one weight.

        Args:
            part (str): Part that holds the weight.
            name (str): Name of the weight inside the part.
            shape (Sequence[int]): Its shape; (out, in) for a linear layer.

        Returns:
            int: All of it in a part trained in full; r * (in + out), with DoRA and
                out more, for a linear layer with LoRA; else 0.
        """
        if part in self.full:
            return 0 if self.is_frozen_head_layer(part, name) else math.prod(shape)
        path, _, kind = name.rpartition(".")
        if kind != "weight" or not self.gets_lora(part, path):
            return 0
        assert len(shape) == 2, (name, shape)
        settings = self.lora[part]
        return settings.rank * sum(shape) + (shape[0] if settings.use_dora else 0)

    def check_head_layers(self, num_layers: int) -> None:
        """Raise ValueError if the head lacks a layer that is to be frozen.

        Args:
            num_layers (int): Layers of the model's diffusion head.
        """
        wrong = [index for index in self.frozen_head_layers if index >= num_layers]
        if wrong:
            raise ValueError(
                f"freeze_head_layers names layer {', '.join(map(str, wrong))}, but the "
                f"number of layers of the diffusion head is {num_layers}: give 0 to "
                f"{num_layers - 1}."
            )


def is_count(value: Any) -> bool:
    """Tell whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tell whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
