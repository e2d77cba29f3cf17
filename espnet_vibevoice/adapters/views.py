"""Views: models that share a base's weights and own only what adapters change.

A view has the modules of the base with room for adapters in some of them. Adapters are
written into that room in place, so switching changes no tensor's identity or shape: a
compiled view stays compiled. Empty room changes nothing, bit for bit.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from espnet_vibevoice.adapters.change import LayerChange, ModelChange

if TYPE_CHECKING:
    from espnet_vibevoice.adapters.strategies import TrainingPlan
    from espnet_vibevoice.models.realtime import RealtimeModel

# A change and the strength that it is applied with.
Strengths = Sequence[tuple[ModelChange, float]]


@dataclass(frozen=True)
class Room:
    """What of a view can be changed.

    Args:
        layers (frozenset[str]): Full paths of linear layers with room for LoRA.
        gains (frozenset[str]): Those of them with room for DoRA's row factors.
        weights (frozenset[str]): Full names of parameters that the view owns.
    """

    layers: frozenset[str] = frozenset()
    gains: frozenset[str] = frozenset()
    weights: frozenset[str] = frozenset()

    @classmethod
    def for_change(cls, change: ModelChange) -> "Room":
        """Find the room that one adapter takes.

        Args:
            change (ModelChange): What it changes.
        """
        gains = {path for path, c in change.layers.items() if c.gain is not None}
        return cls(
            frozenset(change.layers), frozenset(gains), frozenset(change.weights)
        )

    @classmethod
    def for_plan(cls, model: "RealtimeModel", plan: "TrainingPlan") -> "Room":
        """Find the room that adapters of a training plan take.

        Args:
            model (RealtimeModel): The base.
            plan (TrainingPlan): The plan.
        """
        layers, gains, weights = set(), set(), set()
        for part, settings in plan.lora.items():
            for path, layer in model.get_submodule(part).named_modules():
                if isinstance(layer, nn.Linear) and plan.gets_lora(part, path):
                    layers.add(f"{part}.{path}")
                    if settings.use_dora:
                        gains.add(f"{part}.{path}")
        for part in plan.full:
            for name, _ in model.get_submodule(part).named_parameters():
                if not plan.is_frozen_head_layer(part, name):
                    weights.add(f"{part}.{name}")
        return cls(frozenset(layers), frozenset(gains), frozenset(weights))

    def __or__(self, other: "Room") -> "Room":
        return Room(
            self.layers | other.layers,
            self.gains | other.gains,
            self.weights | other.weights,
        )


class SwitchableLoRA(nn.Module):
    """A linear layer with room for low-rank changes beside it.

    Args:
        base (nn.Linear): The layer, shared; quantised or not.
        max_rank (int): Ranks of all changes at a time together.
        dtype (torch.dtype): Type of the room.
        has_gain (bool): Whether there is room for DoRA's row factors too.

    Attributes:
        down (Tensor): Down projections, one below the other (max_rank, in).
        up (Tensor): Up projections side by side, scaled (out, max_rank).
        gain (Tensor | None): What is added to each row's factor 1 (out,).
    """

    def __init__(
        self, base: nn.Linear, max_rank: int, dtype: torch.dtype, has_gain: bool
    ):
        super().__init__()
        self.base = base
        options = {"dtype": dtype, "device": base.weight.device}
        down = torch.zeros(max_rank, base.in_features, **options)
        up = torch.zeros(base.out_features, max_rank, **options)
        gain = torch.zeros(base.out_features, **options) if has_gain else None
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("up", up, persistent=False)
        self.register_buffer("gain", gain, persistent=False)

    @property
    def weight(self) -> Tensor:
        """The base's weight: callers ask it for type and device."""
        return self.base.weight

    def forward(self, inputs: Tensor) -> Tensor:
        """Run the layer.

        Args:
            inputs (Tensor): Vectors (..., in).

        Returns:
            Tensor: Vectors (..., out) in the base layer's type.
        """
        output = self.base(inputs)
        narrow = nn.functional.linear(inputs.to(self.down.dtype), self.down)
        change = nn.functional.linear(narrow, self.up)
        if self.gain is not None:
            bias = self.base.bias
            product = output if bias is None else output - bias
            change = change + self.gain * product
        return output + change.to(output.dtype)

    @torch.no_grad()
    def fill(self, changes: Sequence[tuple[LayerChange, float]]) -> None:
        """Write changes into the room, in place.

        Args:
            changes (Sequence): Each change with its strength; the sum of their ranks
                is at most ``max_rank``.
        """
        start = 0
        if self.gain is not None:
            self.gain.zero_()
        for change, strength in changes:
            end = start + change.rank
            assert end <= len(self.down), (end, len(self.down))
            self.down[start:end] = change.down
            self.up[:, start:end] = change.up * strength
            if change.gain is not None:
                self.gain += change.gain * strength
            start = end
        self.down[start:].zero_()  # whatever is left of ``up`` meets zeros


