"""ESPnet's token stage, with the tokenizer of a language model as one more type.

Same options as ``espnet2.bin.tokenize_text``. With ``--token_type hugging_face`` the
token list is the whole vocabulary of the base's tokenizer, in id order, so that its
length is the size ESPnet asks for; any other type runs ESPnet's own code.
"""

import argparse

from espnet2.bin import tokenize_text as espnet_command

from espnet_vibevoice.data.files import write_lines
from espnet_vibevoice.errors import run_command
from espnet_vibevoice.tts.conf import (
    add_model_options,
    load_base_tokenizer,
    read_tts_conf,
)


def get_parser() -> argparse.ArgumentParser:
    """Return ESPnet's parser with our token type and the options for the base."""
    parser = espnet_command.get_parser()
    for action in parser._actions:
        if "--token_type" in action.option_strings:
            action.choices = [*action.choices, "hugging_face"]
    add_model_options(parser)
    return parser


def main() -> None:
    """Write the token list."""
    args = get_parser().parse_args()
    if args.token_type == "hugging_face":
        tokenizer = load_base_tokenizer(read_tts_conf(args))
        write_lines(args.output, tokenizer.vocabulary())
        return
    options = vars(args)
    for ours in ("train_config", "train_args", "base"):
        del options[ours]
    espnet_command.tokenize(**options)


if __name__ == "__main__":
    run_command(main)
