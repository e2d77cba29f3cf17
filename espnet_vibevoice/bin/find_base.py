"""Print where the base and the acoustic encoder lie, if they are local.

One line for each that is a folder or file; nothing for a hub id.
"""

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
    """Look them up and print them."""
    tts_conf = read_tts_conf(get_parser().parse_args())
    if Path(tts_conf["base"]).exists():
        print(resolve_base(tts_conf["base"]))
    encoder = tts_conf.get("acoustic_encoder")
    if encoder is not None and Path(encoder).exists():
        print(encoder)


if __name__ == "__main__":
    run_command(main)