class ModelView:
    """A model to generate with that shares what adapters leave alone.

    Args:
        base (RealtimeModel): The base; it is never changed, and must not be moved or
            converted while the view is in use.
        max_rank (int): Room of each layer.

    Attributes:
        model (RealtimeModel): The view itself.
    """

    def __init__(self, base: "RealtimeModel", max_rank: int):
        self.model = clone_modules(base)
        self.room = Room()
        self._base = base
        self._max_rank = max_rank
        self._dtype = base.tts_input_types.weight.dtype
        self._layers: dict[str, SwitchableLoRA] = {}
        self._weights: dict[str, Tensor] = {}

    def grow(self, room: Room) -> bool:
        """Make room, empty at first; outputs stay as they are.

        Args:
            room (Room): Room that is needed.

        Returns:
            bool: Whether there was less: a compiled view compiles once more.
        """
        wanted = self.room | room
        if wanted == self.room:
            return False
        for path in sorted(wanted.layers - self.room.layers):
            self._add_layer(path, path in wanted.gains)
        for path in sorted((wanted.gains & self.room.layers) - self.room.gains):
            layer = self._layers[path]
            layer.gain = torch.zeros_like(layer.up[:, 0])
        for name in sorted(wanted.weights - self.room.weights):
            self._weights[name] = self._own_weight(name)
        self.room = wanted
        return True

    @torch.no_grad()
    def fill(self, changes: Strengths) -> None:
        """Write changes into the room in place of those before; it has been grown.

        Args:
            changes (Strengths): Changes with their strengths; none: the base.
        """
        for path, layer in self._layers.items():
            layer.fill([(c.layers[path], s) for c, s in changes if path in c.layers])
        for name, weight in self._weights.items():
            base = self._base.get_parameter(name)
            tuned = [(c.weights[name], s) for c, s in changes if name in c.weights]
            weight.copy_(_mix(base, tuned))

    def compile_parts(self, parts: Iterable[str], **options: object) -> None:
        """Compile parts of the view by `torch.compile`.

        Args:
            parts (Iterable[str]): Names of the parts.
            **options: Of `torch.compile`.
        """
        for part in parts:
            self.model.get_submodule(part).compile(**options)

    def _add_layer(self, path: str, has_gain: bool) -> None:
        layer = self.model.get_submodule(path)
        wrapped = SwitchableLoRA(layer, self._max_rank, self._dtype, has_gain)
        self.model.set_submodule(path, wrapped.eval())
        self._layers[path] = wrapped

    def _own_weight(self, name: str) -> Tensor:
        """Give the view a parameter of its own, equal to the base's."""
        path, _, leaf = name.rpartition(".")
        if path in self._layers:
            path = f"{path}.base"
        module = self.model.get_submodule(path)
        if not any(True for _ in module.children()):
            # shared with the base as a whole: take a shell that shares the tensors
            module = _copy_module(module, _list_tensors(module))
            self.model.set_submodule(path, module)
        base = self._base.get_parameter(name)
        own = nn.Parameter(base.detach().clone(), requires_grad=False)
        setattr(module, leaf, own)
        return own


def clone_modules(model: "RealtimeModel") -> "RealtimeModel":
    """Copy a model's tree of modules; leaves and tensors stay the same objects.

    Leaves are shared because quantised layers keep state besides their tensors. What
    was compiled is not so in the copy.

    Args:
        model (RealtimeModel): The model, in evaluation mode.

    Returns:
        RealtimeModel: The copy.
    """
    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    return _copy_module(model, [*_list_tensors(model), *leaves, model.config])


def _list_tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _copy_module(module: nn.Module, shared: Sequence[object]) -> nn.Module:
    """Copy a module; shared objects are not copied."""
    return copy.deepcopy(module, {id(item): item for item in shared})


def _mix(base: Tensor, tuned: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Add changes of a weight; one alone at strength 1 gives the tuned one exactly."""
    if not tuned:
        return base
    start = base.float()
    (first, strength), *others = tuned
    mixed = torch.lerp(start, first.float(), strength)
    for weight, strength in others:
        mixed = mixed + strength * (weight.float() - start)
    return mixed
