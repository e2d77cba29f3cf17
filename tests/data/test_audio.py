import io
import struct

import numpy as np
import pytest
import soundfile
from transformers import VibeVoiceAcousticTokenizerFeatureExtractor

from espnet_vibevoice.data.audio import (
    AudioError,
    encode_audio,
    is_whole_wav,
    load_audio,
    normalize_loudness,
    resample,
    to_mono,
    write_wav,
)


def make_tiny_noise(num_samples=800, scale=0.1, seed=0):
    generator = np.random.default_rng(seed)
    return (scale * generator.standard_normal(num_samples)).astype(np.float32)


def test_write_wav_16_bit_samples_come_back_unchanged(tmp_path):
    samples = np.array([0, 1, -1, 32767, -32768, 12345], dtype=np.int16)
    write_wav(tmp_path / "a.wav", samples / np.float32(32768), 24000)
    waveform, fs = load_audio(tmp_path / "a.wav")
    assert fs == 24000 and waveform.dtype == np.float32
    assert (waveform * 32768 == samples).all()
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_encode_audio_above_full_scale_clips(tmp_path):
    data = encode_audio(np.array([2.0, -2.0], dtype=np.float32), 8000)
    waveform, _ = load_audio(data)
    assert waveform.tolist() == [32767 / 32768, -1.0]


def test_encode_audio_flac_is_lossless():
    wav, _ = load_audio(encode_audio(make_tiny_noise(), 24000, "wav"))
    flac, _ = load_audio(encode_audio(make_tiny_noise(), 24000, "flac"))
    assert (wav == flac).all()


def test_encode_audio_unknown_format_raises():
    with pytest.raises(ValueError, match="'mp4' is not known"):
        encode_audio(make_tiny_noise(), 24000, "mp4")


def test_load_audio_part_equals_slice(tmp_path):
    write_wav(tmp_path / "a.wav", make_tiny_noise(800), 8000)
    whole, _ = load_audio(tmp_path / "a.wav")
    part, _ = load_audio(tmp_path / "a.wav", 0.025, 0.05)
    assert (part == whole[200:400]).all()
    rest, _ = load_audio(tmp_path / "a.wav", 0.025, 0.2)  # little over the end
    assert (rest == whole[200:]).all()


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (None, "unreadable", "no such file"),
        (b"", "unreadable", "a.wav"),
        (b"this is not audio", "unreadable", "a.wav"),
        (encode_audio(np.zeros(0, np.float32), 8000), "empty", "no samples"),
    ],
)
def test_load_audio_unusable_raises_with_reason(tmp_path, content, reason, detail):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=detail) as caught:
        load_audio(path)
    assert caught.value.reason == reason


def test_load_audio_reason_of_libsndfile_ends_without_full_stop(tmp_path):
    (tmp_path / "a.wav").write_bytes(encode_audio(make_tiny_noise(800), 8000)[:30])
    with pytest.raises(AudioError, match=r"unreadable: .*[^.]$"):
        load_audio(tmp_path / "a.wav")


