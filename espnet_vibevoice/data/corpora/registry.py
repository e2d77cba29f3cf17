"""The corpora that can be prepared, and the options that only one of them has."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espnet_vibevoice.data.corpora.common_voice import TRAIN_LISTS, open_common_voice
from espnet_vibevoice.data.corpora.fleurs import open_fleurs
from espnet_vibevoice.data.corpora.manatts import open_manatts
from espnet_vibevoice.data.corpora.manifest import open_manifest
from espnet_vibevoice.data.corpora.parsigoo import SYNTHETIC_VOICES, open_parsigoo
from espnet_vibevoice.data.corpora.persian_speech_corpus import (
    open_persian_speech_corpus,
)
from espnet_vibevoice.data.corpora.utterance import Corpus


@dataclass(frozen=True)
class CorpusKind:
    """One corpus.

    Args:
        prefix (str): Begins its ids.
        help (str): One line for ``--help``.
        open (Callable): Opens it: source and parsed options in, corpus out.
        add_options (Callable | None): Adds its own options to a parser.
    """

    prefix: str
    help: str
    open: Callable[[Path, argparse.Namespace], Corpus]
    add_options: Callable[[argparse.ArgumentParser], None] | None = None


def _add_manatts_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--match_quality", nargs="+", default=["HIGH", "MIDDLE"], help="what to take"
    )
    parser.add_argument(
        "--max_cer",
        type=float,
        default=0.1,
        help="highest character error rate of the corpus's recognisers",
    )


def _add_common_voice_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--train_list",
        choices=TRAIN_LISTS,
        default="validated",
        help="clips to train on: the release's set, or all good ones but dev and test",
    )
    parser.add_argument("--min_up_votes", type=int, default=2, help="votes for a clip")
    parser.add_argument(
        "--max_down_votes", type=int, default=0, help="votes against a clip"
    )


def _add_parsigoo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--unwanted_speakers",
        nargs="*",
        default=list(SYNTHETIC_VOICES),
        help="voices to leave out; none given: all are taken",
    )


def _add_manifest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--default_speaker",
        help="speaker of rows that name none; by default each is its own speaker",
    )


CORPORA = {
    "manatts": CorpusKind(
        "fa",
        "ManaTTS: Parquet parts",
        lambda source, args: open_manatts(source, args.match_quality, args.max_cer),
        _add_manatts_options,
    ),
    "common_voice": CorpusKind(
        "cvfa",
        "Common Voice: lists and mp3",
        lambda source, args: open_common_voice(
            source, args.train_list, args.min_up_votes, args.max_down_votes
        ),
        _add_common_voice_options,
    ),
    "fleurs": CorpusKind(
        "fleurs", "FLEURS: lists and wav", lambda source, args: open_fleurs(source)
    ),
    "parsigoo": CorpusKind(
        "parsigoo",
        "ParsiGoo: a list per voice",
        lambda source, args: open_parsigoo(source, args.unwanted_speakers),
        _add_parsigoo_options,
    ),
    "persian_speech_corpus": CorpusKind(
        "fa",
        "Persian Speech Corpus: one list and wav",
        lambda source, args: open_persian_speech_corpus(source),
    ),
    "manifest": CorpusKind(
        "utt",
        "your own: JSONL, CSV, TSV, file|text, Hugging Face dataset on disk",
        lambda source, args: open_manifest(source, args.default_speaker),
        _add_manifest_options,
    ),
}
