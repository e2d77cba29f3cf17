import pytest
import torch

from espnet_vibevoice.models.loading import load_model, load_semantic_tokenizer
from espnet_vibevoice.models.multispeaker import MultispeakerModel
from espnet_vibevoice.models.realtime import RealtimeModel


def test_load_model_takes_the_class_of_the_family(tiny_base, tiny_multispeaker_base):
    assert type(load_model(str(tiny_base))) is RealtimeModel
    model = load_model(str(tiny_multispeaker_base), torch.bfloat16)
    assert type(model) is MultispeakerModel
    assert model.language_model.embed_tokens.weight.dtype == torch.bfloat16


def test_load_semantic_tokenizer_equals_that_of_the_model(tiny_multispeaker_base):
    waveform = torch.randn(7000, generator=torch.Generator().manual_seed(0)) * 0.05
    alone = load_semantic_tokenizer(str(tiny_multispeaker_base))
    whole = load_model(str(tiny_multispeaker_base)).semantic_tokenizer
    features = alone.encode(waveform)
    assert features.shape == (3, 6) and not features.requires_grad
    assert torch.equal(features, whole.encode(waveform)) and features.abs().max() > 0


def test_load_semantic_tokenizer_of_the_realtime_family_is_none(tiny_base):
    assert load_semantic_tokenizer(str(tiny_base)) is None


def test_load_model_without_a_base_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_model(str(tmp_path))
