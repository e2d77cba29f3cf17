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
