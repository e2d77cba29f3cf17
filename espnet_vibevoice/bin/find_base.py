"""Print the folder of a local base model; print nothing for a hub id."""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser)
    return parser


def main() -> None:
    """Look the base up and print it."""
    base = read_tts_conf(get_parser().parse_args())["base"]
    if Path(base).exists():
        print(resolve_base(base))


if __name__ == "__main__":
    run_command(main)
