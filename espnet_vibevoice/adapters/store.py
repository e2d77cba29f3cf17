"""Loaded adapters of one base: each checked, measured and kept as changes.

A load either finds a place for every tensor and an effect in the outputs, or fails.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.change import ModelChange, resolve_change
from espnet_vibevoice.adapters.effect import LoadReport, measure_parts, probe_effect
from espnet_vibevoice.adapters.folder import read_adapter
from espnet_vibevoice.adapters.loading import check_base
from espnet_vibevoice.adapters.merge import MAX_SCALE
from espnet_vibevoice.adapters.views import ModelView, Room, Strengths
from espnet_vibevoice.models.realtime import RealtimeModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedAdapter:
    """A loaded adapter.

    Args:
        change (ModelChange): What it changes.
        parts (tuple[str, ...]): Parts that this is in.
        report (LoadReport): How much.
    """

    change: ModelChange
    parts: tuple[str, ...]
    report: LoadReport


@dataclass(frozen=True)
class AdapterState:
    """One adapter of a set.

    Args:
        name (str): Its name.
        is_enabled (bool): Whether the live view speaks with it.
        scale (float): Its strength there; 0 if disabled.
        parts (tuple[str, ...]): Parts that it changes.
        rank (int): Largest rank of its LoRA; 0 without.
    """

    name: str
    is_enabled: bool
    scale: float
    parts: tuple[str, ...]
    rank: int


class AdapterStore:
    """Adapters of one base by name.

    Args:
        model (RealtimeModel): The base, in evaluation mode.
        max_rank (int): Largest rank in one layer, of all used together.
        fingerprint (str | None): Fingerprint of the base's weights, if known.
    """

    def __init__(self, model: RealtimeModel, max_rank: int, fingerprint: str | None):
        self._base = model
        self._max_rank = max_rank
        self._fingerprint = fingerprint
        self._loaded: dict[str, LoadedAdapter] = {}

    def prepare(self, name: str, source: Adapter | Path | str) -> LoadedAdapter:
        """Read, check and measure an adapter, see `hot_swap.AdapterSet.load`."""
        self._check_free(name)
        if isinstance(source, Adapter):
            adapter = source
        else:
            family = self._base.config.original["model_type"]
            adapter = read_adapter(Path(source), family)
        change = self._resolve(name, adapter)
        report = self._measure(name, change)
        report.check()
        logger.info("%s", report)
        return LoadedAdapter(change, adapter.parts, report)

    def add(self, name: str, loaded: LoadedAdapter) -> None:
        """Keep an adapter; raise ValueError if there is one of that name."""
        self._check_free(name)
        self._loaded[name] = loaded

    def unload(self, name: str) -> None:
        """Forget an adapter; raise ValueError if there is none of that name."""
        self.find(name)
        del self._loaded[name]

    def find(self, name: str) -> LoadedAdapter:
        """Look an adapter up; raise ValueError if there is none of that name."""
        if name not in self._loaded:
            known = ", ".join(self._loaded) or "none"
            raise ValueError(
                f"adapter {name!r} is not loaded (loaded: {known}): load it first."
            )
        return self._loaded[name]

    def describe(self, scales: Mapping[str, float]) -> tuple[AdapterState, ...]:
        """Describe all adapters, in the order of loading.

        Args:
            scales (Mapping[str, float]): Strengths of the enabled ones.
        """
        return tuple(
            AdapterState(
                name=name,
                is_enabled=name in scales,
                scale=scales.get(name, 0.0),
                parts=loaded.parts,
                rank=loaded.change.rank,
            )
            for name, loaded in self._loaded.items()
        )

    def pick(self, scales: Mapping[str, float]) -> Strengths:
        """Look adapters up and check that they can be used together.

        Args:
            scales (Mapping[str, float]): Name to strength, 0 to 1.5.

        Raises:
            ValueError: If there is none of a name, a strength is out of range, or the
                ranks in one layer exceed the room.
        """
        changes = []
        for name, scale in scales.items():
            if not 0 <= scale <= MAX_SCALE:
                raise ValueError(
                    f"adapter {name}: scale {scale}, wanted 0 to {MAX_SCALE}; 1 is as "
                    "trained."
                )
            changes.append((self.find(name).change, scale))
        self._check_ranks(scales)
        return changes

    def _check_free(self, name: str) -> None:
        if name in self._loaded:
            raise ValueError(
                f"adapter {name} is loaded already: unload it first, or choose another "
                "name."
            )

    def _check_ranks(self, names: Mapping[str, float]) -> None:
        """Refuse adapters whose ranks in one layer exceed the room."""
        ranks: dict[str, int] = {}
        for name in names:
            for path, change in self._loaded[name].change.layers.items():
                ranks[path] = ranks.get(path, 0) + change.rank
        path = max(ranks, key=ranks.__getitem__, default="")
        if path and ranks[path] > self._max_rank:
            raise ValueError(
                f"adapters {', '.join(names)} take rank {ranks[path]} together in "
                f"{path}, there is room for {self._max_rank}: disable one, or make the "
                "AdapterSet with a larger max_rank."
            )

    def _measure(self, name: str, change: ModelChange) -> LoadReport:
        """Measure the effect in views of its own, which are never compiled."""
        plain = ModelView(self._base, 1)
        adapted = ModelView(self._base, max(change.rank, 1))
        adapted.grow(Room.for_change(change))
        adapted.fill([(change, 1.0)])
        effect = probe_effect(plain.model, adapted.model)
        return LoadReport(name, measure_parts(self._base, change), effect)

    def _resolve(self, name: str, adapter: Adapter) -> ModelChange:
        """Work out what an adapter changes; faults get its name."""
        if self._fingerprint is None:
            logger.warning(
                "adapter %s: whether it was made for this base (it names %s) cannot be "
                "checked, because the fingerprint of the base was not given",
                name,
                adapter.base,
            )
        else:
            check_base(adapter, "the base in use", self._fingerprint)
        try:
            change = resolve_change(self._base, adapter)
        except ValueError as err:
            raise ValueError(f"adapter {name}: {err}") from err
        if change.rank > self._max_rank:
            raise ValueError(
                f"adapter {name} has rank {change.rank}, there is room for "
                f"{self._max_rank}: make the AdapterSet with max_rank={change.rank}."
            )
        return change
