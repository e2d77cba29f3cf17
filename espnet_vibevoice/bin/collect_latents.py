"""Join the latents of all jobs, and the semantic features if there are any (stage 5).

Writes shapes and statistics for training, and encoder_fit.txt beside the latents.
"""

import argparse
import json
from pathlib import Path

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.latent_tables import collect_latents, collect_semantic
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.models.config import read_codec_shape
from espnet_vibevoice.score.fit import FitReport
from espnet_vibevoice.tts.conf import (
    add_model_options,
    is_multispeaker,
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


def join_fit_reports(latents_dir: Path, nj: int) -> str:
    """Write encoder_fit.txt from the reports of all jobs; return its last line."""
    paths = [latents_dir / f"encoder_fit.{job}.json" for job in range(1, nj + 1)]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing. Rerun stage 5")
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    report = FitReport.join([FitReport.from_dict(content) for content in contents])
    write_lines(latents_dir / "encoder_fit.txt", report.describe())
    return report.summarize()


def main() -> None:
    """Join, count, print a summary and how well the encoder fits."""
    args = get_parser().parse_args()
    tts_conf = read_tts_conf(args)
    tokenizer = load_base_tokenizer(tts_conf)
    texts = read_table(args.data_dir / "text")
    tokens = {key: len(tokenizer.encode(text)) for key, text in texts.items()}
    summary = collect_latents(
        args.latents_dir, args.nj, tokens, args.stats_dir, args.token_type
    )
    if is_multispeaker(tts_conf["base"]):
        collect_semantic(args.latents_dir, args.nj, summary.frames)
    codec = read_codec_shape(tts_conf["base"])
    print(
        f"{args.data_dir.name}: "
        f"{summary.describe(codec.hop_samples / codec.sampling_rate)}"
    )
    print(f"{args.data_dir.name}: {join_fit_reports(args.latents_dir, args.nj)}")


if __name__ == "__main__":
    run_command(main)
