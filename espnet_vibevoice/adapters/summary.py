"""The table that says, before training starts, what is trained of a model."""

from collections.abc import Mapping

from torch import nn

from espnet_vibevoice.adapters.plan import TrainingPlan

_HEAD = ("part", "total", "trained", "share", "how")


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Count the parameters of each part of a base.

    Count before LoRA is injected and weights are quantised: the one adds parameters,
    the other packs several into one.

    Args:
        model (nn.Module): Model with the parts as children.

    Returns:
        dict[str, int]: Part to its parameters; children without any are left out.
    """
    counts = {
        part: sum(parameter.numel() for parameter in module.parameters())
        for part, module in model.named_children()
    }
    return {part: count for part, count in counts.items() if count}


def count_trained(model: nn.Module) -> dict[str, int]:
    """Count the parameters of each part that are trained, as the model stands.

    Args:
        model (nn.Module): Model with the parts as children.
    """
    return {
        part: sum(p.numel() for p in module.parameters() if p.requires_grad)
        for part, module in model.named_children()
    }


def tabulate_training(
    model: nn.Module, plan: TrainingPlan, totals: Mapping[str, int]
) -> str:
    """Make the table.

    Args:
        model (nn.Module): The model, after the plan was applied.
        plan (TrainingPlan): Says how each part is trained.
        totals (Mapping[str, int]): Parameters of each part, see `count_parameters`.

    Returns:
        str: A line for each part: total, trained, their share, and how; below it the
            sum of all.
    """
    trained = count_trained(model)
    rows = [
        (part, total, trained[part], plan.describe(part))
        for part, total in totals.items()
    ]
    whole = sum(totals.values())
    rows.append(("total", whole, sum(trained.values()), f"strategy {plan.strategy}"))
    cells = [
        (name, f"{total:,}", f"{count:,}", f"{count / total:.2%}", how)
        for name, total, count, how in rows
    ]
    widths = [max(len(row[i]) for row in (_HEAD, *cells)) for i in range(len(_HEAD))]
    return "\n".join(_align(row, widths) for row in (_HEAD, *cells))


def refuse_untrained(model: nn.Module) -> None:
    """Refuse a model that training would not change.

    Args:
        model (nn.Module): The model as the optimiser gets it.

    Raises:
        ValueError: If no parameter is trained.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(
            "nothing of the model is trained: all its parameters are frozen, by "
            "tts_conf (strategy, trained_parts, lora_parts, train_connectors) or by "
            "--freeze_param. Choose a strategy that trains a part, or freeze less."
        )


def _align(row: tuple[str, ...], widths: list[int]) -> str:
    """Pad the cells of a row; numbers to the right."""
    cells = [
        cell.rjust(width) if column in (1, 2, 3) else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
