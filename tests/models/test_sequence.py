import pytest
import torch

from espnet_vibevoice.models.sequence import build_layout


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
