import pytest
import torch

from espnet_vibevoice.data.audio import load_audio
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.tts.latents import VibeVoiceLatents


@pytest.fixture
def extractor(tiny_base):
    # a random codec reconstructs nothing
    return VibeVoiceLatents(str(tiny_base), hop_length=3200, min_encoder_fit=0)


@pytest.fixture
def waveforms():
    """Two waveforms of 4 and 2 started frames, zero-padded."""
    generator = torch.Generator().manual_seed(0)
    waveforms = torch.randn(2, 12000, generator=generator) * 0.05
    lengths = torch.tensor([12000, 6000])
    waveforms[1, 6000:] = 0
    return waveforms, lengths


def test_forward_lets_latents_through(extractor):
    latents, lengths = torch.randn(2, 5, 4), torch.tensor([5, 3])
    found, found_lengths = extractor(latents, lengths)
    assert found is latents and found_lengths is lengths
    _, lengths = extractor(latents)
    assert lengths.tolist() == [5, 5]


@torch.no_grad()
def test_forward_encodes_as_the_codec_does_one_by_one(extractor, tiny_base, waveforms):
    latents, lengths = extractor(*waveforms)
    codec = load_codec(str(tiny_base))
    assert latents.shape == (2, 4, 4)
    assert lengths.tolist() == [4, 2]
    assert torch.equal(latents[0], codec.encode(waveforms[0][0]))
    assert torch.equal(latents[1, :2], codec.encode(waveforms[0][1, :6000]))
    assert not latents[1, 2:].any()


@torch.no_grad()
def test_forward_neighbours_change_no_latent(extractor, waveforms):
    both, lengths = extractor(*waveforms)
    alone, _ = extractor(waveforms[0][1:, :6000], waveforms[1][1:])
    assert torch.equal(both[1, : lengths[1]], alone[0])
    louder = waveforms[0].clone()
    louder[0] *= 3
    assert torch.equal(extractor(louder, waveforms[1])[0][1], both[1])


def test_forward_audio_in_a_training_step_raises(extractor, waveforms):
    with pytest.raises(RuntimeError, match="--write_collected_feats true"):
        extractor(*waveforms)


def test_encoder_is_not_part_of_the_model(extractor, waveforms):
    with torch.no_grad():
        extractor(*waveforms)
    assert extractor.state_dict() == {}
    assert list(extractor.parameters()) == []


def test_sizes_are_those_of_the_codec(extractor):
    assert extractor.output_size() == 4
    assert extractor.get_parameters() == {"fs": 24000, "hop_length": 3200}


def test_constructor_without_hop_takes_the_codecs(tiny_base):
    extractor = VibeVoiceLatents(str(tiny_base), fs="24k", n_fft=1024, win_length=None)
    assert extractor.get_parameters()["hop_length"] == 3200


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"fs": 22050}, "fs is 22050, the codec of .* needs 24000. .*--fs 24000"),
        ({"fs": "16k"}, "fs is 16k, the codec of .* needs 24000"),
        ({"hop_length": 256}, "hop_length is 256, .* has 3200 .*--n_shift 3200"),
    ],
)
def test_constructor_wrong_rate_or_hop_raises(tiny_base, overrides, message):
    with pytest.raises(ValueError, match=message):
        VibeVoiceLatents(str(tiny_base), **overrides)


def test_latents_without_base_names_the_way_out():
    with pytest.raises(ValueError, match="use_task"):
        VibeVoiceLatents(fs=24000)


@torch.no_grad()
def test_forward_encoder_of_another_base_is_refused(exact_bases, speech_scp):
    first, second = map(str, exact_bases)
    audio = [load_audio(path)[0] for path in read_table(speech_scp).values()]
    waveforms = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(wave) for wave in audio], batch_first=True
    )
    lengths = torch.tensor([len(wave) for wave in audio])
    fitting = VibeVoiceLatents(first, acoustic_encoder=first)
    assert fitting(waveforms, lengths)[1].tolist() == [-(-len(x) // 32) for x in audio]
    misfit = VibeVoiceLatents(first, acoustic_encoder=second)
    with pytest.raises(ValueError, match=r"3 files, spectral correlation 0\.\d+.*does"):
        misfit(waveforms, lengths)
    lenient = VibeVoiceLatents(first, acoustic_encoder=second, min_encoder_fit=0)
    assert lenient(waveforms, lengths)[0].shape == (3, 1250, 32)
