"""Gather decoded wavs, look at each, draw some beside natural speech (stage 7)."""

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
    decoded = collect_decoding(read_table(args.data_dir / "text"), args.out_dir)
    from espnet_vibevoice.score.pictures import draw_mels

    natural = read_table(args.data_dir / "wav.scp")
    for utterance in decoded[: args.pictures]:
        utt_id = utterance.utt_id
        rows = {
            "natural": natural[utt_id],
            "decoded": args.out_dir / "wav" / f"{utt_id}.wav",
        }
        draw_mels(rows, args.out_dir / "images" / f"{utt_id}.png", utt_id)
    print(f"{args.out_dir.name}: {summarize_decoding(decoded)}")


if __name__ == "__main__":
    run_command(main)
