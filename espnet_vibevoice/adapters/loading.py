"""An adapter brought into a model, with every tensor and its effect checked."""

import copy
import logging
from typing import TYPE_CHECKING

import torch

from espnet_vibevoice.adapters.adapter import Adapter
from espnet_vibevoice.adapters.change import check_adapter
from espnet_vibevoice.adapters.lora import ADAPTER_NAME, apply_plan, list_lora_layers
from espnet_vibevoice.errors import summarize_faults

if TYPE_CHECKING:
    from espnet_vibevoice.models.realtime import RealtimeModel

logger = logging.getLogger(__name__)


def check_base(adapter: Adapter, base: str, fingerprint: str) -> None:
    """Refuse an adapter of another base.

    Args:
        adapter (Adapter): The adapter.
        base (str): Base to load it on, for the message.
        fingerprint (str): Fingerprint of that base.

    Raises:
        ValueError: If the fingerprints differ.
    """
    if adapter.base_fingerprint is None:
        logger.warning(
            "the adapter has no fingerprint of its base (it names %s): whether it was "
            "made for %s cannot be checked, only whether its tensors fit",
            adapter.base,
            base,
        )
    elif adapter.base_fingerprint != fingerprint:
        raise ValueError(
            f"the adapter was made for a base with fingerprint "
            f"{adapter.base_fingerprint} ({adapter.base}), {base} has {fingerprint}. "
            "Give the base that it was made for."
        )


def adapt_model(base_model: "RealtimeModel", adapter: Adapter) -> "RealtimeModel":
    """Make a model with an adapter; frozen parts are shared with the base.

    Args:
        base_model (RealtimeModel): The base, without LoRA; it is left as it was.
        adapter (Adapter): The adapter.

    Returns:
        RealtimeModel: With peft's layers, in evaluation mode.

    Raises:
        ValueError: If a tensor does not fit, see `change.check_adapter`.
    """
    check_adapter(base_model, adapter)
    shared = {
        id(module): module
        for part, module in base_model.named_children()
        if part not in adapter.plan.parts
    }
    model = copy.deepcopy(base_model, shared)
    apply_plan(model, adapter.plan)
    fill_adapter(model, adapter)
    return model.eval()


@torch.no_grad()
def fill_adapter(model: "RealtimeModel", adapter: Adapter) -> None:
    """Write an adapter's weights into a model to which its plan was applied.

    Args:
        model (RealtimeModel): The model; changed in place.
        adapter (Adapter): The adapter; `change.check_adapter` has passed it.

    Raises:
        ValueError: If the layers with LoRA are not those of the adapter.
    """
    faults = []
    for part, layers in adapter.lora.items():
        own = list_lora_layers(model.get_submodule(part))
        faults += [f"missing {part}.{path}" for path in sorted(own.keys() - layers)]
        faults += [f"unexpected {part}.{path}" for path in sorted(layers.keys() - own)]
    if faults:
        raise ValueError(
            f"the layers of the adapter are not those of its plan: "
            f"{summarize_faults(faults)}. An adapter on some blocks only cannot be "
            "loaded; export it again, or merge it with the tool that made it."
        )
    for part, layers in adapter.lora.items():
        own = list_lora_layers(model.get_submodule(part))
        for path, factors in layers.items():
            own[path].lora_A[ADAPTER_NAME].weight.copy_(factors.a)
            own[path].lora_B[ADAPTER_NAME].weight.copy_(factors.b)
            if factors.magnitude is not None:
                magnitude = own[path].lora_magnitude_vector[ADAPTER_NAME].weight
                magnitude.copy_(factors.magnitude)
    for part, weights in adapter.full.items():
        for name, weight in weights.items():
            model.get_parameter(f"{part}.{name}").copy_(weight)
