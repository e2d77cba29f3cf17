"""ESPnet's token stage, with the tokenizer of a language model as one more type.

With ``--token_type hugging_face`` the token list is the whole vocabulary of the
base's tokenizer, in id order, so that its length is the size ESPnet asks for. The
other options of ``espnet2.bin.tokenize_text`` do not matter then; with any other
type the command is ESPnet's own.
"""

import argparse
import sys

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.conf import (
    add_model_options,
    load_base_tokenizer,
    read_tts_conf,
)


def get_parser() -> argparse.ArgumentParser:
    """Return the options that are ours to read."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--token_type", "-t", default="char", help="hugging_face: ours")
    parser.add_argument("--output", "-o", required=True, help="token list to write")
    add_model_options(parser)
    return parser


def main() -> None:
    """Write the token list."""
    args, _ = get_parser().parse_known_args()
    if args.token_type == "hugging_face":
        tokenizer = load_base_tokenizer(read_tts_conf(args))
        write_lines(args.output, tokenizer.vocabulary())
        return
    # imported here: it takes seconds, and only ESPnet's own token types need it
    from espnet2.bin import tokenize_text

    ours = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_model_options(ours)
    tokenize_text.main(ours.parse_known_args(sys.argv[1:])[1])


if __name__ == "__main__":
    run_command(main)