def test_load_audio_not_a_number_raises(tmp_path):
    samples = np.array([0.0, np.nan], dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match="not_finite"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(("start", "end"), [(0.05, 0.05), (0.2, 0.3), (0.0, 0.7)])
def test_load_audio_part_outside_raises(start, end):
    data = encode_audio(make_tiny_noise(800), 8000)
    with pytest.raises(AudioError, match="bad_segment: .* of 0.100 s"):
        load_audio(data, start, end)


def test_to_mono_averages_channels():
    stereo = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    assert to_mono(stereo).tolist() == [0.5, 0.5]


def test_resample_sine_keeps_frequency_and_amplitude():
    seconds = np.arange(4800) / 48000
    sine = np.sin(2 * np.pi * 1000 * seconds).astype(np.float32)
    result = resample(sine, 48000, 24000)
    expected = np.sin(2 * np.pi * 1000 * np.arange(2400) / 24000)
    assert result.dtype == np.float32 and len(result) == 2400
    np.testing.assert_allclose(result[300:-300], expected[300:-300], atol=1e-4)


def test_resample_equal_rates_returns_same_array():
    waveform = make_tiny_noise()
    assert resample(waveform, 24000, 24000) is waveform


@pytest.mark.parametrize("scale", [1e-4, 0.1, 1.0, 3.0])
def test_normalize_loudness_equals_transformers_processor(scale):
    waveform = make_tiny_noise(3200, scale)
    waveform[100] *= 50  # a peak that has to be brought below full scale
    extractor = VibeVoiceAcousticTokenizerFeatureExtractor()
    expected = extractor(waveform, sampling_rate=24000)["input_values"]
    np.testing.assert_allclose(
        normalize_loudness(waveform), expected[0, 0].numpy(), rtol=1e-5, atol=1e-7
    )


def test_normalize_loudness_reaches_target():
    result = normalize_loudness(make_tiny_noise(), target_dbfs=-30.0)
    assert 20 * np.log10(np.sqrt(np.mean(result**2))) == pytest.approx(-30, abs=1e-3)


def test_normalize_loudness_silence_stays_silence():
    assert (normalize_loudness(np.zeros(8, dtype=np.float32)) == 0).all()


def test_is_whole_wav_every_cut_is_noticed(tmp_path):
    data = encode_audio(make_tiny_noise(40), 24000)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    assert is_whole_wav(path)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert not is_whole_wav(path), size


def test_is_whole_wav_other_files_are_not(tmp_path):
    (tmp_path / "a.flac").write_bytes(encode_audio(make_tiny_noise(), 24000, "flac"))
    write_wav(tmp_path / "empty.wav", make_tiny_noise(0), 24000)
    assert not is_whole_wav(tmp_path / "a.flac")
    assert not is_whole_wav(tmp_path / "empty.wav")
    assert not is_whole_wav(tmp_path / "none.wav")


CODECS = {
    "wav": {},
    "flac": {},
    "ogg": {"subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "aiff": {},
    "caf": {},
}


@pytest.mark.parametrize("suffix", CODECS)
def test_load_audio_every_codec_gives_the_samples(tmp_path, suffix):
    path = tmp_path / f"صدا یک.{suffix}"
    seconds = np.arange(24000) / 24000
    sine = 0.3 * np.sin(2 * np.pi * 440 * seconds)
    soundfile.write(path, np.stack([sine, sine], axis=1), 24000, **CODECS[suffix])
    waveform, fs = load_audio(path)
    assert fs == 24000 and waveform.shape == (24000, 2)
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(0.3 / 2**0.5, rel=0.05)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("channels", [1, 5])
def test_load_audio_any_width_and_channels(tmp_path, subtype, channels):
    samples = np.tile(make_tiny_noise(400)[:, None], channels)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype=subtype)
    waveform, _ = load_audio(tmp_path / "a.wav")
    np.testing.assert_allclose(to_mono(waveform), samples[:, 0], atol=1 / 100)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_load_audio_cut_file_raises(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, make_tiny_noise(48000), 24000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match="truncated: |unreadable: ") as caught:
        load_audio(path)
    assert caught.value.reason in ("truncated", "unreadable")


@pytest.mark.parametrize("claimed", [0xFFFFFFFF, 0x7FFFF000])
def test_load_audio_streamed_wav_has_no_true_size(claimed):
    data = encode_audio(make_tiny_noise(), 8000)
    data = data[:40] + struct.pack("<I", claimed) + data[44:]
    assert load_audio(data)[0].shape == (800,)


def test_load_audio_header_counted_as_samples_is_whole():
    data = encode_audio(make_tiny_noise(), 8000)
    slipped = data[:40] + struct.pack("<I", 1600 + 44) + data[44:]
    assert load_audio(slipped)[0].shape == (800,)


def test_load_audio_open_file_stays_open():
    file = io.BytesIO(encode_audio(make_tiny_noise(), 8000))
    first, second = load_audio(file)[0], load_audio(file)[0]
    assert (first == second).all()


def test_load_audio_longer_than_allowed_raises_but_a_part_is_read():
    data = encode_audio(make_tiny_noise(8000), 8000)
    with pytest.raises(AudioError, match="too_long: .* 1.000 s, limit 0.5 s") as caught:
        load_audio(data, max_sec=0.5)
    assert caught.value.limit == "0.5 s"
    assert load_audio(data, 0.2, 0.7, max_sec=0.5)[0].shape == (4000,)


def test_load_audio_no_bytes_raises_saying_so(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioError, match="unreadable: .*a.wav: 0 bytes"):
        load_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("count", [0, 5, 12, 20])
def test_is_whole_wav_head_alone_is_not(tmp_path, count):
    data = encode_audio(make_tiny_noise(4), 8000)[:count]
    (tmp_path / "a.wav").write_bytes(data)
    assert not is_whole_wav(tmp_path / "a.wav")
