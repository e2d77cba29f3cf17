"""Checkpoints that hold the trained parameters only, and loading that judges.

The frozen base is named in config.yaml and rebuilt from there, so ``state_dict()``
leaves it out. ESPnet resumes strictly and loads for decoding loosely; with these
hooks both accept a missing frozen parameter and neither accepts a missing trained
one, a name that the model does not have, another base, or LoRA that does nothing or
whose factors were averaged. Each load logs what it brought.
"""

import functools
import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from espnet_vibevoice.adapters.lora import list_lora_layers
from espnet_vibevoice.adapters.seal import (
    BASE_FINGERPRINT,
    LORA_SEAL,
    WAY_OUT_OF_AVERAGE,
    decode_digest,
    encode_digest,
    group_lora,
    is_seal_broken,
    lora_names,
    seal_lora,
)
from espnet_vibevoice.errors import summarize_faults
from espnet_vibevoice.tts import ema
from espnet_vibevoice.tts.ema import TrainedAverage

logger = logging.getLogger(__name__)


def keep_trained_parameters_only(
    module: nn.Module,
    fingerprint: str | None = None,
    average: TrainedAverage | None = None,
) -> None:
    """Make checkpoints of ``module`` hold its trained parameters only, in float32.

    What ESPnet's ``--freeze_param`` freezes later is saved all the same, because
    decoding does not read that option and would miss it.

    Args:
        module (nn.Module): Its frozen parameters have ``requires_grad`` False.
            Buffers count as frozen: they come from the base.
        fingerprint (str | None): Fingerprint of the base, to be saved and compared;
            None: neither.
        average (TrainedAverage | None): Average of the trained parameters. Their own
            names then hold it, see `tts.ema`.
    """
    keeper = _Keeper(frozenset(trained_names(module)), fingerprint, average)
    # torch marks what is registered, which it cannot do with a bound method
    module.register_state_dict_post_hook(functools.partial(keeper.save))
    module.register_load_state_dict_pre_hook(keeper.judge)
    module.register_load_state_dict_post_hook(functools.partial(keeper.finish))


def trained_names(module: nn.Module) -> set[str]:
    """Return the names of the parameters that are trained."""
    return {name for name, p in module.named_parameters() if p.requires_grad}


