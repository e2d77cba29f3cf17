"""Write the listening report of a scored set: one HTML file (stage 7)."""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("score_dir", type=Path, help="folder of the scores")
    parser.add_argument(
        "--out", type=Path, help="HTML file (default: SCORE_DIR/report.html)"
    )
    parser.add_argument(
        "--max_utts", type=int, default=50, help="utterances to hear, 0.2 MB each"
    )
    parser.add_argument(
        "--experiment_dir", type=Path, help="folder of the training, for its curves"
    )
    return parser


def main() -> None:
    """Write and tell."""
    args = get_parser().parse_args()
    from espnet_vibevoice.score.report.listening import write_report

    out = args.out or args.score_dir / "report.html"
    selection = write_report(args.score_dir, out, args.max_utts, args.experiment_dir)
    size = out.stat().st_size / 2**20
    print(f"{out}: {size:.1f} MB. {selection.describe()}")


if __name__ == "__main__":
    run_command(main)
