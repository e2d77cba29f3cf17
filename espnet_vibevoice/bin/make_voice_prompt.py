"""Make a voice prompt from a recording and its transcript, or from an official preset.

The recording may have any rate and number of channels; the transcript is what is said
in it, and --cleaner persian reads it as the training texts were read. The file keeps
the coded recording and the transcript, so that a tuned model reads the voice with its
own weights; a converted preset has neither. Use voices only with their owners'
consent.
"""

import argparse
import logging
from pathlib import Path

from espnet_vibevoice.errors import run_command
from espnet_vibevoice.text import describe_dropped
from espnet_vibevoice.text.cleaners import CLEANERS, find_cleaner

logger = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16", "float16")


def get_parser() -> argparse.ArgumentParser:
    """Return the option parser."""
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wav", type=Path, help="recording of the voice")
    source.add_argument("--from_pt", type=Path, help="official preset to convert")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--text", help="what is said in the recording")
    text.add_argument("--text_file", type=Path, help="file that holds it, UTF-8")
    parser.add_argument(
        "--cleaner",
        default="none",
        help=f"who reads the transcript, as in training: {' | '.join(CLEANERS)} "
        "(default: none)",
    )
    parser.add_argument("--base", help="base that is to speak: folder or hub id")
    parser.add_argument(
        "--acoustic_encoder",
        help="encoder where the base has none: checkpoint or safetensors file",
    )
    parser.add_argument(
        "--tokenizer", help="tokenizer where the base has none: folder or hub id"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file to write, NAME.safetensors"
    )
    parser.add_argument(
        "--max_sec",
        type=float,
        default=30.0,
        help="longest recording in seconds (default: 30)",
    )
    parser.add_argument(
        "--min_encoder_fit",
        type=float,
        default=0.8,
        help="least spectral correlation of the recording and its reconstruction, "
        "0: take any encoder (default: 0.8)",
    )
    parser.add_argument(
        "--prompt_text_type",
        type=int,
        choices=(0, 1),
        default=0,
        help="type of the transcript, 0 as in the released voices (default: 0)",
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default="float32", help="type of the prompt"
    )
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def read_transcript(args: argparse.Namespace) -> str:
    """Return the transcript that is given in one of two ways, cleaned."""
    if args.base is None:
        raise ValueError("--wav needs --base, the base that is to speak. Give it.")
    if args.text_file is not None:
        text = args.text_file.read_text(encoding="utf-8")
    elif args.text is not None:
        text = args.text
    else:
        raise ValueError("--wav needs what is said in it: give --text or --text_file.")
    reading = find_cleaner(args.cleaner)(text)
    if reading.dropped:
        lost = describe_dropped(reading.dropped)
        logger.warning("transcript: dropped, no reading is known: %s", lost)
    return reading.text


def main() -> None:
    """Make or convert, save, print a line."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    import torch

    from espnet_vibevoice.models.voice_prompt import (
        check_prompt_name,
        load_voice_prompt,
        save_voice_prompt,
    )

    check_prompt_name(args.out)
    if args.from_pt is not None:
        prompt = load_voice_prompt(args.from_pt)
    else:
        text = read_transcript(args)
        from espnet_vibevoice.data.voice_file import VoiceMaker
        from espnet_vibevoice.score.fit import FitLimits

        maker = VoiceMaker(
            args.base,
            args.acoustic_encoder,
            args.tokenizer,
            dtype=getattr(torch, args.dtype),
            device="cuda" if args.ngpu else "cpu",
        )
        prompt = maker.make(
            args.wav,
            text,
            max_sec=args.max_sec,
            limits=FitLimits(args.min_encoder_fit),
            prompt_text_type=args.prompt_text_type,
        )
    save_voice_prompt(prompt, args.out)
    print(f"{args.out}: {prompt.num_frames} frames, {prompt.num_tokens} tokens")


if __name__ == "__main__":
    run_command(main)
