import pytest
import torch

from espnet_vibevoice.models.branch import (
    Branch,
    merge_branches,
    start_batch,
    start_branches,
)
from espnet_vibevoice.models.voice_prompt import build_voice_prompt

TEXTS = [torch.tensor(ids) for ids in ([3, 1, 4, 1, 5], [9, 2], [6, 5, 3])]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def prompt(tiny_model):
    latents = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    return build_voice_prompt(tiny_model, latents, torch.tensor([7, 8, 9]))


def make_vectors(count):
    return torch.randn(count, 1, 16, generator=torch.Generator().manual_seed(count))


def feed_alone(model, branch, text, vectors):
    """Read text, frame, the first two tokens again, frame; return hidden states."""
    hidden = []
    for ids, vector in zip((text, text[:2]), vectors, strict=True):
        branch.feed_text(model, ids[None])
        branch.feed_frame(model, vector[None])
        hidden.append(branch.hidden)
    return torch.stack(hidden)


def feed_together(model, branch, padding_id):
    hidden = []
    lengths = torch.tensor([len(text) for text in TEXTS])
    for size, vector in zip((5, 2), make_vectors(2), strict=True):
        ids = torch.nn.utils.rnn.pad_sequence(
            [text[:size] for text in TEXTS], True, padding_id
        )
        mask = torch.arange(size) < lengths[:, None]
        branch.feed_text(model, ids, None if mask.all() else mask)
        branch.feed_frame(model, vector[None].expand(3, -1, -1))
        hidden.append(branch.hidden)
    return torch.stack(hidden)


@pytest.mark.parametrize("prompted", [(), (1,), (0, 1, 2)])
@pytest.mark.parametrize("padding_id", [0, 30])
def test_branch_batch_of_unequal_rows_equals_single_rows(
    tiny_model, prompt, prompted, padding_id
):
    prompts = [prompt if row in prompted else None for row in range(3)]
    together = feed_together(
        tiny_model, start_batch(tiny_model, prompts)[0], padding_id
    )
    for row, text in enumerate(TEXTS):
        alone = start_branches(tiny_model, prompts[row])[0]
        wanted = feed_alone(tiny_model, alone, text, make_vectors(2))
        assert torch.allclose(together[:, row], wanted[:, 0], atol=1e-6)


def test_branch_row_without_new_text_keeps_its_hidden_state(tiny_model):
    branch = start_batch(tiny_model, [None, None])[0]
    branch.feed_text(tiny_model, torch.tensor([[3, 1], [4, 1]]))
    before = branch.hidden
    mask = torch.tensor([[True, True], [False, False]])
    branch.feed_text(tiny_model, torch.tensor([[5, 9], [0, 0]]), mask)
    assert torch.equal(branch.hidden[1], before[1])
    assert not torch.equal(branch.hidden[0], before[0])
    assert branch.count_positions() == [4, 2]


def test_branch_keep_rows_goes_on_as_if_alone(tiny_model, prompt):
    branch = start_batch(tiny_model, [None, prompt, None])[0]
    feed_together(tiny_model, branch, 0)
    branch.keep_rows(torch.tensor([1]))
    branch.feed_text(tiny_model, torch.tensor([[5, 5]]))
    alone = start_branches(tiny_model, prompt)[0]
    feed_alone(tiny_model, alone, TEXTS[1], make_vectors(2))
    alone.feed_text(tiny_model, torch.tensor([[5, 5]]))
    assert torch.allclose(branch.hidden, alone.hidden, atol=1e-6)
    assert branch.count_positions() == alone.count_positions()


@pytest.mark.parametrize("text_type", [0, 1])
def test_branch_feed_prompt_equals_a_built_prompt(tiny_model, text_type):
    latents, ids = torch.randn(5, 4), torch.tensor([7, 8, 9])
    built = build_voice_prompt(tiny_model, latents, ids, text_type)
    fed = Branch()
    vectors = tiny_model.acoustic_connector(tiny_model.scale_latents(latents))
    fed.feed_prompt(tiny_model, vectors[None], ids[None], text_type)
    wanted = built.to_branches()[0]
    assert torch.allclose(fed.hidden, wanted.hidden, atol=1e-6)
    for branch in (fed, wanted):
        branch.feed_text(tiny_model, torch.tensor([[4, 4]]))
    assert torch.allclose(fed.hidden, wanted.hidden, atol=1e-6)


def test_start_branches_leaves_the_prompt_as_it_was(tiny_model, prompt):
    before = prompt.tts_lm.to_cache().layers[0].keys.clone()
    for branch in start_branches(tiny_model, prompt):
        branch.feed_frame(tiny_model, make_vectors(1)[None, 0])
    assert torch.equal(prompt.tts_lm.to_cache().layers[0].keys, before)


def test_start_branches_unknown_negative_prompt_raises(tiny_model):
    tiny_model.negative_prompt_id = None
    with pytest.raises(RuntimeError, match="negative_prompt_id from the tokenizer"):
        start_branches(tiny_model)


def test_merge_branches_of_equal_length_needs_no_mask(tiny_model):
    pairs = [start_branches(tiny_model) for _ in range(2)]
    merged = merge_branches([negative for _, negative in pairs])
    assert merged.upper.mask is None and merged.lower.mask is None
    assert merged.hidden.shape == (2, 16)
    assert merged.count_positions() == [1, 1]
