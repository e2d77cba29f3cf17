"""One run of a language-model part, and files that hold several of them.

Names in our files are ``<branch>.last_hidden_state``, ``<branch>.key_cache.<layer>``
and ``<branch>.value_cache.<layer>``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from espnet_vibevoice.data.atomic import write_bytes_atomic

_NAME = re.compile(r"(\w+)\.(?:(last_hidden_state)|(key|value)_cache\.(\d+))")


@dataclass(frozen=True)
class BranchSizes:
    """What must agree between a run and the part that goes on from it.

    Args:
        layers (int): Number of layers.
        key_value_heads (int): Heads of keys and values.
        head_dim (int): Size of a head.
        hidden_size (int): Width of the hidden states.
    """

    layers: int
    key_value_heads: int
    head_dim: int
    hidden_size: int

    @classmethod
    def of_part(cls, part: PreTrainedModel) -> "BranchSizes":
        """Sizes of a language-model part."""
        config = part.config
        head_dim = config.hidden_size // config.num_attention_heads
        return cls(
            config.num_hidden_layers,
            config.num_key_value_heads,
            head_dim,
            config.hidden_size,
        )

    def __str__(self) -> str:
        """Name each size."""
        return (
            f"{self.layers} layers, {self.key_value_heads} key-value heads of "
            f"{self.head_dim}, hidden {self.hidden_size}"
        )


@dataclass(frozen=True)
class StoredBranch:
    """What one run has left: L positions, one cached pair per layer.

    Args:
        last_hidden_state (Tensor): Output of the last layer (1, L, H).
        keys (list[Tensor]): Keys after rotation, each (1, heads, L, head_dim).
        values (list[Tensor]): Values, each (1, heads, L, head_dim).

    Raises:
        ValueError: If the shapes or types do not belong together.
    """

    last_hidden_state: Tensor
    keys: list[Tensor]
    values: list[Tensor]

    def __post_init__(self) -> None:
        """Check shapes and types."""
        hidden = self.last_hidden_state
        if hidden.dim() != 3 or hidden.shape[0] != 1 or hidden.shape[1] == 0:
            raise ValueError(f"hidden states {tuple(hidden.shape)}, wanted (1, L, H)")
        if not self.keys or len(self.keys) != len(self.values):
            raise ValueError(
                f"{len(self.keys)} keys and {len(self.values)} values, wanted as many "
                "of each as layers"
            )
        shape = tuple(self.keys[0].shape)
        if len(shape) != 4 or shape[0] != 1 or shape[2] != hidden.shape[1]:
            raise ValueError(
                f"keys {shape}, wanted (1, heads, {hidden.shape[1]}, head size)"
            )
        for tensor in [hidden, *self.keys, *self.values]:
            if tensor.dtype != hidden.dtype or not tensor.is_floating_point():
                raise ValueError(f"types {hidden.dtype} and {tensor.dtype} are mixed")
            if tensor is not hidden and tuple(tensor.shape) != shape:
                raise ValueError(f"shapes {shape} and {tuple(tensor.shape)} are mixed")

    @property
    def length(self) -> int:
        """Positions read, L."""
        return self.last_hidden_state.shape[1]

    @property
    def sizes(self) -> BranchSizes:
        """Layers, heads and widths."""
        _, heads, _, head_dim = self.keys[0].shape
        return BranchSizes(
            len(self.keys), heads, head_dim, self.last_hidden_state.shape[2]
        )

    def to_cache(self) -> DynamicCache:
        """Copy keys and values into a cache that generation may extend."""
        cache = DynamicCache()
        for layer, (key, value) in enumerate(zip(self.keys, self.values, strict=True)):
            cache.update(key.clone(), value.clone(), layer)
        return cache

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "StoredBranch":
        """Move to a device and a floating-point type."""
        return StoredBranch(
            self.last_hidden_state.to(device, dtype),
            [tensor.to(device, dtype) for tensor in self.keys],
            [tensor.to(device, dtype) for tensor in self.values],
        )


def run_part(part: PreTrainedModel, **inputs: Tensor) -> StoredBranch:
    """Run a language-model part from its start and keep what it has read.

    Args:
        part (PreTrainedModel): The part.
        **inputs (Tensor): ``input_ids`` (1, L) or ``inputs_embeds`` (1, L, H).
    """
    cache = DynamicCache()
    output = part(**inputs, past_key_values=cache, use_cache=True)
    hidden = output.last_hidden_state
    # Under autocast keys and values have another type than the hidden states.
    return StoredBranch(
        hidden,
        [layer.keys.to(hidden.dtype) for layer in cache.layers],
        [layer.values.to(hidden.dtype) for layer in cache.layers],
    )


def write_branches(
    path: Path,
    branches: Mapping[str, StoredBranch],
    metadata: dict[str, str],
    others: Mapping[str, Tensor],
) -> None:
    """Write runs as ``.safetensors``, whole or not at all; nothing is rounded.

    Args:
        path (Path): File to write; its folder is made.
        branches (Mapping): Name to run.
        metadata (dict[str, str]): What the head of the file is to say.
        others (Mapping): Name to tensor, what the file is to hold besides.
    """
    tensors = dict(others)
    for name, branch in branches.items():
        tensors[f"{name}.last_hidden_state"] = branch.last_hidden_state
        for kind, layers in (("key", branch.keys), ("value", branch.values)):
            for index, tensor in enumerate(layers):
                tensors[f"{name}.{kind}_cache.{index}"] = tensor
    # tensors that share memory are refused by safetensors: each gets its own
    own = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_bytes_atomic(path, save(own, metadata))


def read_tensors(path: Path, wanted_format: str) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` file, see `collect_branches`.

    Args:
        path (Path): The file.
        wanted_format (str): ``format`` in its metadata.

    Raises:
        ValueError: If it is damaged or of another kind.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as err:
        raise ValueError(
            f"{path}: not a whole safetensors file ({err}). Make or fetch it again."
        ) from err
    if metadata.get("format") != wanted_format:
        raise ValueError(
            f"{path}: its format is {metadata.get('format')!r}, wanted "
            f"{wanted_format!r}. Give another file."
        )
    return tensors


def collect_branches(
    path: Path, tensors: Mapping[str, Tensor]
) -> dict[str, StoredBranch]:
    """Put named tensors together to runs.

    Args:
        path (Path): Where they came from, for messages.
        tensors (Mapping): Name, see the head of this module, to tensor.

    Raises:
        ValueError: If a name is strange, a tensor is missing or shapes do not agree.
    """
    found: dict[str, dict[str, dict[int, Tensor]]] = {}
    for name, tensor in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{path}: unexpected tensor {name}. Make it again.")
        kind = match[2] or match[3]
        branch = found.setdefault(match[1], {})
        branch.setdefault(kind, {})[int(match[4] or 0)] = tensor
    return {name: _assemble(path, name, kinds) for name, kinds in found.items()}


def _assemble(
    path: Path, name: str, kinds: dict[str, dict[int, Tensor]]
) -> StoredBranch:
    """Make one run of its numbered tensors."""
    layers = range(len(kinds.get("key", {}) | kinds.get("value", {})))
    wanted = {"last_hidden_state": range(1), "key": layers, "value": layers}
    for kind, numbers in wanted.items():
        absent = set(numbers) - set(kinds.get(kind, {}))
        if absent:
            what = (
                kind if kind == "last_hidden_state" else f"{kind}_cache.{min(absent)}"
            )
            raise ValueError(
                f"{path}: the tensor {name}.{what} is missing. Make or fetch the "
                "file again."
            )
    lists = {
        kind: [tensors[index] for index in sorted(tensors)]
        for kind, tensors in kinds.items()
    }
    return make_branch(
        path, name, lists["last_hidden_state"][0], lists.get("key"), lists.get("value")
    )


def make_branch(
    path: Path,
    name: str,
    last_hidden_state: Tensor,
    keys: list[Tensor] | None,
    values: list[Tensor] | None,
) -> StoredBranch:
    """Make a run; its faults get the names of file and branch.

    Raises:
        ValueError: If shapes or types do not agree.
    """
    try:
        return StoredBranch(last_hidden_state, keys or [], values or [])
    except ValueError as err:
        raise ValueError(f"{path}: {name}: {err}. Make or fetch it again.") from err
