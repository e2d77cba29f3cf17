"""The mean of several checkpoints, as the mean of the models that they stand for.

Parts trained in full: the mean of each weight. LoRA: the mean of the products B A,
which is what the models differ by, cut into factors of the same rank again. What the
r largest directions miss is reported as the residual; checkpoints of one run lie close
together, and it is small. DoRA is refused: its change depends on the base's weights,
which a checkpoint does not hold.
"""

import logging
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import Tensor

from espnet_vibevoice.adapters.seal import (
    AVERAGE_PREFIX,
    BASE_FINGERPRINT,
    LORA_SEAL,
    decode_digest,
    group_lora,
    is_seal_broken,
    lora_names,
    seal_lora,
)
from espnet_vibevoice.data.atomic import explain_full_disk
from espnet_vibevoice.errors import summarize_faults

logger = logging.getLogger(__name__)

_SCALING_KEYS = ("lora_rank", "lora_alpha", "use_rslora", "use_dora", "lora_parts")


@dataclass(frozen=True)
class AverageReport:
    """What was averaged.

    Args:
        out (Path): The file written.
        num_checkpoints (int): Checkpoints averaged.
        num_weights (int): Tensors averaged as they are.
        residuals (dict[str, float]): Path of each LoRA layer to the share of the mean
            product that its factors miss (Frobenius norm).
        residual (float): The same over all layers; 0 without LoRA.
    """

    out: Path
    num_checkpoints: int
    num_weights: int
    residuals: dict[str, float]
    residual: float

    def describe(self) -> str:
        """Say it in one line."""
        line = f"{self.out}: mean of {self.num_checkpoints} checkpoints, "
        line += f"{self.num_weights} weights exact"
        if not self.residuals:
            return line
        worst = max(self.residuals, key=lambda path: self.residuals[path])
        return (
            f"{line}, {len(self.residuals)} LoRA layers with {self.residual:.2%} of "
            f"the mean product left out (at most {self.residuals[worst]:.2%}, {worst})"
        )


def average_checkpoints(paths: Sequence[Path], out: Path) -> AverageReport:
    """Average checkpoints of trained parameters.

    Args:
        paths (Sequence[Path]): Files ``Nepoch.pth`` of the same base and settings.
        out (Path): File to write; it may be one of them.

    Returns:
        AverageReport: Also logged.

    Raises:
        FileNotFoundError: If one is absent.
        ValueError: If there is none, one is no checkpoint of ours, they differ in
            base, names or shapes, one is an average by ESPnet, or DoRA was trained.
    """
    if not paths:
        raise ValueError("no checkpoint to average: give at least one .pth file")
    paths = [Path(path) for path in paths]
    _check_settings(paths)
    states = [_read_state(path) for path in paths]
    for path, state in zip(paths, states, strict=True):
        _check_state(path, state, paths[0], states[0])
    first = states[0]
    prefix = _find_prefix(first)
    skipped = {*lora_names(first), prefix + LORA_SEAL}
    mean = {
        name: _mean([state[name] for state in states])
        for name in first
        if name not in skipped
    }
    num_weights = len(mean) - (prefix + BASE_FINGERPRINT in mean)
    factors, residuals, residual = _average_lora(states)
    mean |= factors
    seal = seal_lora(mean)
    if seal is not None:
        mean[prefix + LORA_SEAL] = seal
    _write_state(mean, Path(out))
    report = AverageReport(Path(out), len(paths), num_weights, residuals, residual)
    logger.info("%s", report.describe())
    return report


def _check_settings(paths: Sequence[Path]) -> None:
    """Raise ValueError if the config.yaml beside checkpoints differ in LoRA settings.

    The scaling of a product is in no checkpoint: it follows from the settings.
    """
    found = {}
    for folder in sorted({path.parent for path in paths}):
        config = folder / "config.yaml"
        if config.is_file():
            content = yaml.safe_load(config.read_text(encoding="utf-8"))
            tts_conf = content.get("tts_conf") or {}
            found[config] = {key: tts_conf.get(key) for key in _SCALING_KEYS}
    if len({repr(settings) for settings in found.values()}) > 1:
        shown = "; ".join(f"{config}: {value}" for config, value in found.items())
        raise ValueError(
            f"the checkpoints were trained with different settings of LoRA: {shown}. "
            "Give checkpoints of one experiment"
        )