class _Keeper:
    """The hooks of one module.

    Args:
        trained (frozenset[str]): Parameters that are trained when the hooks are set.
        fingerprint (str | None): Fingerprint of the base.
        average (TrainedAverage | None): Average of the trained parameters.
    """

    def __init__(
        self,
        trained: frozenset[str],
        fingerprint: str | None,
        average: TrainedAverage | None,
    ):
        self._trained = trained
        self._fingerprint = fingerprint
        self._average = average
        self._prefix = ""  # place of the module in the model that is being loaded
        self._num_matched = 0

    def save(
        self, module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any
    ) -> None:
        """Leave out what is frozen; add the marks and the raw weights."""
        saved = self._saved_names(module)
        own = [key for key in state if key.startswith(prefix)]
        values = {key.removeprefix(prefix): state[key] for key in own}
        values = {name: value for name, value in values.items() if name in saved}
        if self._average is not None:
            values |= self._average.averaged()
        values = {name: value.to(torch.float32) for name, value in values.items()}
        seal = seal_lora(values)
        if seal is not None:
            values[LORA_SEAL] = seal
        if self._fingerprint is not None:
            values[BASE_FINGERPRINT] = encode_digest(self._fingerprint)
        if self._average is not None:
            values |= self._average.export()
        for key in own:
            del state[key]
        state.update({prefix + name: value for name, value in values.items()})

    def judge(
        self, module: nn.Module, state: dict[str, Any], prefix: str, *unused: Any
    ) -> None:
        """Raise for what does not fit; leave in ``state`` what the module takes."""
        self._prefix = prefix
        given = {
            key.removeprefix(prefix): value
            for key, value in state.items()
            if key.startswith(prefix)
        }
        own = dict(module.named_parameters()) | dict(module.named_buffers())
        marks = {name: given.pop(name, None) for name in (BASE_FINGERPRINT, LORA_SEAL)}
        saved = self._saved_names(module)
        beside = {name for name in given if name.startswith(ema.PREFIX)}
        for name in (*marks, *beside):
            state.pop(prefix + name, None)
        self._judge_base(marks[BASE_FINGERPRINT])
        self._judge_names(saved, given, own)
        loaded = {name: given[name] for name in given.keys() - beside}
        _judge_lora(loaded, own, marks[LORA_SEAL])
        self._num_matched = len(saved)
        if self._average is not None:
            for name, value in self._average.restore(given).items():
                state[prefix + name] = value

    def finish(self, module: nn.Module, incompatible: Any) -> None:
        """Take our frozen names out of the list of missing keys; log what came.

        The list belongs to the whole model and carries full names. `judge` has made
        sure that no trained parameter of ours is missing.
        """
        names = [name for name, _ in module.named_parameters()]
        names += [name for name, _ in module.named_buffers()]
        own = {self._prefix + name for name in names}
        incompatible.missing_keys[:] = [
            key for key in incompatible.missing_keys if key not in own
        ]
        _log_loaded(module, self._num_matched)

    def _saved_names(self, module: nn.Module) -> set[str]:
        """Return what a checkpoint holds: all that is, or was at first, trained."""
        own = {name for name, _ in module.named_parameters()}
        return (self._trained & own) | trained_names(module)

    def _judge_base(self, mark: Tensor | None) -> None:
        if self._fingerprint is None:
            return
        if mark is None:
            logger.warning(
                "The checkpoint does not say what base it was trained on, as older "
                "ones do: that it is this base (%s) cannot be checked",
                self._fingerprint,
            )
            return
        found = decode_digest(mark)
        if found != self._fingerprint:
            raise ValueError(
                "the checkpoint was trained on another base: its fingerprint is "
                f"{found or 'none (an average over different bases)'}, that of the "
                f"base in use is {self._fingerprint}. Set base in tts_conf to the one "
                "that it was trained on"
            )

    def _judge_names(
        self, saved: set[str], given: Mapping[str, Tensor], own: Mapping[str, Tensor]
    ) -> None:
        """Raise for parameters that are missing, unknown or of another shape."""
        wanted = saved | self._judge_average(given)
        sources = dict(own) | {ema.RAW + name: own[name] for name in saved}
        faults = [f"missing {name}" for name in sorted(wanted - given.keys())]
        for name in sorted(given.keys() - {ema.COUNT}):
            if name not in sources:
                faults.append(f"unexpected {name}")
            elif given[name].shape != sources[name].shape:
                faults.append(
                    f"{name} has shape {tuple(given[name].shape)}, the model has "
                    f"{tuple(sources[name].shape)}"
                )
        if faults:
            raise ValueError(
                "the checkpoint does not fit the model that config.yaml describes: "
                f"{summarize_faults(faults)}. Use the config.yaml it was trained with"
            )

    def _judge_average(self, given: Mapping[str, Tensor]) -> set[str]:
        """Return the names of an average that must be there besides."""
        if not any(name.startswith(ema.PREFIX) for name in given):
            return set()
        if self._average is None:
            raise ValueError(
                "the checkpoint holds an average of the weights and, for resuming, the "
                "raw ones, but ema_decay is 0. Set ema_decay in tts_conf as it was, or "
                "start a new experiment from the average: --init_param "
                "CHECKPOINT:::tts.ema"
            )
        return {ema.COUNT} | {ema.RAW + name for name in self._average.names}


def _judge_lora(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], seal: Tensor | None
) -> None:
    """Raise for LoRA without effect and for factors that are not those sealed.

    Factors that the model holds already are no news: --init_param brings them along
    with the parts that it is asked for.
    """
    layers = group_lora(given)
    if not layers:
        return
    is_silent = not any(factors["B"].any() for factors in layers.values())
    if is_silent and not _are_equal(given, own, lora_names(given)):
        raise ValueError(
            f"LoRA of the checkpoint does nothing: B is zero in all {len(layers)} "
            "layers. It was not trained, or was damaged: give another checkpoint"
        )
    if seal is None or is_seal_broken(given, seal):
        raise ValueError(
            "the LoRA factors of the checkpoint are not those that training saved, as "
            "after ESPnet's averaging of checkpoints: the mean of factors is not the "
            f"mean of models. Way out: {WAY_OUT_OF_AVERAGE}"
        )


def _are_equal(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], names: list[str]
) -> bool:
    return all(torch.equal(first[n].cpu(), second[n].detach().cpu()) for n in names)


@torch.no_grad()
def _log_loaded(module: nn.Module, num_matched: int) -> None:
    """Log the tensors that matched and how much LoRA changes each part."""
    squares: dict[str, list[float]] = {}
    for path, layer in list_lora_layers(module).items():
        part = path.removeprefix("model.").partition(".")[0]
        for name in layer.active_adapters:
            a = layer.lora_A[name].weight.double()
            b = layer.lora_B[name].weight.double()
            # |B A|^2 from two matrices of rank x rank
            square = ((b.T @ b) * (a @ a.T)).sum() * layer.scaling[name] ** 2
            squares.setdefault(part, []).append(float(square))
    logger.info("Checkpoint: %d trained tensors matched", num_matched)
    for part, values in squares.items():
        norm = max(sum(values), 0.0) ** 0.5
        level = logging.INFO if norm else logging.WARNING
        logger.log(
            level, "LoRA of %s: %d layers, |B A| = %.4g", part, len(values), norm
        )
