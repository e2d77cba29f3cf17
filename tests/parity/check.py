"""Compare the realtime model with stored outputs of the reference implementation.

Usage: python tests/parity/check.py FOLDER

Every output of FOLDER is computed anew from its inputs and printed as one row. Exit
status 0 if all rows pass, 1 if one fails, also if the folder holds a tensor that
nobody checks. What a folder holds is described in tests/parity/README.md.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

# Runs from a checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from parity_folder import INPUT_KEYS, ParityFolder, load_folder
from parity_outputs import compute_outputs
from parity_ways import compute_ways, read_stored_prompt

from espnet_vibevoice.errors import run_command

UNCHECKED = "unchecked"
TOLERANCE = 1e-4
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


def check_folder(folder: ParityFolder) -> list[Row]:
    """Compute and compare everything in a folder.

    Args:
        folder (ParityFolder): The folder.

    Returns:
        list[Row]: A row for each output, each second way and each unchecked key.
    """
    outputs = compute_outputs(
        folder.model, folder.io, folder.settings, read_stored_prompt(folder)
    )
    rows = []
    for key in sorted(outputs.keys() | folder.io.keys() - INPUT_KEYS):
        if key not in outputs:
            rows.append(fail(key, UNCHECKED))
        elif key not in folder.io:
            rows.append(fail(key, "not in io.safetensors"))
        else:
            rows.append(compare(key, outputs[key], folder.io[key]))
    if any(row.note not in ("", UNCHECKED) for row in rows):
        return rows  # the second ways need every tensor, in its right shape
    return rows + [compare(w.name, w.got, w.wanted) for w in compute_ways(folder)]


def compare(name: str, got: Tensor, wanted: Tensor) -> Row:
    """Compare one tensor.

    Args:
        name (str): Name of the row.
        got (Tensor): Computed.
        wanted (Tensor): Expected.

    Returns:
        Row: The result.
    """
    if got.shape != wanted.shape:
        return fail(name, f"shape {tuple(got.shape)}, wanted {tuple(wanted.shape)}")
    error = (got.double() - wanted.double()).abs()
    largest = float(error.max()) if error.numel() else 0.0
    if not wanted.is_floating_point():
        return Row(name, largest, 0.0, largest == 0.0)
    allowed = (wanted.double().abs() * RELATIVE_SPACING).clamp(min=TOLERANCE)
    # Not a number is never within.
    return Row(name, largest, TOLERANCE, bool((error <= allowed).all()))


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
    rows = check_folder(load_folder(parser.parse_args().folder))
    print(format_rows(rows))
    return int(not all(row.is_passed for row in rows))


if __name__ == "__main__":
    run_command(main)
