"""Average checkpoints of trained parameters rightly, LoRA included.

Either files, ``1epoch.pth 2epoch.pth --out mean.pth``, or the best epochs of a
training, ``exp/tts_train --criterion valid.loss --nbest 3``.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", type=Path, nargs="+", help=".pth files, or a folder")
    parser.add_argument("--out", type=Path, help="file to write")
    parser.add_argument("--criterion", help="e.g. valid.loss: what made epochs best")
    parser.add_argument("--nbest", type=int, help="number of epochs")
    parser.add_argument("--mode", choices=("min", "max"), help="which values are best")
    return parser


def main() -> None:
    """Average and say what was done."""
    parser = get_parser()
    args = parser.parse_args()
    is_folder = args.criterion is not None and args.nbest is not None
    if is_folder and len(args.paths) != 1:
        parser.error("--criterion takes one experiment folder")
    if not is_folder and (args.criterion or args.nbest or args.mode or not args.out):
        parser.error("give .pth files and --out, or a folder, --criterion and --nbest")
    if is_folder:
        from espnet_vibevoice.tts.nbest import average_best

        report = average_best(
            args.paths[0], args.criterion, args.nbest, args.mode, args.out
        )
    else:
        from espnet_vibevoice.adapters.averaging import average_checkpoints

        report = average_checkpoints(args.paths, args.out)
    print(report.describe())


if __name__ == "__main__":
    run_command(main)
