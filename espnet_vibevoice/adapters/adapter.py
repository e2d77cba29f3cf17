"""An adapter in memory: what training changed of a base, and nothing else.

Every file format is read into an `Adapter` and written from one, and a model takes one
whatever file it came from. It names its base and carries the fingerprint of the base's
weights, because LoRA factors on another base are noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from espnet_vibevoice.adapters.lora import ADAPTER_NAME, list_lora_layers
from espnet_vibevoice.adapters.plan import TrainingPlan


class LoraFactors(NamedTuple):
    """The change of one linear layer: scaling * b @ a.

    Args:
        a (Tensor): Down projection (r, in).
        b (Tensor): Up projection (out, r).
        magnitude (Tensor | None): Length of each row of the weight (out,), DoRA only.
    """

    a: Tensor
    b: Tensor
    magnitude: Tensor | None = None


@dataclass(frozen=True)
class Adapter:
    """What training changed of a base.

    Args:
        model_type (str): Family: ``vibevoice_streaming`` or ``vibevoice``.
        base (str): Base it was trained on: folder or hub id.
        base_fingerprint (str | None): Fingerprint of that base's weights; None where
            the file does not tell (community folders).
        plan (TrainingPlan): Which part was trained how.
        lora (Mapping): Part to path of the layer in the part to its factors.
        full (Mapping): Part trained in full to name in the part (ours, not the
            original's) to weight. Frozen layers of the head are left out.
        base_revision (str | None): Commit of the base on the hub, if it is known.
    """

    model_type: str
    base: str
    base_fingerprint: str | None
    plan: TrainingPlan
    lora: Mapping[str, Mapping[str, LoraFactors]]
    full: Mapping[str, Mapping[str, Tensor]]
    base_revision: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that it changes, sorted."""
        return tuple(sorted({*self.lora, *self.full}))

    def count_tensors(self) -> int:
        """Count the tensors that it holds."""
        factors = [f for layers in self.lora.values() for f in layers.values()]
        count = sum(2 + (f.magnitude is not None) for f in factors)
        return count + sum(len(weights) for weights in self.full.values())


def extract_adapter(
    model: nn.Module, plan: TrainingPlan, base: str, fingerprint: str | None
) -> Adapter:
    """Take the trained weights out of a model.

    Args:
        model (nn.Module): A `RealtimeModel` after `adapters.lora.apply_plan`.
        plan (TrainingPlan): The plan that was applied.
        base (str): Base that the model was built from.
        fingerprint (str | None): Fingerprint of that base.

    Returns:
        Adapter: Copies on the CPU in the type of the weights.
    """
    lora = {
        part: {
            path: _copy_factors(layer)
            for path, layer in list_lora_layers(model.get_submodule(part)).items()
        }
        for part in plan.lora
    }
    full = {
        part: {
            name: _copy(weight)
            for name, weight in model.get_submodule(part).named_parameters()
            if not plan.is_frozen_head_layer(part, name)
        }
        for part in plan.full
    }
    model_type = model.config.original["model_type"]
    return Adapter(model_type, base, fingerprint, plan, lora, full)


def _copy_factors(layer: nn.Module) -> LoraFactors:
    """Copy the factors out of a peft layer."""
    magnitude = None
    if ADAPTER_NAME in layer.lora_magnitude_vector:
        magnitude = _copy(layer.lora_magnitude_vector[ADAPTER_NAME].weight)
    a = layer.lora_A[ADAPTER_NAME].weight
    b = layer.lora_B[ADAPTER_NAME].weight
    return LoraFactors(_copy(a), _copy(b), magnitude)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
