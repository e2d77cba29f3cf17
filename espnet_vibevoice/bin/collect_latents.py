"""Join the latents of all jobs; write shapes and statistics for training (stage 5)."""

import argparse
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.latents import collect_latents
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.tts.conf import (
    add_model_options,
    load_base_tokenizer,
    read_tts_conf,
)


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser)
    parser.add_argument("--data_dir", type=Path, required=True, help="the set")
    parser.add_argument("--latents_dir", type=Path, required=True, help="its latents")
    parser.add_argument("--nj", type=int, required=True, help="number of dump jobs")
    parser.add_argument("--stats_dir", type=Path, required=True, help="where shapes go")
    parser.add_argument("--token_type", required=True, help="suffix of text_shape")
    return parser


def main() -> None:
    """Join, count, print a summary."""
    args = get_parser().parse_args()
    tts_conf = read_tts_conf(args)
    tokenizer = load_base_tokenizer(tts_conf)
    texts = read_table(args.data_dir / "text")
    tokens = {key: len(tokenizer.encode(text)) for key, text in texts.items()}
    summary = collect_latents(
        args.latents_dir, args.nj, tokens, args.stats_dir, args.token_type
    )
    codec = read_codec_shape(tts_conf["base"])
    print(
        f"{args.data_dir.name}: "
        f"{summary.describe(codec.hop_samples / codec.sampling_rate)}"
    )


if __name__ == "__main__":
    run_command(main)
