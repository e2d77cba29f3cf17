"""Make an experiment of ESPnet from an adapter: config.yaml and valid.loss.best.pth.

It decodes with espnet2.bin.tts_inference, and training goes on from it with
--init_param. Every tensor, the base and the effect on a probe output are checked.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "adapter", type=Path, help="folder of export_adapter or of a community tool"
    )
    parser.add_argument("experiment", type=Path, help="folder to make")
    parser.add_argument("--base", required=True, help="folder or hub id[@revision]")
    return parser


def main() -> None:
    """Import and print what the adapter changes."""
    args = get_parser().parse_args()
    from espnet_vibevoice.adapters.folder import read_adapter_for
    from espnet_vibevoice.tts.adapter_experiment import find_config, write_experiment

    adapter = read_adapter_for(args.base, args.adapter)
    config = find_config(args.adapter)
    print(write_experiment(adapter, args.base, args.experiment, config))


if __name__ == "__main__":
    run_command(main)
