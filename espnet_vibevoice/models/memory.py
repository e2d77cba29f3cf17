"""What training keeps in memory, and in which precision it computes.

Trained parameters are always float32. Frozen ones may be kept in bfloat16 or, linear
layers of the language model, in 8 or 4 bits; networks then run under bfloat16 autocast.
The codec, losses and the arithmetic of the diffusion solver stay float32.
"""

import contextlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from espnet_vibevoice.models.quantization import (
    QUANTIZATIONS,
    check_device,
    quantize_linear_layers,
)

if TYPE_CHECKING:
    from espnet_vibevoice.adapters.plan import TrainingPlan

logger = logging.getLogger(__name__)

PRECISIONS = ("float32", "bfloat16")
CODEC_PARTS = ("acoustic_tokenizer", "semantic_tokenizer")
LANGUAGE_PARTS = ("language_model", "tts_language_model")


@dataclass(frozen=True)
class MemorySettings:
    """How a model is kept in memory.

    Args:
        precision (str): float32 | bfloat16: autocast of training and decoding.
        base_dtype (str): float32 | bfloat16: type of the frozen weights.
        quantize_base (str | None): 8bit | 4bit: how the frozen linear layers of the
            language model are kept (bitsandbytes); None as ``base_dtype`` says.
        gradient_checkpointing (bool): Whether the language model's activations are
            computed again in the backward pass: less memory, more time.

    Raises:
        ValueError: If a value is unknown, or half or quantised weights would run
            without autocast.
    """

    precision: str = "float32"
    base_dtype: str = "float32"
    quantize_base: str | None = None
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        """Refuse values that do not fit."""
        for name in ("precision", "base_dtype"):
            value = getattr(self, name)
            if value not in PRECISIONS:
                raise ValueError(
                    f"tts_conf {name} is {value!r}: choose one of "
                    f"{', '.join(PRECISIONS)}"
                )
        if self.quantize_base not in (None, *QUANTIZATIONS):
            raise ValueError(
                f"tts_conf quantize_base is {self.quantize_base!r}: choose one of "
                f"{', '.join(QUANTIZATIONS)}, or null"
            )
        if not isinstance(self.gradient_checkpointing, bool):
            raise ValueError(
                f"tts_conf gradient_checkpointing is {self.gradient_checkpointing!r}: "
                "choose true or false"
            )
        if self.precision == "bfloat16":
            return
        for name, plain in (("base_dtype", "float32"), ("quantize_base", None)):
            value = getattr(self, name)
            if value != plain:
                raise ValueError(
                    f"tts_conf {name} {value} needs precision bfloat16, got "
                    f"{self.precision}: set precision: bfloat16, or leave {name} out"
                )


@contextlib.contextmanager
def autocast(settings: MemorySettings, device: torch.device | str) -> Iterator[None]:
    """Compute in the precision of the settings; for training and for generation.

    Args:
        settings (MemorySettings): Settings.
        device (torch.device | str): Where the model is.

    Raises:
        ValueError: If quantised weights cannot run on this device.
    """
    kind = torch.device(device).type
    if settings.quantize_base is not None:
        check_device(kind)
    if settings.precision == "float32":
        yield  # an autocast of the caller's own stays in force
        return
    with torch.autocast(kind, dtype=torch.bfloat16):
        yield


def list_frozen(model: nn.Module, plan: "TrainingPlan") -> dict[str, nn.Parameter]:
    """List the base's parameters that a plan freezes, the codec's left out.

    Args:
        model (nn.Module): Model whose children are the parts, without LoRA.
        plan (TrainingPlan): What is trained.

    Returns:
        dict[str, nn.Parameter]: Name to parameter.
    """
    frozen = {}
    for name, parameter in model.named_parameters():
        part, _, inner = name.partition(".")
        is_trained = part in plan.full and not plan.is_frozen_head_layer(part, inner)
        if not is_trained and part not in CODEC_PARTS:
            frozen[name] = parameter
    return frozen


def prepare_memory(
    model: nn.Module, plan: "TrainingPlan", settings: MemorySettings
) -> None:
    """Bring frozen weights to their type. Call it before LoRA is injected.

    One tensor is converted at a time. Later conversions of the model, as ESPnet's to
    float32, leave frozen weights as they are (`conversion.SteadyModel`).

    Args:
        model (SteadyModel): A model in float32, just loaded.
        plan (TrainingPlan): What is trained.
        settings (MemorySettings): Settings.

    Raises:
        RuntimeError: If bitsandbytes is needed and not installed.
        ValueError: If no linear layer is left to quantise.
    """
    frozen = list_frozen(model, plan)
    for parameter in frozen.values():
        parameter.requires_grad_(False)
    if settings.quantize_base is not None:
        parts = [part for part, _ in model.named_children() if part in LANGUAGE_PARTS]
        chosen = [part for part in parts if part not in plan.full]
        if not chosen:
            raise ValueError(
                f"tts_conf quantize_base {settings.quantize_base}: strategy "
                f"{plan.strategy} trains {', '.join(parts)} in full, so nothing is "
                "left to quantise. Leave quantize_base out, or choose strategy lora"
            )
        for part in chosen:
            quantize_linear_layers(model.get_submodule(part), settings.quantize_base)
        frozen = list_frozen(model, plan)
    if settings.base_dtype == "bfloat16":
        for parameter in frozen.values():
            if parameter.dtype == torch.float32:
                parameter.data = parameter.data.to(torch.bfloat16)
    model.keeps_frozen_types = True
    size = sum(p.numel() * p.element_size() for p in frozen.values())
    logger.info(
        "frozen weights: %d tensors, %.1f MB, linear layers %s, others %s; autocast %s",
        len(frozen),
        size / 1e6,
        settings.quantize_base or settings.base_dtype,
        settings.base_dtype,
        settings.precision,
    )


def enable_checkpointing(model: nn.Module, settings: MemorySettings) -> None:
    """Have activations computed again where gradients flow, if the settings say so.

    Args:
        model (nn.Module): Model whose children are the parts; what is trained requires
            gradients already.
        settings (MemorySettings): Settings.
    """
    if not settings.gradient_checkpointing:
        return
    parts = dict(model.named_children())
    for part in [name for name in LANGUAGE_PARTS if name in parts]:
        feeders = [name for name in list_feeders(part, parts) if name in parts]
        reached = [parts[name] for name in (part, *feeders)]
        if any(p.requires_grad for module in reached for p in module.parameters()):
            parts[part].activation_checkpointing_enable({"use_reentrant": False})
            # Needed by the reentrant way only; it would mark generation's inputs.
            parts[part].disable_input_require_grads()
            parts[part].register_forward_pre_hook(_checkpoint_with_gradients)


def list_feeders(part: str, parts: Collection[str]) -> tuple[str, ...]:
    """List the parts whose gradients pass through a language-model part.

    Args:
        part (str): language_model | tts_language_model.
        parts (Collection[str]): Parts of the model; only the realtime family has a
            tts_language_model, which then reads speech alone.
    """
    if part == "tts_language_model":
        return ("language_model", "tts_input_types", "acoustic_connector")
    if "tts_language_model" in parts:
        return ()
    return ("acoustic_connector", "semantic_connector")


def _checkpoint_with_gradients(module: nn.Module, args: tuple) -> None:
    """Switch checkpointing on for passes with gradients, in evaluation mode too.

    transformers' layers ask for training mode; a frozen part that gradients pass
    through is in evaluation mode. Dropout is decided by their children, not by them.
    """
    for layer in module.layers:
        layer.training = torch.is_grad_enabled()