def _average_lora(
    states: list[dict[str, Tensor]],
) -> tuple[dict[str, Tensor], dict[str, float], float]:
    """Average the products of all LoRA layers.

    Returns:
        tuple: Name to factor; residual of each layer; residual over all.
    """
    factors, residuals = {}, {}
    error = size = 0.0
    for layer in group_lora(states[0]):
        names = [f"{layer}.lora_{kind}.default.weight" for kind in "BA"]
        b, a, squares = _refactor([[state[name] for name in names] for state in states])
        factors |= dict(zip(names, (b, a), strict=True))
        missed, whole = float(squares[len(a) :].sum()), float(squares.sum())
        residuals[layer] = (missed / whole) ** 0.5 if whole else 0.0
        error, size = error + missed, size + whole
    return factors, residuals, (error / size) ** 0.5 if size else 0.0


def _mean(values: list[Tensor]) -> Tensor:
    """Average in float64, return float32."""
    total = values[0].double()
    for value in values[1:]:
        total = total + value
    return (total / len(values)).float()


def _refactor(factors: list[list[Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """Factor the mean of products again at their rank.

    Args:
        factors (list): ``[B, A]`` of each checkpoint, (out, r) and (r, in).

    Returns:
        tuple: B (out, r) and A (r, in), float32, A with orthonormal rows; the squares
            of all singular values of the mean product, largest first.
    """
    rank = len(factors[0][1])
    left = torch.cat([b for b, _ in factors], dim=1).double() / len(factors)
    right = torch.cat([a for _, a in factors], dim=0).double().T
    q_left, r_left = torch.linalg.qr(left)  # (out, n r) -> (out, k), (k, n r)
    q_right, r_right = torch.linalg.qr(right)  # (in, n r) -> (in, m), (m, n r)
    u, values, vh = torch.linalg.svd(r_left @ r_right.T, full_matrices=False)
    b = q_left @ (u[:, :rank] * values[:rank])
    a = (q_right @ vh[:rank].T).T
    pad = rank - a.shape[0]  # a layer smaller than the rank
    b = torch.nn.functional.pad(b, (0, pad))
    a = torch.nn.functional.pad(a, (0, 0, 0, pad))
    return b.float().contiguous(), a.float().contiguous(), values**2


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint; what training goes on from is left out."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as err:
        raise ValueError(
            f"{path}: cannot be read as a checkpoint ({err}). Give Nepoch.pth files"
        ) from err
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(
            f"{path}: holds more than weights, as checkpoint.pth does. Give Nepoch.pth "
            "files"
        )
    start = _find_prefix(state) + AVERAGE_PREFIX
    return {name: value for name, value in state.items() if not name.startswith(start)}


def _find_prefix(state: dict[str, Tensor]) -> str:
    """Find where the module lies that wrote the marks, such as ``tts.``."""
    for name in state:
        for mark in (BASE_FINGERPRINT, LORA_SEAL):
            if name == mark or name.endswith(f".{mark}"):
                return name.removesuffix(mark)
    return "tts."


def _check_state(
    path: Path, state: dict[str, Tensor], first_path: Path, first: dict[str, Tensor]
) -> None:
    """Raise ValueError for what cannot be averaged with the first checkpoint."""
    prefix = _find_prefix(state)
    layers = group_lora(state)
    if any("magnitude_vector" in factors for factors in layers.values()):
        raise ValueError(
            f"{path}: DoRA was trained, whose mean needs the weights of the base: take "
            "the best checkpoint (*.best.pth), or merge each and average the models"
        )
    if layers:
        seal = state.get(prefix + LORA_SEAL)
        if seal is None or is_seal_broken(state, seal):
            raise ValueError(
                f"{path}: its LoRA factors are not those that training saved, as after "
                "ESPnet's averaging. Give the Nepoch.pth files it was made from"
            )
    faults = [f"only one has {name}" for name in sorted(state.keys() ^ first.keys())]
    faults += [
        f"{name} has shape {tuple(state[name].shape)} and {tuple(first[name].shape)}"
        for name in sorted(state.keys() & first.keys())
        if state[name].shape != first[name].shape
    ]
    mark = prefix + BASE_FINGERPRINT
    if mark in state and mark in first and not torch.equal(state[mark], first[mark]):
        digests = f"{decode_digest(state[mark])} and {decode_digest(first[mark])}"
        faults.append(f"they were trained on different bases, {digests}")
    if faults:
        raise ValueError(
            f"{path} and {first_path} cannot be averaged: {summarize_faults(faults)}. "
            "Give checkpoints of one experiment"
        )


def _write_state(state: dict[str, Tensor], out: Path) -> None:
    """Write under a temporary name, then rename."""
    temporary = out.with_name(f".{out.name}.tmp")
    with explain_full_disk(out):
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, temporary)
            os.replace(temporary, out)
        except (OSError, RuntimeError):  # torch reports a full disk as RuntimeError
            temporary.unlink(missing_ok=True)
            raise
