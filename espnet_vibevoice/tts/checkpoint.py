"""Checkpoints that hold the trained parameters only, and loading that judges.

The frozen base is named in config.yaml and rebuilt from there, so ``state_dict()``
leaves it out. ESPnet resumes strictly and loads for decoding loosely; with these
hooks both accept a missing frozen parameter and neither accepts a missing trained
one or a name that the model does not have.
"""

import functools
from dataclasses import dataclass
from typing import Any

import torch

from espnet_vibevoice.errors import summarize_faults


@dataclass
class _Rule:
    """What the hooks of one module share.

    Attributes:
        trained (frozenset[str]): Parameters that were trained when the hooks were set.
        prefix (str): Place of the module in the model that is being loaded.
    """

    trained: frozenset[str]
    prefix: str = ""

    def saved_names(self, module: torch.nn.Module) -> set[str]:
        """Return what a checkpoint holds: all that is, or was at first, trained."""
        own = {name for name, _ in module.named_parameters()}
        return (self.trained & own) | trained_names(module)


def keep_trained_parameters_only(module: torch.nn.Module) -> None:
    """Make checkpoints of ``module`` hold its trained parameters only.

    What ESPnet's ``--freeze_param`` freezes later is saved all the same, because
    decoding does not read that option and would miss it.

    Args:
        module (torch.nn.Module): Its frozen parameters have ``requires_grad`` False.
            Buffers count as frozen: they come from the base.
    """
    rule = _Rule(frozenset(trained_names(module)))
    module.register_state_dict_post_hook(functools.partial(_drop_frozen, rule))
    module.register_load_state_dict_pre_hook(functools.partial(_judge_names, rule))
    module.register_load_state_dict_post_hook(functools.partial(_forgive_frozen, rule))


def trained_names(module: torch.nn.Module) -> set[str]:
    """Return the names of the parameters that are trained."""
    return {name for name, p in module.named_parameters() if p.requires_grad}


def _drop_frozen(
    rule: _Rule,
    module: torch.nn.Module,
    state: dict[str, Any],
    prefix: str,
    metadata: Any,
) -> None:
    saved = rule.saved_names(module)
    for key in [key for key in state if key.startswith(prefix)]:
        if key.removeprefix(prefix) not in saved:
            del state[key]


def _judge_names(
    rule: _Rule,
    module: torch.nn.Module,
    state: dict[str, Any],
    prefix: str,
    *unused: Any,
) -> None:
    """Raise for parameters that are missing, unknown or of another shape."""
    rule.prefix = prefix
    given = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    saved = rule.saved_names(module)
    faults = [f"missing {name}" for name in sorted(saved - given.keys())]
    faults += [f"unexpected {name}" for name in sorted(given.keys() - own.keys())]
    faults += [
        f"{name} has shape {tuple(given[name].shape)}, the model has "
        f"{tuple(own[name].shape)}"
        for name in sorted(given.keys() & own.keys())
        if given[name].shape != own[name].shape
    ]
    if faults:
        raise ValueError(
            "the checkpoint does not fit the model that config.yaml describes: "
            f"{summarize_faults(faults)}. Use the config.yaml it was trained with"
        )


def _forgive_frozen(rule: _Rule, module: torch.nn.Module, incompatible: Any) -> None:
    """Take our frozen names out of the list of missing keys.

    The list belongs to the whole model and carries full names. _judge_names has
    made sure that no trained parameter of ours is missing.
    """
    names = [name for name, _ in module.named_parameters()]
    names += [name for name, _ in module.named_buffers()]
    own = {rule.prefix + name for name in names}
    incompatible.missing_keys[:] = [
        key for key in incompatible.missing_keys if key not in own
    ]
