"""Adapters that are switched while a model is in use.

An `AdapterSet` holds one base and any number of adapters for it. Its live view speaks
with those that are enabled; a session is a view with adapters of its own, so that
generations side by side each keep theirs whatever happens to the live one. The base
itself is never changed.

A running generation on the live view hears a switch from its next frame on, with what
it has read so far as it was. Switch in the thread that generates, between frames:
from another thread the change would come in the middle of a frame. Use a session for
all that runs concurrently.

What a voice prompt holds was computed by the base. An adapter was trained with prompts
that its own weights had read, so let the view read it: ``prompt.read_by(view)``, again
after each switch of the live view. Prompts without a source (official presets) are
used as they are.
"""

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.effect import LoadReport
from espnet_vibevoice.adapters.lora import list_lora_layers
from espnet_vibevoice.adapters.plan import TrainingPlan
from espnet_vibevoice.adapters.store import AdapterState, AdapterStore
from espnet_vibevoice.adapters.views import ModelView, Room
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.text.tokenizer import load_tokenizer

COMPILED_PARTS = ("tts_language_model", "prediction_head")
logger = logging.getLogger(__name__)


class AdapterSet:
    """A base with adapters that can be loaded, mixed and switched.

    Args:
        model (RealtimeModel): The base, in evaluation mode, on its device in its type,
            and with its negative prompt known: later changes do not reach the views.
        max_rank (int): Room for LoRA in each layer: the ranks of all adapters that
            are enabled together. More costs time in every layer with room.
        targets (TrainingPlan | None): Adapters of this plan find room from the
            start. Others get it when they are loaded, upon which a compiled model
            compiles once more.
        fingerprint (str | None): Fingerprint of the base's weights
            (`models.fingerprint`); None: adapters of other bases are not noticed.

    Raises:
        ValueError: If the rank is below 1, or the model has LoRA layers itself.
        RuntimeError: If the model is in training mode.
    """

    def __init__(
        self,
        model: RealtimeModel,
        max_rank: int = 64,
        targets: TrainingPlan | None = None,
        fingerprint: str | None = None,
    ):
        if max_rank < 1:
            raise ValueError(f"max_rank is {max_rank}: give at least 1.")
        if model.training:
            raise RuntimeError("the base is in training mode: call model.eval() first.")
        if list_lora_layers(model):
            raise ValueError(
                "the base has LoRA layers: give the plain base, and load them as an "
                "adapter."
            )
        self._max_rank = max_rank
        self._base = model
        self._room = Room() if targets is None else Room.for_plan(model, targets)
        self._compile_options: dict[str, object] | None = None
        self._lock = threading.RLock()
        self._store = AdapterStore(model, max_rank, fingerprint)
        self._scales: dict[str, float] = {}  # of the enabled ones, in their order
        self._idle: list[ModelView] = []
        self._live = self._make_view()

    @classmethod
    def from_base(
        cls,
        base: str,
        max_rank: int = 64,
        targets: TrainingPlan | None = None,
        *,
        tokenizer: str | None = None,
        **options: object,
    ) -> "AdapterSet":
        """Load a base together with the fingerprint of its weights.

        Args:
            base (str): Folder or hub id, see `RealtimeModel.from_base`.
            max_rank (int): See the class.
            targets (TrainingPlan | None): See the class.
            tokenizer (str | None): Tokenizer of a base that brings none.
            **options: ``dtype``, ``attn_implementation``, ``device``.
        """
        folder = resolve_base(base)
        model = RealtimeModel.from_base(base, **options)
        if model.negative_prompt_id is None:
            text_tokenizer = load_tokenizer(folder, tokenizer)
            model.negative_prompt_id = text_tokenizer.negative_prompt_id
        return cls(model, max_rank, targets, fingerprint_weights(folder))

    @property
    def model(self) -> RealtimeModel:
        """The live view, always the same object: generate with it."""
        return self._live.model

    def load(self, name: str, source: Adapter | Path | str) -> LoadReport:
        """Load an adapter; it stays disabled. What it changes is logged.

        Args:
            name (str): Name to give it.
            source (Adapter | Path | str): The adapter, or where to read it, see
                `folder.read_adapter`.

        Returns:
            LoadReport: What it changes.

        Raises:
            FileNotFoundError: If there is no such adapter.
            ValueError: If the name is taken, or the adapter is of another base, does
                not fit, takes more rank than there is or changes nothing.
        """
        loaded = self._store.prepare(name, source)
        with self._lock:
            self._store.add(name, loaded)
            self._room |= Room.for_change(loaded.change)
            if self._live.grow(self._room) and self._compile_options is not None:
                logger.info(
                    "adapter %s needed new room: the compiled model compiles once "
                    "more. Give AdapterSet its plan as targets to avoid that",
                    name,
                )
        return loaded.report

    def unload(self, name: str) -> None:
        """Forget an adapter, disabled first; sessions that use it go on.

        Args:
            name (str): Its name.

        Raises:
            ValueError: If there is none of that name.
        """
        with self._lock:
            self.disable(name)
            self._store.unload(name)

    def enable(self, name: str, scale: float = 1.0) -> None:
        """Let the live view speak with an adapter, besides those enabled already.

        Args:
            name (str): Its name.
            scale (float): Strength, 0 to 1.5; 1 is as trained.

        Raises:
            ValueError: If there is none of that name, the scale is out of range, or
                the ranks of all enabled ones exceed ``max_rank``.
        """
        with self._lock:
            self._set_live({**self._scales, name: scale})

    def disable(self, name: str | None = None) -> None:
        """Let the live view speak without an adapter.

        Args:
            name (str | None): Its name, disabled before or not; None: all.

        Raises:
            ValueError: If there is none of that name.
        """
        with self._lock:
            if name is not None:
                self._store.find(name)
            kept = {k: s for k, s in self._scales.items() if name not in (None, k)}
            self._set_live(kept)

    def scale(self, name: str, scale: float) -> None:
        """Change the strength of an enabled adapter.

        Args:
            name (str): Its name.
            scale (float): Strength, 0 to 1.5; 1 is as trained.

        Raises:
            ValueError: If there is none of that name, or the scale is out of range.
            RuntimeError: If it is disabled.
        """
        with self._lock:
            self._check_enabled(name)
            self._set_live({**self._scales, name: scale})

    def swap(self, old: str, new: str) -> None:
        """Put one adapter in the place of another, with its strength.

        Args:
            old (str): Name of the enabled one.
            new (str): Name of the one to enable.

        Raises:
            ValueError: If there is none of a name, or the ranks exceed ``max_rank``.
            RuntimeError: If the old one is disabled.
        """
        with self._lock:
            self._check_enabled(old)
            rest = {name: s for name, s in self._scales.items() if name != old}
            self._set_live({**rest, new: self._scales[old]})

    def reset(self) -> None:
        """Disable all adapters and release the memory of idle sessions."""
        with self._lock:
            self.disable()
            self._idle.clear()

    def list(self) -> tuple[AdapterState, ...]:
        """Describe the loaded adapters, in the order of loading."""
        with self._lock:
            return self._store.describe(self._scales)

    @contextlib.contextmanager
    def session(self, scales: Mapping[str, float]) -> Iterator[RealtimeModel]:
        """Lend a view with adapters of its own, for one generation at a time.

        Args:
            scales (Mapping[str, float]): Name of each adapter to its strength; empty:
                the base.

        Yields:
            RealtimeModel: The view. Others get it afterwards, so a stream is to be
                heard to its end inside the ``with``.

        Raises:
            ValueError: As in `enable`.
        """
        with self._lock:
            changes = self._store.pick(scales)
            view = self._idle.pop() if self._idle else self._make_view()
            room = self._room
        view.grow(room)
        view.fill(changes)
        try:
            yield view.model
        finally:
            with self._lock:
                self._idle.append(view)

    def compile(self, **options: object) -> None:
        """Compile the upper part and the diffusion head, which run for each frame.

        Views share what is compiled. The upper part is compiled once for each form of
        its inputs (first window, one frame, batch with a mask, ...), six times for
        single texts. Above 8 it runs uncompiled, with a warning of torch: raise
        ``torch._dynamo.config.recompile_limit``.

        Args:
            **options: Of `torch.compile`.
        """
        with self._lock:
            self._compile_options = options
            for view in (self._live, *self._idle):
                view.compile_parts(COMPILED_PARTS, **options)

    def _make_view(self) -> ModelView:
        view = ModelView(self._base, self._max_rank)
        view.grow(self._room)
        if self._compile_options is not None:
            view.compile_parts(COMPILED_PARTS, **self._compile_options)
        return view

    def _set_live(self, scales: dict[str, float]) -> None:
        self._live.fill(self._store.pick(scales))
        self._scales = scales

    def _check_enabled(self, name: str) -> None:
        self._store.find(name)
        if name not in self._scales:
            raise RuntimeError(f"adapter {name} is disabled: enable it first.")
