from dataclasses import replace

import pytest
import torch

from espnet_vibevoice.models.multispeaker_sequence import (
    build_sequence,
    mask_voices,
    validate_batch,
)

START, END, FRAME, LAST = 258, 259, 260, 256


def test_sequence_is_prompt_frames_end_and_end_of_text(tiny_multispeaker, script_batch):
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    first, second = sequence.ids
    assert first[:14].equal(script_batch.prompt[0])
    assert first[14:].tolist() == [FRAME] * 4 + [END, LAST]
    assert second[:11].tolist() == [9, START, FRAME, END, 20, 21, START] + [
        FRAME
    ] * 2 + [
        END,
        LAST,
    ]
    assert sequence.lengths.tolist() == [20, 11]
    assert sequence.frame_mask[0].nonzero().flatten().tolist() == [14, 15, 16, 17]
    assert sequence.frame_mask[1].nonzero().flatten().tolist() == [7, 8]
    assert sequence.voice_mask[0].nonzero().flatten().tolist() == [2, 3, 4, 8, 9]
    assert sequence.voice_mask[1].nonzero().flatten().tolist() == [2]
    assert sequence.condition_positions.tolist() == [[13, 14, 15, 16], [6, 7, 0, 0]]


def test_sequence_labels_are_the_next_tokens(tiny_multispeaker, script_batch):
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens)
    following = sequence.next_ids
    assert following[0, 13:].tolist() == [FRAME] * 4 + [END, LAST, -100]
    assert following[1, 6:11].tolist() == [FRAME, FRAME, END, LAST, -100]
    assert (following[1, 10:] == -100).all()
    choices = [row.nonzero().flatten().tolist() for row in sequence.choice_mask]
    assert choices == [[13, 14, 15, 16, 17], [6, 7, 8]]


def test_sequence_without_end_of_text_is_one_shorter(tiny_multispeaker, script_batch):
    tokens = tiny_multispeaker.tokens
    whole = build_sequence(script_batch, tokens)
    short = build_sequence(script_batch, tokens, append_end_of_text=False)
    assert short.lengths.equal(whole.lengths - 1)
    assert short.ids[0].equal(whole.ids[0, :-1])
    assert short.ids[1, 9].item() == END and not short.ids[1, 10:].any()


def test_unconditional_row_is_the_opening_token_and_its_frames(
    tiny_multispeaker, script_batch
):
    rows = torch.tensor([True, False])
    sequence = build_sequence(script_batch, tiny_multispeaker.tokens, uncond_rows=rows)
    assert sequence.ids[0, :7].tolist() == [START] + [FRAME] * 4 + [END, LAST]
    assert sequence.lengths.tolist() == [7, 11]
    assert not sequence.voice_mask[0].any() and not sequence.voice_taken[0].any()
    assert sequence.voice_taken[1].tolist() == [True] + [False] * 4
    assert sequence.condition_positions[0].tolist() == [0, 1, 2, 3]


def test_mask_voices_without_voices_is_empty(script_batch):
    batch = replace(script_batch, voice_latents=None, voice_lengths=None)
    assert mask_voices(batch).shape == (2, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latents_lengths": torch.tensor([4, 0])}, r"latents_lengths: rows \[1\]"),
        ({"prompt_lengths": torch.tensor([0, 7])}, r"prompt_lengths: rows \[0\]"),
        ({"voice_lengths": torch.tensor([4, 1])}, "row 0 .* marks 5 frames .* 4 are"),
        ({"voice_latents": None}, "row 0 .* marks 5 frames of voices, but 0 are given"),
        (
            {"prompt_lengths": torch.tensor([13, 7])},
            r"rows \[0\].*opens speech \(258\)",
        ),
        (
            {"latents": torch.zeros(2, 4, 5)},
            r"latents .*\(2, 4, 5\), wanted \(2, 4, 4\)",
        ),
        ({"semantic": torch.zeros(2, 3, 6)}, r"semantic .*wanted \(2, 4, 6\)"),
        ({"voice_lengths": None}, r"voice_lengths .*got shape None, wanted \(2,\)"),
        ({"voice_semantic": torch.zeros(2, 5, 1)}, r"voice_semantic .*\(2, 5, 6\)"),
        (
            {"prompt": torch.full((2, 14), 264)},
            "token ids 264 to 264: the base has 0 to",
        ),
    ],
)
def test_validate_batch_that_does_not_fit_raises(
    tiny_multispeaker, script_batch, changes, message
):
    batch = replace(script_batch, **changes)
    with pytest.raises(ValueError, match=message):
        validate_batch(batch, tiny_multispeaker.tokens, tiny_multispeaker.config)


def test_validate_batch_longer_than_the_base_raises(tiny_multispeaker, script_batch):
    tiny_multispeaker.config.language_model.max_position_embeddings = 19
    with pytest.raises(ValueError, match="has 20 positions, the base was made for 19"):
        validate_batch(script_batch, tiny_multispeaker.tokens, tiny_multispeaker.config)
