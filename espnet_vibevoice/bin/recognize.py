"""Recognise the wavs of one part of a set; run collect_recognition after all parts.

A recogniser that does not load gives exit status 4, and its reason stands in
unavailable.txt of the folder.
"""

import argparse
import logging
import sys

from espnet_vibevoice.data.audio_source import SourceList
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.conf import add_score_options, read_given_conf


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wav_scp", required=True, help="wav.scp, whole or a part")
    parser.add_argument("--out_dir", required=True, help="folder of the texts")
    parser.add_argument("--recognizer", required=True, help="name of the recogniser")
    parser.add_argument("--job", type=int, default=1, help="number of this part")
    parser.add_argument("--ngpu", type=int, default=0, help="1: on GPU; 0: on CPU")
    parser.add_argument(
        "--max_file_sec",
        type=float,
        default=600.0,
        help="longer audio is listed as a failure, unread",
    )
    add_score_options(parser)
    return parser


def main() -> int:
    """Recognise one part."""
    parser = get_parser()
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    conf = read_given_conf(parser, args)
    spec = conf.find_recognizer(args.recognizer)
    # imported here: it takes seconds, and wrong options shall be told at once
    from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable
    from espnet_vibevoice.score.recognition.run import recognize_part

    sources = list(SourceList(args.wav_scp))
    device = "cuda" if args.ngpu > 0 else "cpu"
    try:
        recognize_part(sources, args.out_dir, args.job, spec, device, args.max_file_sec)
    except RecognizerUnavailable as err:
        sys.stderr.write(f"error: {err}\n")
        return 4
    return 0


if __name__ == "__main__":
    run_command(main)
