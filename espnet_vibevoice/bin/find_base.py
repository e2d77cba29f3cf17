"""Print where the base and the acoustic encoder lie, if they are local.

One line for each that is a folder or file; nothing for a hub id. With --names one line
of the settings that data stages depend on, hub ids included.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.base_folder import resolve_base
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf

# What latents, shapes and the check of the encoder follow from.
DATA_SETTINGS = ("base", "tokenizer", "acoustic_encoder", "min_encoder_fit")


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser)
    parser.add_argument("--names", action="store_true", help="print settings instead")
    return parser


def main() -> None:
    """Look them up and print them."""
    args = get_parser().parse_args()
    tts_conf = read_tts_conf(args)
    if args.names:
        print(" ".join(f"{name}={tts_conf.get(name)}" for name in DATA_SETTINGS))
        return
    if Path(tts_conf["base"]).exists():
        print(resolve_base(tts_conf["base"]))
    encoder = tts_conf.get("acoustic_encoder")
    if encoder is not None and Path(encoder).exists():
        print(encoder)


if __name__ == "__main__":
    run_command(main)
