"""Speak texts or scripts with a model of either family.

The model is a base (--base), or one that was trained (--model EXP/config.yaml
EXP/CHECKPOINT), with any adapters. A script has turns "Speaker N: ..."; a model of the
realtime family speaks them one by one. Use voices only with their owners' consent.
"""

import argparse
import logging
from pathlib import Path

from espnet_vibevoice.errors import run_command

DTYPES = ("float32", "bfloat16", "float16")
FORMATS = ("wav", "flac", "ogg")
SETTINGS = ("cfg_scale", "num_sampling_steps", "max_frames", "max_frames_per_token")


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="base model: folder or hub id")
    parser.add_argument(
        "--model",
        nargs=2,
        type=Path,
        metavar=("CONFIG", "CHECKPOINT"),
        help="config.yaml and weights of a training; --base then says where its base "
        "lies now",
    )
    parser.add_argument("--tokenizer", help="tokenizer where the base has none")
    parser.add_argument(
        "--adapter",
        action="append",
        default=[],
        metavar="NAME=PATH[:SCALE]",
        help="adapter to speak with, 1 is as trained; several are added",
    )
    add_text_options(parser)
    add_voice_options(parser)
    add_generation_options(parser)
    return parser


def add_text_options(parser: argparse.ArgumentParser) -> None:
    """Add what is spoken, and where the audio goes."""
    text = parser.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", help="the text, or a script")
    text.add_argument("--script", help="file that holds it, UTF-8; - is standard input")
    text.add_argument(
        "--stdin", action="store_true", help="each line of standard input is a text"
    )
    parser.add_argument(
        "--cleaner",
        help="who reads texts and transcripts: persian | none; default: as in the "
        "training of --model, none for a base",
    )
    parser.add_argument(
        "--out",
        required=True,
        help="audio file (.wav, .flac, .ogg) for all texts, folder for a file of each, "
        "or - for raw 16 bit samples on standard output",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="wav", help="of files in a folder"
    )
    parser.add_argument(
        "--stream", action="store_true", help="write audio while it is being made"
    )


def add_voice_options(parser: argparse.ArgumentParser) -> None:
    """Add the voices."""
    parser.add_argument(
        "--voice",
        action="append",
        default=[],
        metavar="[SPEAKER=]FILE",
        help="recording, or for the realtime family a .pt preset or a prompt of "
        "bin/make_voice_prompt; speakers as in the script",
    )
    parser.add_argument(
        "--voice_text",
        action="append",
        default=[],
        metavar="[SPEAKER=]TEXT",
        help="what is said in the recording (realtime family); default: a.txt beside "
        "a.wav",
    )
    parser.add_argument("--acoustic_encoder", help="encoder where the base has none")
    parser.add_argument(
        "--max_voice_sec", type=float, default=30.0, help="longest recording"
    )
    parser.add_argument(
        "--min_encoder_fit", type=float, help="see bin/make_voice_prompt"
    )


def add_generation_options(parser: argparse.ArgumentParser) -> None:
    """Add the settings of generation; what is not given is as trained."""
    parser.add_argument("--cfg_scale", type=float, help="guidance; 1 is none")
    parser.add_argument(
        "--num_steps", type=int, dest="num_sampling_steps", help="steps per frame"
    )
    parser.add_argument("--max_frames", type=int, help="cap, 7.5 are a second")
    parser.add_argument("--max_frames_per_token", type=float, help="cap for each text")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first text")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ...")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--batch_size", type=int, default=1, help="texts side by side")


def main() -> None:
    """Load, speak, write."""
    args = get_parser().parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")  # to standard error
    logging.getLogger("espnet_vibevoice").setLevel(logging.INFO)
    from espnet_vibevoice.synthesis.loading import ModelChoice, load_speaker
    from espnet_vibevoice.synthesis.output import Task
    from espnet_vibevoice.synthesis.run import synthesize
    from espnet_vibevoice.synthesis.texts import read_texts
    from espnet_vibevoice.synthesis.voice_files import VoiceOptions
    from espnet_vibevoice.synthesis.voice_options import parse_adapter, parse_voices

    task = Task(args.out, args.format, args.seed, args.batch_size, args.stream)
    choice = ModelChoice(
        base=args.base,
        experiment=None if args.model is None else tuple(args.model),
        adapters=[parse_adapter(words) for words in args.adapter],
        tokenizer=args.tokenizer,
        device=args.device,
        dtype=args.dtype,
        cleaner=args.cleaner,
    )
    voices = parse_voices(args.voice, args.voice_text)
    how = VoiceOptions(args.acoustic_encoder, args.max_voice_sec, args.min_encoder_fit)
    given = {key: vars(args)[key] for key in SETTINGS if vars(args)[key] is not None}
    texts = read_texts(args.text, args.script)
    known = texts if isinstance(texts, list) else ()  # lines of stdin come later
    synthesize(load_speaker(choice, voices, how, given, known), texts, task)


if __name__ == "__main__":
    run_command(main)
