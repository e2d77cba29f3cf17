"""Checkpoints that hold the trained parameters only, and loading that judges.

The frozen base is named in config.yaml and rebuilt from there, so ``state_dict()``
leaves it out. ESPnet resumes strictly and loads for decoding loosely; with these
hooks both accept a missing frozen parameter and neither accepts a missing trained
one or a name that the model does not have.
"""

from typing import Any

import torch

from espnet_vibevoice.errors import summarize_faults


def keep_trained_parameters_only(module: torch.nn.Module) -> None:
    """Make checkpoints of ``module`` hold its trained parameters only.

    Args:
        module (torch.nn.Module): Its frozen parameters have ``requires_grad`` False.
            Buffers count as frozen: they come from the base.
    """
    module.register_state_dict_post_hook(_drop_frozen)
    module.register_load_state_dict_pre_hook(_judge_names)
    module.register_load_state_dict_post_hook(_forgive_frozen)


def trained_names(module: torch.nn.Module) -> set[str]:
    """Return the names of the parameters that are trained."""
    return {name for name, p in module.named_parameters() if p.requires_grad}


def _drop_frozen(
    module: torch.nn.Module, state: dict[str, Any], prefix: str, metadata: Any
) -> None:
    trained = trained_names(module)
    for key in [key for key in state if key.startswith(prefix)]:
        if key.removeprefix(prefix) not in trained:
            del state[key]


def _judge_names(
    module: torch.nn.Module, state: dict[str, Any], prefix: str, *unused: Any
) -> None:
    """Raise for parameters that are missing, unknown or of another shape."""
    given = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    trained = trained_names(module)
    faults = [f"missing {name}" for name in sorted(trained - given.keys())]
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


def _forgive_frozen(module: torch.nn.Module, incompatible: Any) -> None:
    """Take our frozen names out of the list of missing keys.

    The list belongs to the whole model and carries full names. _judge_names has
    made sure that no trained parameter of ours is missing.
    """
    own = set(dict(module.named_parameters())) | set(dict(module.named_buffers()))
    incompatible.missing_keys[:] = [
        key for key in incompatible.missing_keys if not _ends_with_name(key, own)
    ]


def _ends_with_name(key: str, names: set[str]) -> bool:
    """Tell whether ``key`` is one of ``names`` behind any prefix of modules."""
    parts = key.split(".")
    return any(".".join(parts[start:]) in names for start in range(len(parts)))
