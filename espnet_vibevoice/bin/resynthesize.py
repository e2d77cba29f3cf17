"""Encode and decode natural audio with the codec of the base (one job of stage 7).

What comes out is the ceiling of any model on this base. Wavs that are whole are kept;
audio that cannot be read is listed and the others go on.
"""

import argparse
import logging
from pathlib import Path

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.ceiling_files import CeilingFiles
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav_scp", type=Path, required=True, help="audio of this job")
    parser.add_argument("--out_dir", type=Path, required=True, help="where wavs go")
    parser.add_argument("--job", type=int, required=True, help="number of this job")
    add_model_options(parser)
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def main() -> None:
    """Load the codec and pass the audio through it."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from espnet_vibevoice.data.encoding import AudioEncoder
    from espnet_vibevoice.score.ceilings import resynthesize

    tts_conf = read_tts_conf(args)
    encoder = AudioEncoder(
        tts_conf["base"],
        tts_conf.get("acoustic_encoder"),
        device="cuda" if args.ngpu else "cpu",
    )
    audio = read_table(args.wav_scp)
    resynthesize(audio, encoder, CeilingFiles(args.out_dir), args.job)


if __name__ == "__main__":
    run_command(main)
