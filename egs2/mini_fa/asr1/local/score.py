#!/usr/bin/env python3
"""Score the recogniser on its own test sets and write ``RESULTS.md``."""

import argparse
import sys
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.bootstrap import Estimate, estimate_ratio
from espnet_vibevoice.score.error_rates import EditCounts, score_text

HEADER = (
    "|set|utterances|CER|95 %|CER, ZWNJ merged|WER|95 %|",
    "|---|---|---|---|---|---|---|",
)


def show(estimate: Estimate) -> list[str]:
    """Give a rate and its interval in percent."""
    value, low, high = (
        "-" if x is None else f"{100 * x:.2f}"
        for x in (estimate.value, estimate.low, estimate.high)
    )
    return [value, f"{low} to {high}"]


def estimate(counts: list[EditCounts]) -> Estimate:
    """Estimate the error rate of a set."""
    lengths = [count.reference_length for count in counts]
    return estimate_ratio([count.errors for count in counts], lengths)


def score_set(reference: Path, decoded: Path) -> list[str]:
    """Score one set: the cells of its row behind the name.

    Raises:
        ValueError: Utterances lack a hypothesis.
    """
    references, hypotheses = read_table(reference), read_table(decoded)
    if missing := references.keys() - hypotheses.keys():
        raise ValueError(f"{decoded}: no hypothesis of {len(missing)} utterances.")
    kept = [score_text(references[u], hypotheses[u]) for u in references]
    merged = [score_text(references[u], hypotheses[u], "merged") for u in references]
    cer = show(estimate([score.characters for score in kept]))
    wer = show(estimate([score.words for score in kept]))
    bare = show(estimate([score.characters for score in merged]))[0]
    return [str(len(kept)), *cer, bare, *wer]


def main() -> None:
    """Score the sets and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", help="names of the sets")
    parser.add_argument("--decoded", type=Path, required=True, help="SET/text in it")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    args = parser.parse_args()
    lines = list(HEADER)
    for name in args.sets:
        reference = Path("dump/raw") / name / "text"
        cells = score_set(reference, args.decoded / name / "text")
        lines.append("|" + "|".join([name, *cells]) + "|")
    write_lines(
        args.out, ["# Results", "", f"`{args.decoded}`, in percent", "", *lines]
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    run_command(main)
