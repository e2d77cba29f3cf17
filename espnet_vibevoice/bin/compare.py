"""Compare systems that were decoded and scored on the same list of utterances.

Writes compare.tsv, compare.md (all measures with intervals, paired differences from
the first system) and compare.html (to hear them side by side, and to vote blind).
"""

import argparse
from pathlib import Path

from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "systems",
        type=Path,
        nargs="+",
        metavar="EXP",
        help="two or more: experiments, decode folders, or scored sets in them",
    )
    parser.add_argument("--set", dest="set_name", help="set, where there are several")
    parser.add_argument(
        "--names", nargs="+", help="names of the systems (default: where paths differ)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("compare"), help="folder to write"
    )
    parser.add_argument(
        "--votes",
        type=Path,
        nargs="+",
        default=[],
        help="votes that listeners saved from the page",
    )
    parser.add_argument(
        "--max_utts", type=int, default=30, help="utterances to hear on the page"
    )
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    return parser


def main() -> None:
    """Compare, write, and print the table."""
    args = get_parser().parse_args()
    from espnet_vibevoice.score.columns import NATURAL
    from espnet_vibevoice.score.comparison import compare_systems
    from espnet_vibevoice.score.comparison_files import (
        format_markdown,
        tabulate_differences,
        write_markdown,
        write_tsv,
    )
    from espnet_vibevoice.score.comparison_systems import open_systems
    from espnet_vibevoice.score.comparison_votes import count_preferences, read_votes
    from espnet_vibevoice.score.report.comparison import write_comparison_page

    systems = open_systems(args.systems, args.names, args.set_name)
    comparison = compare_systems(systems, args.draws, args.seed)
    heard = [NATURAL, *comparison.names]
    votes = read_votes(args.votes, heard)
    preferences = count_preferences(votes, heard, comparison.agreement.utterances)
    write_tsv(args.out / "compare.tsv", comparison, preferences)
    write_markdown(args.out / "compare.md", comparison, preferences)
    write_comparison_page(
        [(system.name, system.scores) for system in comparison.systems],
        args.out / "compare.html",
        max_utts=args.max_utts,
        table=tabulate_differences(comparison),
        seed=args.seed,
    )
    print("\n".join(format_markdown(comparison, preferences)))


if __name__ == "__main__":
    run_command(main)
