"""Add to this environment what ESPnet's imports need and pip cannot resolve.

`make setup` runs it; run it yourself after `pip install` into an environment of yours.
"""

import argparse
import logging

from espnet_vibevoice.compat import mend_upstream
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Build the parser; the command has no options."""
    return argparse.ArgumentParser(
        prog="python -m espnet_vibevoice.bin.mend_upstream",
        description="Install torchaudio by the route that fits the installed torch, "
        "and the placeholders for g2p_en's data and ci_sdr.",
    )


def main(argv: list[str] | None = None) -> None:
    """Parse no options and mend the running environment."""
    get_parser().parse_args(argv)
    import torch  # heavy: not needed for --help

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    logging.info(mend_upstream(torch.version.cuda))


if __name__ == "__main__":
    run_command(main)
