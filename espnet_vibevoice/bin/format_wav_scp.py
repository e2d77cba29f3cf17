"""Format the audio of one part of a set; run collect_parts after all parts."""

import argparse

from espnet_vibevoice.data.audio import AUDIO_FORMATS
from espnet_vibevoice.data.audio_source import SourceList
from espnet_vibevoice.data.formatting import FormatOptions, format_part
from espnet_vibevoice.data.trimming import TrimOptions
from espnet_vibevoice.errors import run_command


def float_or_none(value: str) -> float | None:
    """Read a number or the word none."""
    return None if value.lower() == "none" else float(value)


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--wav_scp", required=True, help="wav.scp, whole or a part")
    parser.add_argument(
        "--segments", help="part of segments; wav_scp is the whole one then"
    )
    parser.add_argument("--out_dir", required=True, help="data directory to make")
    parser.add_argument("--job", type=int, default=1, help="number of this part")
    parser.add_argument("--fs", type=int, default=24000, help="sampling rate in Hz")
    parser.add_argument(
        "--loudness",
        type=float_or_none,
        default=-25.0,
        help="root mean square in dB below full scale, or none",
    )
    parser.add_argument("--audio_format", choices=AUDIO_FORMATS, default="wav")
    parser.add_argument(
        "--trim_db",
        "--trim",
        type=float_or_none,
        default=40.0,
        help="cut off at both ends what is more than this below the loud level of the "
        "utterance, in dB; none: nothing",
    )
    parser.add_argument(
        "--trim_margin", type=float, default=0.1, help="seconds kept before and behind"
    )
    parser.add_argument(
        "--min_level",
        type=float_or_none,
        default=-60.0,
        help="refuse as silent what has a lower loud level, in dBFS; none: nothing",
    )
    parser.add_argument(
        "--max_file_sec",
        type=float,
        default=600.0,
        help="refuse longer audio unread; memory of a job grows with it",
    )
    parser.add_argument(
        "--max_dropped",
        "--max_dropped_share",
        type=float,
        default=0.01,
        help="fail if more than this share of the set is unusable",
    )
    parser.add_argument(
        "--set_size", type=int, help="utterances in all parts; default: in this one"
    )
    return parser


def main() -> None:
    """Format one part."""
    args = get_parser().parse_args()
    trim = None if args.trim_db is None else TrimOptions(args.trim_db, args.trim_margin)
    options = FormatOptions(
        fs=args.fs,
        loudness_dbfs=args.loudness,
        audio_format=args.audio_format,
        trim=trim,
        min_level_dbfs=args.min_level,
        max_file_sec=args.max_file_sec,
    )
    format_part(
        SourceList(args.wav_scp, args.segments),
        args.out_dir,
        args.job,
        options,
        max_dropped=args.max_dropped,
        set_size=args.set_size,
    )


if __name__ == "__main__":
    run_command(main)
