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
