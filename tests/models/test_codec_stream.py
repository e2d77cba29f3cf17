import pytest
import torch

from espnet_vibevoice.models.codec_stream import (
    ConvolutionPast,
    DecoderStream,
    EncoderStream,
)


@pytest.fixture
def multispeaker_original(multispeaker_original):
    """Widen the codecs: norms of one channel would blow rounding up."""
    multispeaker_original["acoustic_tokenizer_config"]["decoder_n_filters"] = 4
    multispeaker_original["semantic_tokenizer_config"]["encoder_n_filters"] = 4
    return multispeaker_original


def test_streams_of_rows_that_skip_steps_equal_one_pass(tiny_multispeaker):
    codec, semantic = (
        tiny_multispeaker.acoustic_tokenizer,
        tiny_multispeaker.semantic_tokenizer,
    )
    latents = torch.randn(3, 4, 4)
    decoder = DecoderStream(codec.decoder, 3)
    encoder = EncoderStream(semantic.encoder, 3)
    waveforms, features = [[] for _ in range(3)], [[] for _ in range(3)]
    turns = [[0, 1, 2], [0, 2], [1], [0, 1, 2], [2, 1], [0]]
    for rows in turns:
        index = None if len(rows) == 3 else torch.tensor(rows)
        next_ones = [latents[row, len(waveforms[row])] for row in rows]
        made = decoder.decode(torch.stack(next_ones)[:, None], index)
        heard = encoder.encode(made, index)
        for place, row in enumerate(rows):
            waveforms[row].append(made[place])
            features[row].append(heard[place])
    for row in range(3):
        whole = codec.decode(latents[row])
        joined = torch.cat(waveforms[row])
        assert torch.allclose(joined, whole, atol=1e-5)
        encoded = semantic.encode(joined)
        assert torch.allclose(torch.cat(features[row]), encoded, atol=1e-5)


def test_cleared_row_begins_again_and_others_go_on(tiny_multispeaker):
    codec = tiny_multispeaker.acoustic_tokenizer
    latents = torch.randn(2, 2, 4)
    decoder = DecoderStream(codec.decoder, 2)
    decoder.decode(latents[:, :1])
    decoder.past.clear(torch.tensor([1]))
    made = decoder.decode(latents[:, 1:])
    assert torch.allclose(made[0], codec.decode(latents[0])[3200:], atol=1e-5)
    assert torch.allclose(made[1], codec.decode(latents[1, 1:]), atol=1e-5)


def test_convolution_past_does_not_grow_and_rows_can_be_dropped(tiny_multispeaker):
    past = ConvolutionPast(3)
    convolution = tiny_multispeaker.acoustic_tokenizer.decoder.stem.conv
    for _ in range(2):
        past.update(torch.ones(3, 4, 2), "stem", convolution)
        assert past.count_values() == 3 * 4 * convolution.left_pad
    past.select(torch.tensor([1]))
    past.clear(torch.tensor([1]))
    joined = past.update(torch.ones(1, 4, 1), "stem", convolution)
    assert joined[0, :, :-1].abs().sum() == 0
    past.keep_rows(torch.tensor([0]))
    assert past.count_values() == 4 * convolution.left_pad
