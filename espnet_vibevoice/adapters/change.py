"""An adapter as changes of a base's layers, checked against that base.

LoRA on a linear layer is ``output + up @ (down @ input)`` with the scaling in ``up``.
DoRA (arXiv 2402.09353, eq. 5) brings each row of the weight to a length of its own:
row i is multiplied by ``1 + gain[i]``, and so is that row of the low-rank change. In
this form changes of several adapters add up, and zeros are no change at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn

from espnet_vibevoice.errors import summarize_faults

if TYPE_CHECKING:
    from espnet_vibevoice.adapters.adapter import Adapter, LoraFactors
    from espnet_vibevoice.models.realtime import RealtimeModel


@dataclass(frozen=True)
class LayerChange:
    """Change of one linear layer at full strength.

    Args:
        down (Tensor): Down projection (r, in), float32.
        up (Tensor): Up projection, scaling included (out, r), float32.
        gain (Tensor | None): What DoRA adds to each row's factor (out,), float32;
            None without DoRA.
    """

    down: Tensor
    up: Tensor
    gain: Tensor | None

    @property
    def rank(self) -> int:
        """Rank of the low-rank change."""
        return len(self.down)

    def norm(self, weight: Tensor) -> float:
        """Frobenius norm of the change of the layer's weight.

        Args:
            weight (Tensor): The base's weight, float32 (out, in).
        """
        if self.gain is not None:
            return float((self.gain[:, None] * weight + self.up @ self.down).norm())
        # |up @ down|^2 from two matrices of rank x rank
        squares = (self.down @ self.down.T).double() * (self.up.T @ self.up).double()
        return float(squares.sum().clamp(min=0).sqrt())


@dataclass(frozen=True)
class ModelChange:
    """What an adapter changes of a model.

    Args:
        layers (Mapping): Full path of a linear layer to its change.
        weights (Mapping): Full name of a parameter to the tuned one.
    """

    layers: Mapping[str, LayerChange]
    weights: Mapping[str, Tensor]

    @property
    def rank(self) -> int:
        """Largest rank of a layer; 0 without LoRA."""
        return max((change.rank for change in self.layers.values()), default=0)

    def measure_norms(self, model: "RealtimeModel") -> Iterator[tuple[str, int, float]]:
        """Measure each change.

        Args:
            model (RealtimeModel): The base.

        Yields:
            tuple: Full path or name, number of tensors, norm of the change.
        """
        for path, change in self.layers.items():
            weight = read_weight(model.get_submodule(path))
            yield path, 2 + (change.gain is not None), change.norm(weight)
        for name, tuned in self.weights.items():
            yield name, 1, float((tuned.float() - model.get_parameter(name)).norm())


def read_weight(layer: nn.Linear) -> Tensor:
    """Read a linear layer's weight, quantised or not.

    Args:
        layer (nn.Linear): The layer; bitsandbytes' layers are of this type too.

    Returns:
        Tensor: Weight (out, in), float32.
    """
    return dequantize_module_weight(layer).detach().float()


@torch.no_grad()
def resolve_change(model: "RealtimeModel", adapter: "Adapter") -> ModelChange:
    """Find an adapter's layers in a model and work out what they change.

    Args:
        model (RealtimeModel): The base, without LoRA layers.
        adapter (Adapter): The adapter.

    Returns:
        ModelChange: Its tensors are on the model's device.

    Raises:
        ValueError: If a layer or weight does not exist, its shape is another, a value
            is not finite, or the plan names layers that the adapter lacks.
    """
    check_adapter(model, adapter)
    device = model.tts_input_types.weight.device
    layers, weights = {}, {}
    for part, paths in adapter.lora.items():
        scaling = adapter.plan.lora[part].scaling
        for path, factors in paths.items():
            name = f"{part}.{path}"
            layer = model.get_submodule(name)
            layers[name] = _resolve_layer(layer, factors, scaling, device)
    for part, tensors in adapter.full.items():
        for name, tensor in tensors.items():
            weights[f"{part}.{name}"] = tensor.to(device)
    return ModelChange(layers, weights)


def _resolve_layer(
    layer: nn.Linear, factors: "LoraFactors", scaling: float, device: torch.device
) -> LayerChange:
    """Work out the change of one layer."""
    down = factors.a.to(device, torch.float32)
    up = factors.b.to(device, torch.float32) * scaling
    if factors.magnitude is None:
        return LayerChange(down, up, None)
    lengths = (read_weight(layer) + up @ down).norm(dim=1)
    ratio = factors.magnitude.to(device, torch.float32).flatten() / lengths
    return LayerChange(down, ratio[:, None] * up, ratio - 1)


def check_adapter(model: "RealtimeModel", adapter: "Adapter") -> None:
    """Refuse an adapter that does not fit a model, with all faults at once.

    Args:
        model (RealtimeModel): The base, without LoRA layers.
        adapter (Adapter): The adapter.

    Raises:
        ValueError: See `resolve_change`.
    """
    family = model.config.original["model_type"]
    if adapter.model_type != family:
        raise ValueError(
            f"the adapter is for {adapter.model_type}, the base is {family}: load it "
            f"on {adapter.base}."
        )
    modules = dict(model.named_modules())
    parameters = dict(model.named_parameters())
    faults = []
    for part, paths in adapter.lora.items():
        rank = adapter.plan.lora[part].rank if part in adapter.plan.lora else None
        for path, factors in paths.items():
            name = f"{part}.{path}"
            faults += _find_layer_faults(name, factors, modules.get(name), rank)
    for part, tensors in adapter.full.items():
        for name, tensor in tensors.items():
            name = f"{part}.{name}"
            faults += _find_weight_faults(name, tensor, parameters.get(name))
    faults += _find_missing(model, adapter)
    if faults:
        raise ValueError(
            f"the adapter does not fit this base: {summarize_faults(faults)}. It was "
            f"made for {adapter.base}: load that base, or export the adapter again."
        )


def _find_layer_faults(
    name: str, factors: "LoraFactors", layer: nn.Module | None, rank: int | None
) -> list[str]:
    """List what is wrong with the factors of one layer."""
    if not isinstance(layer, nn.Linear):
        return [f"{name} is no linear layer of the base"]
    if rank is None:
        return [f"{name} has LoRA factors, but the plan trains none in its part"]
    wanted = {"A": (rank, layer.in_features), "B": (layer.out_features, rank)}
    given = {"A": factors.a, "B": factors.b}
    if factors.magnitude is not None:
        wanted["magnitude"] = (layer.out_features,)
        given["magnitude"] = factors.magnitude.flatten()
    faults = []
    for kind, tensor in given.items():
        if tuple(tensor.shape) != wanted[kind]:
            faults.append(
                f"{name}: LoRA {kind} has shape {tuple(tensor.shape)}, wanted "
                f"{wanted[kind]} (rank {rank})"
            )
        elif not tensor.isfinite().all():
            faults.append(f"{name}: LoRA {kind} holds values that are not finite")
    return faults


def _find_weight_faults(name: str, tensor: Tensor, base: Tensor | None) -> list[str]:
    """List what is wrong with one weight of a part trained in full."""
    if base is None:
        return [f"{name} is no weight of the base"]
    if not base.is_floating_point():
        return [f"{name} is quantised in the base, which a weight cannot replace"]
    if tensor.shape != base.shape:
        shapes = f"{tuple(tensor.shape)}, wanted {tuple(base.shape)}"
        return [f"{name} has shape {shapes}"]
    if not tensor.isfinite().all():
        return [f"{name} holds values that are not finite"]
    return []


def _find_missing(model: "RealtimeModel", adapter: "Adapter") -> list[str]:
    """List what the plan trains and the adapter lacks."""
    plan, missing = adapter.plan, []
    for part in plan.full:
        given = adapter.full.get(part, {})
        missing += [
            f"{part}.{name} is missing"
            for name, _ in model.get_submodule(part).named_parameters()
            if name not in given and not plan.is_frozen_head_layer(part, name)
        ]
    for part in plan.lora:
        given = adapter.lora.get(part, {})
        missing += [
            f"the LoRA factors of {part}.{path} are missing"
            for path, layer in model.get_submodule(part).named_modules()
            if isinstance(layer, nn.Linear)
            and plan.gets_lora(part, path)
            and path not in given
        ]
    return missing
