"""Decode texts with a trained model, several side by side (stage 7).

Takes the options of espnet2.bin.tts_inference, from which it differs so: texts are
spoken in batches; a job that was killed goes on where it was; an utterance that cannot
be spoken is noted in journal.jsonl and the others go on; how fast speech is made, and
how soon the first of it is there, is noted too. With --always_fix_seed true and
--batch_size 1 the wavs are those of ESPnet's command; with false each utterance has a
seed of its own, which follows from --seed and its id, so order changes nothing.
Options of other TTS models (--threshold, ..., --vocoder_file) are passed over.
"""

import argparse
import logging

from espnet_vibevoice.errors import run_command

LOG_FORMAT = "%(asctime)s (%(module)s:%(lineno)d) %(levelname)s: %(message)s"


def get_parser() -> argparse.ArgumentParser:
    """Return ESPnet's option parser with further options."""
    from espnet2.bin import tts_inference

    from espnet_vibevoice.tts.decoding_options import SETTINGS

    parser = tts_inference.get_parser()
    parser.description = __doc__
    parser.formatter_class = argparse.HelpFormatter
    # ESPnet admits 1 only; where nothing is given the device decides
    parser.set_defaults(batch_size=None)
    group = parser.add_argument_group("Generation, in place of tts_conf")
    for name, kind in SETTINGS.items():
        group.add_argument(f"--{name}", type=kind, help="as in tts_conf")
    group.add_argument(
        "--voice_prompt", nargs="+", help="voice, or one of each speaker, of all texts"
    )
    group = parser.add_argument_group("Further options")
    group.add_argument("--base", help="base for a config.yaml that names none")
    group.add_argument("--acoustic_encoder", help="encoder where the base has none")
    group.add_argument(
        "--num_timed",
        type=int,
        default=8,
        help="utterances whose first audio is timed, each spoken alone as a stream up "
        "to its first frame; 0: none",
    )
    return parser


def main() -> None:
    """Decode."""
    args = get_parser().parse_args()
    logging.basicConfig(level=args.log_level, format=LOG_FORMAT)
    from espnet_vibevoice.score.decoder_job import run_job

    run_job(args)


if __name__ == "__main__":
    run_command(main)
