import logging
from collections import Counter

import pytest

from espnet_vibevoice.data.kaldi import write_table
from espnet_vibevoice.data.prompts import choose_prompts, cut_prompt, find_prompts

SPEAKERS = {f"a_{i}": "a" for i in range(7)} | {f"b_{i}": "b" for i in range(2)}
FRAMES = dict.fromkeys(SPEAKERS, 10)


@pytest.fixture
def folder(tmp_path):
    write_table(tmp_path / "text", dict.fromkeys(SPEAKERS, "سلام"))
    write_table(tmp_path / "utt2spk", SPEAKERS)
    return tmp_path


def test_choose_prompts_each_other_utterance_of_the_speaker_serves_once():
    table = choose_prompts(SPEAKERS, FRAMES, 20)
    assert list(table) == list(SPEAKERS)
    assert all(utt != prompt for utt, prompt in table.items())
    assert all(SPEAKERS[utt] == SPEAKERS[prompt] for utt, prompt in table.items())
    assert set(Counter(table.values()).values()) == {1}


def test_choose_prompts_same_seed_same_table_whatever_the_others():
    table = choose_prompts(SPEAKERS, FRAMES, 20)
    assert choose_prompts(SPEAKERS, FRAMES, 20) == table
    assert choose_prompts(SPEAKERS, FRAMES, 20, seed=1) != table
    alone = {utt: spk for utt, spk in SPEAKERS.items() if spk == "a"}
    wanted = {utt: table[utt] for utt in alone}
    assert choose_prompts(alone, FRAMES, 20) == wanted


def test_choose_prompts_avoids_long_utterances():
    frames = FRAMES | {"a_1": 21, "a_4": 99, "b_0": 21, "b_1": 21}
    table = choose_prompts(SPEAKERS, frames, 20)
    prompts_of_a = {table[utt] for utt in table if utt.startswith("a")}
    assert prompts_of_a == {"a_0", "a_2", "a_3", "a_5", "a_6"}
    assert all(utt != prompt for utt, prompt in table.items())
    assert (table["b_0"], table["b_1"]) == ("b_1", "b_0")  # nothing shorter there


def test_choose_prompts_only_short_one_takes_a_long_one():
    frames = {"b_0": 5, "b_1": 50}
    table = choose_prompts({"b_0": "b", "b_1": "b"}, frames, 20)
    assert table == {"b_0": "b_1", "b_1": "b_0"}


def test_choose_prompts_single_utterance_prompts_itself():
    assert choose_prompts({"u": "s"}, {}, 20) == {"u": "u"}


def test_choose_prompts_large_speaker_is_quick():
    many = {f"u_{i:06d}": "s" for i in range(50_000)}
    table = choose_prompts(many, dict.fromkeys(many, 10), 20)
    assert len(set(table.values())) == len(many)


def test_find_prompts_reads_what_lies_beside_the_text(folder, caplog):
    with caplog.at_level(logging.INFO):
        table = find_prompts(folder / "text", FRAMES, 20)
    assert table == choose_prompts(SPEAKERS, FRAMES, 20)
    assert "9 voice prompts, 0 of them pieces of the utterance" in caplog.text


def test_find_prompts_given_table_goes_first(folder, caplog):
    write_table(folder / "utt2prompt", {"a_0": "b_1", "a_1": "filtered", "gone": "a_0"})
    table = find_prompts(folder / "text", FRAMES, 20)
    wanted = choose_prompts(SPEAKERS, FRAMES, 20) | {"a_0": "b_1"}
    assert table == wanted
    assert "utt2prompt names no usable prompt for 8 (a_1, " in caplog.text


def test_find_prompts_without_speakers_warns_and_takes_pieces(folder, caplog):
    (folder / "utt2spk").unlink()
    table = find_prompts(folder / "text", FRAMES, 20)
    assert table == {utt: utt for utt in SPEAKERS}
    assert "utt2spk is missing, so nobody knows whose voice is whose" in caplog.text


def test_find_prompts_utterance_without_speaker_raises(folder):
    write_table(folder / "utt2spk", {"a_0": "a"})
    with pytest.raises(ValueError, match=r"utt2spk has no speaker for 8 \(a_1, a_2"):
        find_prompts(folder / "text", FRAMES, 20)


@pytest.mark.parametrize(
    ("num_frames", "is_own", "place", "wanted"),
    [
        (10, False, 0.0, (slice(0, 10), True)),
        (21, False, 0.0, (slice(0, 20), False)),
        (22, False, 0.999, (slice(2, 22), False)),
        (9, True, 0.0, (slice(0, 4), False)),
        (9, True, 0.999, (slice(5, 9), False)),
        (1, True, 0.5, (slice(1, 1), False)),
        (99, True, 0.0, (slice(0, 20), False)),
    ],
)
def test_cut_prompt_keeps_within_the_limits(num_frames, is_own, place, wanted):
    assert cut_prompt(num_frames, 20, is_own=is_own, place=place) == wanted


def test_find_prompts_dialogue_takes_a_prompt_for_each_speaker(folder):
    write_table(folder / "utt2prompt", {"a_0": "a_3  b_1", "b_0": "b_1"})
    table = find_prompts(folder / "text", FRAMES, 20, num_speakers={"a_0": 2})
    assert table["a_0"] == "a_3 b_1" and table["b_0"] == "b_1"
    assert all(prompt in SPEAKERS for utt, prompt in table.items() if utt != "a_0")


def test_find_prompts_dialogue_prompts_nobody(folder):
    write_table(folder / "utt2prompt", {"b_0": "a_1 a_2"})
    table = find_prompts(folder / "text", FRAMES, 20, num_speakers={"b_0": 2})
    assert table["b_1"] == "b_1"


@pytest.mark.parametrize("prompts", [{}, {"a_0": "a_1"}, {"a_0": "a_1 gone"}])
def test_find_prompts_dialogue_without_voices_raises(folder, prompts):
    write_table(folder / "utt2prompt", prompts)
    message = r"each speaker of the dialogues 1 \(a_0\).*voice_prompt_drop_rate=1"
    with pytest.raises(ValueError, match=message):
        find_prompts(folder / "text", FRAMES, 20, num_speakers={"a_0": 2})


def test_find_prompts_two_prompts_for_one_speaker_are_replaced(folder, caplog):
    write_table(folder / "utt2prompt", {"b_0": "a_1 a_2"})
    with caplog.at_level(logging.WARNING):
        assert find_prompts(folder / "text", FRAMES, 20)["b_0"] == "b_1"
    assert "no usable prompt" in caplog.text
