"""Gather decoded wavs, look at each, draw some beside natural speech (stage 7).

Writes wav/wav.scp, decoding.tsv and decoding.json, and failures.tsv where utterances
have no wav. Fails only if none has one.
"""

import argparse
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.decoding import collect_decoding, summarize_decoding


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, required=True, help="the natural set")
    parser.add_argument("--out_dir", type=Path, required=True, help="folder of the set")
    parser.add_argument("--pictures", type=int, default=5, help="utterances to draw")
    return parser


def main() -> None:
    """Collect, draw, print a summary."""
    args = get_parser().parse_args()
    collected = collect_decoding(read_table(args.data_dir / "text"), args.out_dir)
    from espnet_vibevoice.score.decoding_pictures import draw_examples

    drawn = [utterance.utt_id for utterance in collected.decoded[: args.pictures]]
    draw_examples(drawn, read_table(args.data_dir / "wav.scp"), args.out_dir)
    print(f"{args.out_dir.name}: {summarize_decoding(collected)}")


if __name__ == "__main__":
    run_command(main)
