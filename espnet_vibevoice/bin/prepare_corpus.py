"""Prepare a published corpus, or your own: data directories for train, valid, test."""

import argparse
import logging
from pathlib import Path

from espnet_vibevoice.data.corpora.prepare import PrepareOptions, prepare_corpus
from espnet_vibevoice.data.corpora.registry import CORPORA, CorpusKind
from espnet_vibevoice.data.corpora.splits import SetSize, SplitOptions
from espnet_vibevoice.errors import run_command


def get_parser() -> argparse.ArgumentParser:
    """Return the options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    corpora = parser.add_subparsers(dest="corpus", required=True, metavar="CORPUS")
    for name, kind in CORPORA.items():
        corpus = corpora.add_parser(
            name,
            help=kind.help,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        _add_common_options(corpus, kind)
        if kind.add_options is not None:
            kind.add_options(corpus)
    return parser


def parse_size(text: str) -> SetSize:
    """Read the size of a set; the message of a wrong one reaches the user."""
    try:
        return SetSize.parse(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _add_common_options(parser: argparse.ArgumentParser, kind: CorpusKind) -> None:
    parser.add_argument(
        "--source", type=Path, required=True, help="unpacked corpus, or the manifest"
    )
    parser.add_argument(
        "--data_dir", type=Path, default=Path("data"), help="where the sets go"
    )
    parser.add_argument(
        "--audio_dir",
        type=Path,
        help="where audio that is inside tables goes; default: DATA_DIR/audio",
    )
    parser.add_argument("--prefix", default=kind.prefix, help="begins all ids")
    for name, word in (("valid_size", "validation"), ("test_size", "test")):
        parser.add_argument(
            f"--{name}",
            type=parse_size,
            default="0.01",
            help=f"{word} set, where the corpus has none: a share (0.01 or 1%%) of the "
            "sentences or a number of utterances; 0: none",
        )
    parser.add_argument(
        "--by_speaker", action="store_true", help="sets share no speaker either"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws other sets")
    parser.add_argument(
        "--max_dropped",
        type=float,
        default=0.01,
        help="fail if a larger share of rows is faulty",
    )


def main() -> None:
    """Prepare one corpus."""
    args = get_parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    options = PrepareOptions(
        prefix=args.prefix,
        data_dir=args.data_dir,
        audio_dir=args.audio_dir or args.data_dir / "audio",
        splits=SplitOptions(
            args.valid_size, args.test_size, args.by_speaker, args.seed
        ),
        max_dropped=args.max_dropped,
    )
    prepare_corpus(CORPORA[args.corpus].open(args.source, args), options)


if __name__ == "__main__":
    run_command(main)
