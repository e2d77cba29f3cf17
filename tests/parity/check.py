"""Compare a model with stored outputs of the reference implementation.

Usage: python tests/parity/check.py FOLDER

Every output of FOLDER is computed anew from its inputs and printed as one row. Exit
status 0 if all rows pass, 1 if one fails, also if the folder holds a tensor that
nobody checks. The family is that of the folder's checkpoint. What a folder holds is
described in tests/parity/README.md.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

# Runs from a checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from multispeaker_folder import (
    MultispeakerFolder,
    is_multispeaker_input,
    load_multispeaker_folder,
)
from multispeaker_outputs import compute_multispeaker_outputs
from multispeaker_ways import compute_multispeaker_ways
from parity_folder import (
    INPUT_KEYS,
    ParityFolder,
    Tensors,
    load_folder,
    load_meta,
    require_files,
)
from parity_outputs import compute_outputs
from parity_ways import Way, compute_ways, read_stored_prompt

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.multispeaker_config import MULTISPEAKER_TYPE

Folder = ParityFolder | MultispeakerFolder
UNCHECKED = "unchecked"
TOLERANCE = 1e-4
# Guided generation feeds on its own output, so roundings grow from frame to frame: a
# rerun of the reference in float64 moves latents, and what follows from them, by this
# order. Audio hardly shows it.
LATENTS_TOLERANCE = 1e-3
GROWING = (
    "gen.latents",
    "gen.semantic",
    "gen.condition",
    "gen.neg_condition",
    "gen.token_scores_start_end_diffusion_eos",
)
FORCED = "[teacher forcing]", "[from waveform]"  # from stored values: nothing grows
# A float32 as large as the solver's first sigmas is not spaced finer than this.
RELATIVE_SPACING = 8 * torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Row:
    """Result of one comparison.

    Args:
        name (str): Key of the output; in brackets the way it was computed.
        error (float): Largest absolute error; infinite if it cannot be told.
        tolerance (float): Largest error that passes; 0 for integers.
        is_passed (bool): Whether the row passes.
        note (str): Why there is no error to tell; mostly empty.
    """

    name: str
    error: float
    tolerance: float
    is_passed: bool
    note: str = ""


@dataclass(frozen=True)
class Family:
    """How folders of one family are checked.

    Args:
        compute_outputs (Callable): Gives the output of each key of a folder.
        compute_ways (Callable): Gives the second ways of a folder.
        is_input (Callable): Tells whether a key names an input.
        growing (tuple[str, ...]): Keys that pass up to `LATENTS_TOLERANCE`.
    """

    compute_outputs: Callable[[Folder], Tensors]
    compute_ways: Callable[[Folder], list[Way]]
    is_input: Callable[[str], bool]
    growing: tuple[str, ...] = ()

    def tolerance(self, name: str) -> float:
        """Largest error of a row that passes."""
        key, _, way = name.partition(" ")
        is_growing = key in self.growing and way not in FORCED
        return LATENTS_TOLERANCE if is_growing else TOLERANCE


FAMILIES: dict[type, Family] = {
    ParityFolder: Family(
        lambda folder: compute_outputs(
            folder.model, folder.io, folder.settings, read_stored_prompt(folder)
        ),
        compute_ways,
        INPUT_KEYS.__contains__,
    ),
    MultispeakerFolder: Family(
        lambda folder: compute_multispeaker_outputs(
            folder.model, folder.io, folder.settings
        ),
        compute_multispeaker_ways,
        is_multispeaker_input,
        GROWING,
    ),
}


def load_any_folder(path: Path) -> Folder:
    """Load a folder of the family that its checkpoint is of.

    Args:
        path (Path): The folder.

    Raises:
        FileNotFoundError: If the folder or a part of it does not exist.
        ValueError: If a part cannot be read or an input tensor is missing.
    """
    require_files(path)
    config = load_meta(path / "checkpoint" / "config.json")
    if config.get("model_type") == MULTISPEAKER_TYPE:
        return load_multispeaker_folder(path)
    return load_folder(path)


def check_folder(folder: Folder) -> list[Row]:
    """Compute and compare everything in a folder.

    Args:
        folder (Folder): The folder, of either family.

    Returns:
        list[Row]: A row for each output, each second way and each unchecked key.
    """
    family = FAMILIES[type(folder)]
    outputs, rows = family.compute_outputs(folder), []
    stored = {key for key in folder.io if not family.is_input(key)}
    for key in sorted(outputs.keys() | stored):
        if key not in outputs:
            rows.append(fail(key, UNCHECKED))
        elif key not in folder.io:
            rows.append(fail(key, "not in io.safetensors"))
        else:
            allowed = family.tolerance(key)
            rows.append(compare(key, outputs[key], folder.io[key], allowed))
    if any(row.note not in ("", UNCHECKED) for row in rows):
        return rows  # the second ways need every tensor, in its right shape
    return rows + [
        compare(way.name, way.got, way.wanted, family.tolerance(way.name))
        for way in family.compute_ways(folder)
    ]


def compare(
    name: str, got: Tensor, wanted: Tensor, tolerance: float = TOLERANCE
) -> Row:
    """Compare one tensor.

    Args:
        name (str): Name of the row.
        got (Tensor): Computed.
        wanted (Tensor): Expected.
        tolerance (float): Largest error that passes.

    Returns:
        Row: The result.
    """
    if got.shape != wanted.shape:
        return fail(name, f"shape {tuple(got.shape)}, wanted {tuple(wanted.shape)}")
    error = (got.double() - wanted.double()).abs()
    largest = float(error.max()) if error.numel() else 0.0
    if not wanted.is_floating_point():
        return Row(name, largest, 0.0, largest == 0.0)
    allowed = (wanted.double().abs() * RELATIVE_SPACING).clamp(min=tolerance)
    # Not a number is never within.
    return Row(name, largest, tolerance, bool((error <= allowed).all()))


def fail(name: str, note: str) -> Row:
    """Make a row that fails without a comparison."""
    return Row(name, float("inf"), TOLERANCE, False, note)


def format_rows(rows: list[Row]) -> str:
    """Lay out rows as a table with a line of counts."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'output':{width}}  {'error':>8}  {'allowed':>8}  result"]
    for row in rows:
        result = "pass" if row.is_passed else f"FAIL {row.note}".rstrip()
        lines.append(
            f"{row.name:{width}}  {row.error:8.1e}  {row.tolerance:8.1e}  {result}"
        )
    failed = sum(not row.is_passed for row in rows)
    worst = max(row.error for row in rows)
    lines.append(
        f"{len(rows)} rows: {len(rows) - failed} pass, {failed} fail; "
        f"largest error {worst:.1e}"
    )
    return "\n".join(lines)


def main() -> int:
    """Parse the options and check.

    Returns:
        int: 1 if a row fails.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="folder with checkpoint/, io.safetensors, meta.json"
    )
    rows = check_folder(load_any_folder(parser.parse_args().folder))
    print(format_rows(rows))
    return int(not all(row.is_passed for row in rows))


if __name__ == "__main__":
    run_command(main)
