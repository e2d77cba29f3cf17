"""Tell what a model contains and what a strategy would train of it."""

import argparse

from espnet_vibevoice.adapters.strategies import (
    DEFAULT_RANK,
    DEFAULT_STRATEGY,
    STRATEGY_NAMES,
)
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", help="folder, hub id, or one of realtime-0.5b, 1.5b, 7b"
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGY_NAMES,
        default=DEFAULT_STRATEGY,
        help=f"what would be trained (default: {DEFAULT_STRATEGY})",
    )
    parser.add_argument(
        "--lora_rank",
        type=int,
        default=DEFAULT_RANK,
        help=f"rank of LoRA, more learns more (default: {DEFAULT_RANK})",
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    return parser


def main() -> None:
    """Inspect and print."""
    args = get_parser().parse_args()
    from espnet_vibevoice.models.inspection import inspect_model

    report = inspect_model(args.model, args.strategy, args.lora_rank)
    print(report.to_json() if args.json else report.to_table())


if __name__ == "__main__":
    run_command(main)
