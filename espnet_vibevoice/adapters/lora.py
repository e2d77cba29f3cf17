"""Puts a training plan into force: what is frozen, what gets LoRA, what is trained."""

from torch import nn

from espnet_vibevoice.adapters.parts import HEAD
from espnet_vibevoice.adapters.plan import LoraSettings, TrainingPlan

ADAPTER_NAME = "default"


def apply_plan(model: nn.Module, plan: TrainingPlan) -> None:
    """Freeze a model but for what the plan trains, and inject LoRA in place.

    Names inside a part stay as they are; peft wraps the linear layers that get LoRA.
    Factors are float32 however the base's weights are kept. What they add is zero
    until the first step.

    Args:
        model (nn.Module): Model with the parts as children; without LoRA so far.
        plan (TrainingPlan): What is trained.

    Raises:
        ValueError: If the model lacks a part or layer that the plan names.
    """
    children = dict(model.named_children())
    absent = [part for part in plan.parts if part not in children]
    if absent:
        raise ValueError(
            f"the model has no {', '.join(absent)}, which strategy {plan.strategy} "
            f"trains: it has {', '.join(children)}."
        )
    if plan.frozen_head_layers:
        plan.check_head_layers(len(children[HEAD].layers))
    model.requires_grad_(False)
    for part, settings in plan.lora.items():
        _inject(children[part], _find_targets(children[part], part, plan), settings)
    for part in plan.full:
        for name, parameter in children[part].named_parameters():
            parameter.requires_grad_(not plan.is_frozen_head_layer(part, name))


def list_lora_layers(module: nn.Module) -> dict[str, nn.Module]:
    """List the layers that have LoRA.

    Args:
        module (nn.Module): A model or a part.

    Returns:
        dict[str, LoraLayer]: Path in the module to peft's layer, in the order of the
            module.
    """
    from peft.tuners.lora import LoraLayer

    return {
        path: layer
        for path, layer in module.named_modules()
        if isinstance(layer, LoraLayer)
    }


def _find_targets(module: nn.Module, part: str, plan: TrainingPlan) -> list[str]:
    """List the paths of the layers of a part that get LoRA."""
    layers = [
        path for path, layer in module.named_modules() if isinstance(layer, nn.Linear)
    ]
    targets = [path for path in layers if plan.gets_lora(part, path)]
    if not targets:
        there = sorted({path.rpartition(".")[2] for path in layers})
        raise ValueError(
            f"LoRA targets {', '.join(plan.lora[part].targets)} leave no layer of "
            f"{part}: it has {', '.join(there) or 'no linear layer'}, and "
            f"freeze_head_layers names {list(plan.frozen_head_layers)}. Give other "
            "targets, or take the part out of lora_parts."
        )
    return targets


def _inject(module: nn.Module, targets: list[str], settings: LoraSettings) -> None:
    """Wrap layers of one part with LoRA whose factors are trained."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        target_modules=targets,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        bias="none",
    )
    inject_adapter_in_model(config, module, ADAPTER_NAME)
    added = sorted(list_lora_layers(module))
    assert added == sorted(targets), (added, targets)
    for parameter in module.parameters():
        if parameter.requires_grad:  # peft's own only
            parameter.data = parameter.data.float()
