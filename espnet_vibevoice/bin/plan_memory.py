"""Predict the memory of a training step, without weights and without a GPU.

Prints parameters, what is trained, and where memory goes; the formula is in the
docstring of espnet_vibevoice/models/memory_plan.py. Utterances are taken to be alike.
"""

import argparse

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.batch_estimate import TypicalUtterance


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    usual = TypicalUtterance()
    parser.add_argument(
        "model", help="folder, hub id, or one of realtime-0.5b, 1.5b, 7b"
    )
    parser.add_argument("--train_config", default="", help="training configuration")
    parser.add_argument("--train_args", default="", help="options that overrule it")
    parser.add_argument(
        "--batch_bins", type=int, help="tokens and frames in a batch; None: as there"
    )
    parser.add_argument(
        "--utt_sec", type=float, default=usual.seconds, help="length of an utterance"
    )
    parser.add_argument(
        "--tokens_per_sec",
        type=float,
        default=usual.tokens_per_sec,
        help="text tokens per second of speech, as stage 4 reports",
    )
    parser.add_argument(
        "--prompt_sec", type=float, default=usual.prompt_sec, help="length of a voice"
    )
    return parser


def main() -> None:
    """Plan and print."""
    args = get_parser().parse_args()
    from espnet_vibevoice.tts.training_memory import plan_training_memory

    utterance = TypicalUtterance(args.utt_sec, args.tokens_per_sec, args.prompt_sec)
    print(
        plan_training_memory(
            args.model,
            utterance,
            train_config=args.train_config,
            train_args=args.train_args,
            batch_bins=args.batch_bins,
        )
    )


if __name__ == "__main__":
    run_command(main)
