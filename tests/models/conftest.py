"""Batches for the tests of the models; the tiny model is in tests/conftest.py."""

import pytest
import torch

LATENT_DIM = 4


@pytest.fixture
def batch():
    """Two rows: 7 tokens and 13 frames, 4 tokens and 5 frames."""
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randint(0, 30, (2, 7), generator=generator),
        torch.tensor([7, 4]),
        torch.randn(2, 13, LATENT_DIM, generator=generator),
        torch.tensor([13, 5]),
    )


@pytest.fixture
def prompt(tiny_model):
    """Give the prompt of 5 frames and 3 tokens that the tiny model has read."""
    from espnet_vibevoice.models.voice_prompt import build_voice_prompt

    latents = torch.randn(5, LATENT_DIM, generator=torch.Generator().manual_seed(2))
    return build_voice_prompt(tiny_model, latents, torch.tensor([3, 1, 4]))


@pytest.fixture
def save_preset():
    """Give a function that writes a prompt in the form of the official presets."""
    from transformers import DynamicCache
    from transformers.modeling_outputs import BaseModelOutputWithPast

    def save(prompt, path, **extra):
        stored = {}
        for name in ("lm", "tts_lm", "neg_lm", "neg_tts_lm"):
            branch = getattr(prompt, name)
            cache = DynamicCache.__new__(DynamicCache)
            cache.__dict__ = {  # the attributes that transformers 4.51 pickles
                "_seen_tokens": branch.length,
                "key_cache": list(branch.keys),
                "value_cache": list(branch.values),
            }
            stored[name] = BaseModelOutputWithPast(
                last_hidden_state=branch.last_hidden_state, past_key_values=cache
            )
        torch.save(stored | extra, path)
        return path

    return save


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def any_multispeaker(request, multispeaker_original, build_multispeaker):
    """Make the tiny multi-speaker model, its lm_head tied or not."""
    multispeaker_original["decoder_config"]["tie_word_embeddings"] = request.param
    return build_multispeaker(multispeaker_original)


@pytest.fixture
def script_batch():
    """Two rows of a tiny script: 4 frames, voices of 3 and 2; 2 frames, a voice of 1.

    Padding holds what must not be read: a token that marks a frame, and NaN.
    """
    from espnet_vibevoice.models.multispeaker_sequence import MultispeakerBatch

    start, end, frame = 258, 259, 260
    voices = [[7, start, frame, frame, frame, end, 8, start, frame, frame, end]]
    voices += [[9, start, frame, end]]
    prompts = [torch.tensor([*said, 20, 21, start]) for said in voices]
    generator = torch.Generator().manual_seed(1)

    def fill(lengths, dim):
        rows = torch.full((len(lengths), max(lengths), dim), torch.nan)
        for row, length in zip(rows, lengths, strict=True):
            row[:length] = torch.randn(length, dim, generator=generator)
        return rows

    return MultispeakerBatch(
        prompt=torch.nn.utils.rnn.pad_sequence(prompts, True, padding_value=frame),
        prompt_lengths=torch.tensor([len(prompt) for prompt in prompts]),
        latents=fill([4, 2], LATENT_DIM),
        semantic=fill([4, 2], 6),
        latents_lengths=torch.tensor([4, 2]),
        voice_latents=fill([5, 1], LATENT_DIM),
        voice_lengths=torch.tensor([5, 1]),
    )
