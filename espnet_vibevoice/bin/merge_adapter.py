"""Merge an adapter into its base: a whole base, in the original format or native.

Its output equals that of base and adapter. Every tensor, the base and the effect on a
probe output are checked.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter", type=Path, help="experiment or folder of an adapter")
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--base", help="folder or hub id[@revision] (default: the one it names)"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="type of the weights: float32 is exact, bfloat16 half as large",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="strength, above 0 to 1.5 (1: as trained)",
    )
    parser.add_argument(
        "--format",
        choices=("original", "native"),
        default="original",
        help="native: that of transformers' own class (multi-speaker family)",
    )
    return parser


def main() -> None:
    """Merge and print what the adapter changes."""
    args = get_parser().parse_args()
    from espnet_vibevoice.adapters.folder import read_adapter, read_adapter_for
    from espnet_vibevoice.adapters.merge import write_merged_base

    if args.base is None:
        adapter = read_adapter(args.adapter)
    else:
        adapter = read_adapter_for(args.base, args.adapter)
    base = args.base or adapter.base
    options = {"dtype": args.dtype, "scale": args.scale, "layout": args.format}
    print(write_merged_base(base, adapter, args.out, **options))


if __name__ == "__main__":
    run_command(main)
