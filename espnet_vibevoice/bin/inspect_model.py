"""Tell what a model contains and what a strategy would train of it."""

import argparse
from typing import Any

from espnet_vibevoice.adapters.strategies import (
    DEFAULT_RANK,
    DEFAULT_STRATEGY,
    STRATEGY_NAMES,
    pick_plan_keys,
)
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", help="folder, hub id, or one of realtime-0.5b, 1.5b, 7b"
    )
    parser.add_argument(
        "--train_config",
        help="training configuration whose tts_conf says what would be trained",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGY_NAMES,
        help="what would be trained; overrules the configuration "
        f"(default: {DEFAULT_STRATEGY})",
    )
    parser.add_argument(
        "--lora_rank",
        type=int,
        help="rank of LoRA, more learns more; overrules the configuration "
        f"(default: {DEFAULT_RANK})",
    )
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    return parser


def read_plan_keys(args: argparse.Namespace) -> dict[str, Any]:
    """Gather what is to be trained from the configuration and the options."""
    keys = {}
    if args.train_config is not None:
        from espnet_vibevoice.tts.conf import read_tts_conf

        given = argparse.Namespace(
            train_config=args.train_config,
            train_args="",
            base=args.model,
            acoustic_encoder=None,
        )
        keys = pick_plan_keys(read_tts_conf(given))
    own = {"strategy": args.strategy, "lora_rank": args.lora_rank}
    return keys | {key: value for key, value in own.items() if value is not None}


def main() -> None:
    """Inspect and print."""
    args = get_parser().parse_args()
    from espnet_vibevoice.models.inspection import inspect_model

    report = inspect_model(args.model, **read_plan_keys(args))
    print(report.to_json() if args.json else report.to_table())


if __name__ == "__main__":
    run_command(main)
