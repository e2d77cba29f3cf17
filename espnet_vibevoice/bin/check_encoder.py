"""Tell whether an acoustic encoder fits the decoder of a base, with figures.

Encodes and decodes audio and compares it with the original: log-mel distance and
spectral correlation per file and in the mean (definitions: espnet_vibevoice.score.fit).
Exit status 1 if the pair does not fit.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

from espnet_vibevoice.data.files import write_text
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.conf import add_model_options, read_tts_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_model_options(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wav", nargs="+", help="audio files of any rate")
    source.add_argument("--wav_scp", type=Path, help="Kaldi list of such files")
    parser.add_argument("--max_utts", type=int, help="check the first N files only")
    parser.add_argument(
        "--min_spectral_correlation",
        type=float,
        help="least mean correlation that fits, 0: refuse nothing (default: "
        "min_encoder_fit of the training configuration, else 0.8)",
    )
    parser.add_argument(
        "--max_log_mel_distance",
        type=float,
        default=15.0,
        help="largest mean distance in dB that fits (default: 15)",
    )
    parser.add_argument("--json", type=Path, help="report to write")
    parser.add_argument("--out_dir", type=Path, help="folder for the decoded wavs")
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def read_audio(args: argparse.Namespace) -> dict[str, str]:
    """Return utterance id to path of the files that are asked for."""
    if args.wav_scp is not None:
        audio = read_table(args.wav_scp)
    else:
        audio = {Path(path).stem: path for path in args.wav}
        if len(audio) < len(args.wav):
            raise ValueError(
                f"--wav: {len(args.wav)} files, {len(audio)} names: two have the same "
                "name. Name them in a --wav_scp"
            )
    return dict(islice(audio.items(), args.max_utts))


def main() -> int:
    """Check, print the report, return 1 for a misfit."""
    args = get_parser().parse_args()
    from espnet_vibevoice.data.encoding import AudioEncoder
    from espnet_vibevoice.score.fit import FitLimits

    tts_conf = read_tts_conf(args)
    if args.min_spectral_correlation is not None:
        tts_conf["min_encoder_fit"] = args.min_spectral_correlation
    limits = FitLimits.from_conf(tts_conf, args.max_log_mel_distance)
    encoder = AudioEncoder(
        tts_conf["base"],
        tts_conf.get("acoustic_encoder"),
        device="cuda" if args.ngpu else "cpu",
    )
    report = encoder.check_fit(read_audio(args), limits, args.out_dir, convert=True)
    if args.json is not None:
        write_text(args.json, json.dumps(report.to_dict(), indent=2) + "\n")
    print("\n".join(report.describe()))
    return 0 if report.fits else 1


if __name__ == "__main__":
    run_command(main)
