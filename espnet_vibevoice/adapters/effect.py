"""Proof that an adapter acts: what changed in the weights, and what it does to outputs.

The most frequent fault of adapters is one that loads and changes nothing. So each load
is reported: tensors matched and norm of the change of each part, and the effect on a
small fixed input. An adapter without effect is an error.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from espnet_vibevoice.adapters.change import read_weight, resolve_change
from espnet_vibevoice.models.sequence import build_layout, gather_positions

if TYPE_CHECKING:
    from espnet_vibevoice.adapters.adapter import Adapter
    from espnet_vibevoice.adapters.change import ModelChange
    from espnet_vibevoice.models.realtime import RealtimeModel

PROBE_TOKENS = 12
PROBE_FRAMES = 8
_TOKEN_STEP = 7919  # prime: the tokens are spread over any vocabulary


@dataclass(frozen=True)
class PartChange:
    """What an adapter changes of one part.

    Args:
        part (str): Name of the part.
        method (str): lora | full.
        num_tensors (int): Tensors of the adapter that matched.
        change (float): Frobenius norm of the change of the weights.
        base (float): The same of the base's weights that are changed.
    """

    part: str
    method: str
    num_tensors: int
    change: float
    base: float

    @property
    def relative(self) -> float:
        """Change over base; infinite where the base is zero."""
        if self.base == 0:
            return float("inf") if self.change else 0.0
        return self.change / self.base


@dataclass(frozen=True)
class ProbeEffect:
    """Relative differences of a model's outputs for a fixed small input.

    Args:
        hidden (float): Of the upper part's hidden states.
        head (float): Of the velocities that the diffusion head predicts.
        end_of_speech (float): Of the end-of-speech logits.
    """

    hidden: float
    head: float
    end_of_speech: float

    @property
    def largest(self) -> float:
        """The largest of the three; 0 means no effect at all."""
        return max(self.hidden, self.head, self.end_of_speech)


@dataclass(frozen=True)
class LoadReport:
    """What loading an adapter has changed; ``str()`` is a table for the log.

    Args:
        name (str): Name of the adapter.
        parts (Sequence[PartChange]): Each part that it changes.
        effect (ProbeEffect): Its effect on the probe at full strength.
    """

    name: str
    parts: Sequence[PartChange]
    effect: ProbeEffect

    @property
    def num_tensors(self) -> int:
        """Tensors of the adapter, all matched."""
        return sum(part.num_tensors for part in self.parts)

    def __str__(self) -> str:
        width = max(len("part"), *(len(part.part) for part in self.parts))
        head = f"{'part':<{width}}  how   tensors   |change|     |base|  relative"
        rows = [
            f"{p.part:<{width}}  {p.method:<4}  {p.num_tensors:>7}  "
            f"{p.change:>9.3e}  {p.base:>9.3e}  {p.relative:>8.2%}"
            for p in self.parts
        ]
        title = f"adapter {self.name}: {self.num_tensors} tensors matched"
        probe = (
            f"effect on a probe: hidden states {self.effect.hidden:.2%}, diffusion "
            f"head {self.effect.head:.2%}, end of speech "
            f"{self.effect.end_of_speech:.2%}"
        )
        return "\n".join([title, head, *rows, probe])

    def check(self) -> None:
        """Refuse an adapter that changes nothing.

        Raises:
            ValueError: If the LoRA of a part is zero, or the effect on the probe is
                zero or not finite.
        """
        advice = "Export a later checkpoint, and check that its loss went down"
        for part in self.parts:
            if part.method == "lora" and part.change == 0:
                raise ValueError(
                    f"adapter {self.name}: LoRA of {part.part} changes nothing: the "
                    f"products B @ A of all its {part.num_tensors} tensors are zero. "
                    f"{advice}."
                )
        effects = (self.effect.hidden, self.effect.head, self.effect.end_of_speech)
        if not all(map(math.isfinite, effects)) or not any(effects):
            what = "has an effect of {:.2%}, {:.2%}, {:.2%}".format(*effects)
            what = what if any(effects) else "has no effect"
            raise ValueError(
                f"adapter {self.name}: {self.num_tensors} tensors matched, but it "
                f"{what} on the probe output. {advice}."
            )


def report_load(
    name: str,
    base_model: "RealtimeModel",
    adapter: "Adapter",
    adapted_model: "RealtimeModel",
) -> LoadReport:
    """Measure what an adapter has changed, and refuse one that changes nothing.

    Args:
        name (str): Name of the adapter in messages.
        base_model (RealtimeModel): The base, in evaluation mode.
        adapter (Adapter): The adapter.
        adapted_model (RealtimeModel): The base with the adapter in any form: view,
            merged, or with peft's layers; in evaluation mode.

    Returns:
        LoadReport: The report.

    Raises:
        ValueError: If the adapter does not fit the base, see
            `change.resolve_change`, or changes nothing, see `LoadReport.check`.
        RuntimeError: If a model is in training mode.
    """
    change = resolve_change(base_model, adapter)
    effect = probe_effect(base_model, adapted_model)
    report = LoadReport(name, measure_parts(base_model, change), effect)
    report.check()
    return report


@torch.no_grad()
def measure_parts(
    model: "RealtimeModel", change: "ModelChange"
) -> tuple[PartChange, ...]:
    """Measure the change of each part.

    Args:
        model (RealtimeModel): The base.
        change (ModelChange): What the adapter changes.

    Returns:
        tuple[PartChange, ...]: In the order of the adapter.
    """
    counts: dict[str, int] = {}
    changes: dict[str, float] = {}
    bases: dict[str, float] = {}
    methods: dict[str, str] = {}
    for path, num_tensors, norm in change.measure_norms(model):
        part = path.split(".", maxsplit=1)[0]
        if path in change.layers:
            weight, methods[part] = read_weight(model.get_submodule(path)), "lora"
        else:
            weight = model.get_parameter(path)
            methods.setdefault(part, "full")
        counts[part] = counts.get(part, 0) + num_tensors
        changes[part] = changes.get(part, 0.0) + norm**2
        bases[part] = bases.get(part, 0.0) + float(weight.float().norm()) ** 2
    return tuple(
        PartChange(part, methods[part], counts[part], changes[part] ** 0.5, base**0.5)
        for part, base in bases.items()
    )


def measure_effect(
    base_model: "RealtimeModel", adapted_model: "RealtimeModel"
) -> float:
    """Measure how much the outputs of two models differ, see `probe_effect`.

    Args:
        base_model (RealtimeModel): The base.
        adapted_model (RealtimeModel): The base with an adapter.

    Returns:
        float: Largest relative difference of the probe's outputs; 0: none at all.

    Raises:
        RuntimeError: If a model is in training mode.
    """
    return probe_effect(base_model, adapted_model).largest


def probe_effect(
    base_model: "RealtimeModel", adapted_model: "RealtimeModel"
) -> ProbeEffect:
    """Compare the outputs of two models for a fixed small input.

    Args:
        base_model (RealtimeModel): The base.
        adapted_model (RealtimeModel): The base with an adapter.

    Returns:
        ProbeEffect: Relative differences.

    Raises:
        RuntimeError: If a model is in training mode.
    """
    before, after = _run_probe(base_model), _run_probe(adapted_model)
    differences = [
        float((new - old).norm() / old.norm().clamp(min=torch.finfo(old.dtype).tiny))
        for old, new in zip(before, after, strict=True)
    ]
    return ProbeEffect(*differences)


@torch.no_grad()
def _run_probe(model: "RealtimeModel") -> tuple[Tensor, Tensor, Tensor]:
    """Run a model on the fixed input.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Hidden states (1, T_seq, H), velocities
            (T_lat, D) and end-of-speech logits (T_lat,), float32.
    """
    if model.training:
        raise RuntimeError(
            "the probe was given a model in training mode, where dropout changes its "
            "outputs. Call model.eval() first."
        )
    device = model.tts_input_types.weight.device
    generator = torch.Generator().manual_seed(0)
    size = (2, PROBE_FRAMES, model.config.latent_dim)
    latents, noise = torch.randn(size, generator=generator).to(device)
    vocab_size = model.config.language_model.vocab_size
    ids = torch.arange(PROBE_TOKENS, device=device) * _TOKEN_STEP % vocab_size
    layout = build_layout(
        torch.tensor([PROBE_TOKENS], device=device),
        torch.tensor([PROBE_FRAMES], device=device),
        text_window=5,
        speech_window=6,
    )
    hidden = model.run_sequence(model.embed_text(ids[None]), latents[None], layout)
    condition = gather_positions(hidden, layout.condition_positions)[0]
    steps = model.schedule.num_train_timesteps - 1
    timesteps = torch.linspace(0, steps, PROBE_FRAMES, device=device).round()
    velocity = model.prediction_head(noise.to(condition.dtype), timesteps, condition)
    spoken = gather_positions(hidden, layout.speech_positions)[0]
    logits = model.tts_eos_classifier(spoken)
    return hidden.float(), velocity.float(), logits.float()
