import pytest
import torch

from espnet_vibevoice.models.sequence import (
    SPEECH_TYPE,
    TEXT_TYPE,
    build_layout,
    join_rows,
)


def simulate(num_text, num_frames, text_window, speech_window):
    """The generation loop, one row, as a list of ("t" or "s", index)."""
    order, token, frame = [], 0, 0
    while frame < num_frames:
        for _ in range(min(text_window, num_text - token)):
            order.append(("t", token))
            token += 1
        for _ in range(min(speech_window, num_frames - frame)):
            order.append(("s", frame))
            frame += 1
    return order


@pytest.mark.parametrize("text_window,speech_window", [(5, 6), (1, 1), (3, 2)])
def test_build_layout_random_lengths_equals_generation_loop(text_window, speech_window):
    text_lengths = torch.tensor([1, 5, 6, 13, 20, 3])
    latents_lengths = torch.tensor([30, 6, 7, 21, 4, 1])
    layout = build_layout(text_lengths, latents_lengths, text_window, speech_window)
    max_text = int(text_lengths.max())
    for row, (num_text, num_frames) in enumerate(
        zip(text_lengths.tolist(), latents_lengths.tolist(), strict=True)
    ):
        order = simulate(num_text, num_frames, text_window, speech_window)
        wanted = [i if kind == "t" else max_text + i for kind, i in order]
        assert layout.lengths[row] == len(order)
        assert layout.source_index[row, : len(order)].tolist() == wanted
        types = [int(kind == "t") for kind, _ in order]
        assert layout.type_ids[row, : len(order)].tolist() == types
        positions = [p for p, (kind, _) in enumerate(order) if kind == "s"]
        assert layout.speech_positions[row, :num_frames].tolist() == positions
        fed = sum(types)
        assert layout.unfed_tokens[row] == num_text - fed
        assert layout.last_frame_mask[row].nonzero().tolist() == [[num_frames - 1]]


def test_build_layout_larger_padding_keeps_real_positions():
    lengths = torch.tensor([4, 2]), torch.tensor([7, 3])
    tight = build_layout(*lengths, 2, 3)
    loose = build_layout(*lengths, 2, 3, max_text=9, max_frames=11)
    assert torch.equal(tight.lengths, loose.lengths)
    assert torch.equal(tight.type_ids[0, :11], loose.type_ids[0, :11])
    assert torch.equal(tight.speech_positions, loose.speech_positions[:, :7])


def test_build_layout_empty_row_raises():
    with pytest.raises(ValueError, match=r"latents_lengths: rows \[1\]"):
        build_layout(torch.tensor([1, 1]), torch.tensor([1, 0]), 5, 6)


def test_build_layout_zero_window_raises():
    with pytest.raises(ValueError, match="both must be at least 1"):
        build_layout(torch.tensor([1]), torch.tensor([1]), 0, 6)


@pytest.mark.parametrize("prompt_text_type", [SPEECH_TYPE, TEXT_TYPE])
@pytest.mark.parametrize("text_window,speech_window", [(5, 6), (1, 1), (3, 2)])
def test_build_layout_prompts_stand_before_the_generation_loop(
    text_window, speech_window, prompt_text_type
):
    said = torch.tensor([4, 0, 3, 0, 9])  # the second has no prompt
    heard = torch.tensor([7, 0, 1, 5, 2])  # the fourth has no transcript
    text_lengths = torch.tensor([12, 5, 1, 20, 3])
    latents_lengths = torch.tensor([21, 6, 30, 4, 1])
    layout = build_layout(
        text_lengths,
        latents_lengths,
        text_window,
        speech_window,
        prompt_text_lengths=said,
        prompt_latents_lengths=heard,
        prompt_text_type=prompt_text_type,
    )
    max_text = int((said + text_lengths).max())
    for row in range(5):
        before = [("s", i) for i in range(heard[row])]
        before += [("t", i) for i in range(said[row])]
        types = [SPEECH_TYPE] * int(heard[row]) + [prompt_text_type] * int(said[row])
        lengths = int(text_lengths[row]), int(latents_lengths[row])
        loop = simulate(*lengths, text_window, speech_window)
        types += [TEXT_TYPE if kind == "t" else SPEECH_TYPE for kind, _ in loop]
        offset = {"t": int(said[row]), "s": int(heard[row])}
        order = before + [(kind, i + offset[kind]) for kind, i in loop]
        wanted = [i if kind == "t" else max_text + i for kind, i in order]
        assert layout.lengths[row] == len(order)
        assert layout.source_index[row, : len(order)].tolist() == wanted
        assert layout.type_ids[row, : len(order)].tolist() == types
        positions = [len(before) + p for p, (kind, _) in enumerate(loop) if kind == "s"]
        learnt = layout.speech_positions[row, layout.speech_mask[row]]
        assert learnt.tolist() == positions
        assert not layout.speech_mask[row, : heard[row]].any()
        last = layout.last_frame_mask[row].nonzero().tolist()
        assert last == [[int(heard[row]) + lengths[1] - 1]]
        fed = sum(kind == "t" for kind, _ in loop)
        assert layout.unfed_tokens[row] == lengths[0] - fed


def test_build_layout_first_condition_is_the_last_token_of_the_first_window():
    layout = build_layout(
        torch.tensor([7]),
        torch.tensor([8]),
        5,
        6,
        prompt_text_lengths=torch.tensor([3]),
        prompt_latents_lengths=torch.tensor([4]),
    )
    first = layout.condition_positions[0, layout.speech_mask[0]][0]
    assert layout.source_index[0, first] == 3 + 5 - 1  # fifth token behind 3
    assert layout.type_ids[0, first] == TEXT_TYPE


def test_build_layout_unknown_prompt_type_raises():
    with pytest.raises(ValueError, match="prompt_text_type is 2: choose 0"):
        build_layout(torch.tensor([1]), torch.tensor([1]), 5, 6, prompt_text_type=2)


def test_join_rows_forgets_padding():
    first = torch.tensor([[[1.0], [2.0]], [[float("nan")]] * 2])
    second = torch.tensor([[[3.0], [float("nan")]], [[4.0], [5.0]]])
    joined, lengths = join_rows(
        first, torch.tensor([2, 0]), second, torch.tensor([1, 2])
    )
    assert joined[..., 0].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert lengths.tolist() == [3, 2]


def test_join_rows_nothing_before_keeps_the_rows():
    ids = torch.tensor([[1, 2], [3, 9]])
    none = torch.zeros(2, dtype=torch.long)
    joined, _ = join_rows(ids[:, :0], none, ids, torch.tensor([2, 1]))
    assert joined.tolist() == [[1, 2], [3, 0]]
    assert joined.dtype == torch.long
