import re

import pytest

from espnet_vibevoice.data.corpora.utterance import (
    find_set,
    make_speaker_id,
    make_utterance_id,
)

NAMES = ["a", "a b", "a_b", "a/b", "سارا", "سینا", "x" * 80, "y" * 16 + "x" * 80, ""]


@pytest.mark.parametrize("name", NAMES)
def test_make_utterance_id_is_safe_for_tables_and_files(name):
    utt_id = make_utterance_id("fa", name or None, name)
    assert re.fullmatch(r"[A-Za-z0-9_]+-[A-Za-z0-9_.-]+", utt_id)
    assert len(utt_id) < 160


def test_make_ids_different_names_stay_different():
    assert len({make_speaker_id("fa", name) for name in NAMES}) == len(NAMES)
    assert len({make_utterance_id("fa", "s", name) for name in NAMES}) == len(NAMES)


def test_make_utterance_id_sorts_speakers_with_utterances():
    speakers = ["a", "a_", "ab", "A", "a b", "b", "b1", "سارا"]
    pairs = [
        (make_utterance_id("fa", speaker, name), make_speaker_id("fa", speaker))
        for speaker in speakers
        for name in ("-1", "z", "0")
    ]
    in_order = [speaker for _, speaker in sorted(pairs)]
    assert in_order == sorted(in_order)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("dev", "valid"), (" Test ", "test"), ("training", "train"), ("other", None)],
)
def test_find_set_knows_the_usual_names(name, expected):
    assert find_set(name) == expected
