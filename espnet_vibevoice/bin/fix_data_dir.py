"""Keep the utterances that all tables of a data directory have; sort them."""

import argparse
import sys

from espnet_vibevoice.data.data_dir import fix_data_dir
from espnet_vibevoice.errors import run_command, summarize_faults


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", help="data directory to mend in place")
    return parser


def main() -> None:
    """Mend and report what was dropped."""
    path = get_parser().parse_args().data_dir
    faults = [f"{utt_id}: {why}" for utt_id, why in fix_data_dir(path).items()]
    said = f": {summarize_faults(faults)}" if faults else ""
    sys.stdout.write(f"{path}: dropped {len(faults)} utterances{said}\n")


if __name__ == "__main__":
    run_command(main)
