"""Join the resynthesised audio of all jobs: wav.scp and failures.tsv (stage 7)."""

import argparse
from pathlib import Path

from espnet_vibevoice.data.kaldi import iterate_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.ceiling_files import (
    CeilingFiles,
    collect_resynthesis,
    read_unavailable,
)


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav_scp", type=Path, required=True, help="natural audio")
    parser.add_argument("--out_dir", type=Path, required=True, help="folder of the set")
    parser.add_argument("--nj", type=int, required=True, help="number of jobs")
    return parser


def main() -> None:
    """Collect and print what there is."""
    args = get_parser().parse_args()
    utterances = [utt_id for utt_id, _ in iterate_table(args.wav_scp)]
    failures = collect_resynthesis(utterances, CeilingFiles(args.out_dir), args.nj)
    unavailable = read_unavailable(args.out_dir)
    told = unavailable or f"{len(utterances)} utterances, {len(failures)} failed"
    print(f"{args.out_dir}: {told}")


if __name__ == "__main__":
    run_command(main)
