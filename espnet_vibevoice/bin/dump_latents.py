"""Encode the audio of one job into latents (stage 5).

Reads a part of wav.scp, writes feats.JOB.ark and feats.JOB.scp, and for multi-speaker
bases their semantic features, semantic.JOB.ark and semantic.JOB.scp. Killed and called
again it goes on behind the last whole utterance. Before that the first utterances are
decoded again: an encoder that does not fit the decoder is refused, with figures.
"""

import argparse
import logging
from itertools import islice
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.latents import (
    FEATS,
    SEMANTIC,
    LatentWriter,
    fingerprint_audio,
)
from espnet_vibevoice.data.progress import Progress
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav_scp", type=Path, required=True, help="audio of this job")
    parser.add_argument("--out_dir", type=Path, required=True, help="where latents go")
    parser.add_argument("--job", type=int, required=True, help="number of this job")
    add_model_options(parser)
    parser.add_argument(
        "--fit_utts", type=int, default=4, help="utterances to check the encoder on"
    )
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def main() -> None:
    """Encode and write, with a progress line every few utterances."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from espnet_vibevoice.data.encoding import AudioEncoder
    from espnet_vibevoice.score.fit import FitLimits

    audio = read_table(args.wav_scp)
    tts_conf = read_tts_conf(args)
    encoder = AudioEncoder(
        tts_conf["base"],
        tts_conf.get("acoustic_encoder"),
        device="cuda" if args.ngpu else "cpu",
    )
    encoder.require_fit(
        dict(islice(audio.items(), args.fit_utts)),
        FitLimits.from_conf(tts_conf),
        args.out_dir / f"encoder_fit.{args.job}.json",
    )
    identity = {"base": encoder.fingerprint, "audio": fingerprint_audio(audio)}
    tables = {FEATS: encoder.encode_file}
    if encoder.semantic_tokenizer is not None:
        tables[SEMANTIC] = encoder.encode_semantic_file
    progress = Progress(len(audio) * len(tables))
    for name, encode in tables.items():
        writer = LatentWriter(args.out_dir, args.job, identity, name)
        for _ in writer.write_all(audio, encode):
            progress.update()


if __name__ == "__main__":
    run_command(main)
