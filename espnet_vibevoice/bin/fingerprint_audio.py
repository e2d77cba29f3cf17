"""Print a digest of size and time of change of all files that a wav.scp names.

Stamps use it to see that audio has changed while its table has not. With --recognizer
it changes with that recogniser as well.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from espnet_vibevoice.data.kaldi import iterate_table
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.score.conf import add_score_options, read_given_conf
from espnet_vibevoice.score.measure_journal import fingerprint_files


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wav_scp", type=Path, help="Kaldi table of paths")
    parser.add_argument("--recognizer", help="name of a recogniser that counts as well")
    add_score_options(parser)
    return parser


def main() -> None:
    """Print the digest."""
    parser = get_parser()
    args = parser.parse_args()
    digest = hashlib.sha256()
    for utt_id, path in iterate_table(args.wav_scp):
        digest.update(f"{utt_id} {path} {fingerprint_files(path)}\n".encode())
    if args.recognizer is not None:
        from espnet_vibevoice.score.recognition.journal import fingerprint_recognizer

        conf = read_given_conf(parser, args)
        spec = conf.find_recognizer(args.recognizer)
        digest.update(fingerprint_recognizer(spec).encode())
    sys.stdout.write(f"{digest.hexdigest()}\n")


if __name__ == "__main__":
    run_command(main)
