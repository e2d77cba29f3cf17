import io

import numpy as np
import pytest
import soundfile

from espnet_vibevoice.data.audio import AudioError, encode_audio, load_audio
from espnet_vibevoice.data.audio_stream import read_stream, tells_length

FS = 24000


def make_tiny_mp3(is_tagged, num_samples=72000):
    """Mp3 of variable bit rate that begins with silence, so that a guess is far off."""
    generator = np.random.default_rng(0)
    noise = 0.3 * generator.standard_normal(num_samples // 2)
    waveform = np.concatenate([np.zeros(num_samples // 2), noise])
    buffer = io.BytesIO()
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    soundfile.write(buffer, waveform, FS, format="MP3", **options)
    data = buffer.getvalue()
    assert b"Xing" in data
    return data if is_tagged else data.replace(b"Xing", b"....").replace(b"LAME", b"..")


def make_flac_of_unknown_length(num_samples):
    noise = 0.1 * np.random.default_rng(0).standard_normal(num_samples)
    data = bytearray(encode_audio(noise.astype(np.float32), FS, "flac"))
    data[21] &= 0xF0  # STREAMINFO: the low 36 bits of bytes 18 to 25 count samples
    data[22:26] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("is_tagged", [True, False])
def test_load_audio_mp3_is_read_to_its_end(is_tagged):
    waveform, _ = load_audio(make_tiny_mp3(is_tagged))
    assert len(waveform) == pytest.approx(72000, abs=3000)
    assert np.sqrt(np.mean(waveform[40000:70000] ** 2)) == pytest.approx(0.3, rel=0.1)


def test_load_audio_mp3_behind_a_large_picture_is_read_to_its_end():
    title = b"ID3\x04\0\0\0\x07\x00\x00" + bytes(7 * 128 * 128)
    whole, _ = load_audio(title + make_tiny_mp3(is_tagged=False))
    assert len(whole) == len(load_audio(make_tiny_mp3(is_tagged=False))[0])


def test_load_audio_flac_of_a_pipe_raises_with_a_way_out():
    with pytest.raises(AudioError, match="does not tell its length.*write it anew"):
        load_audio(make_flac_of_unknown_length(9000))


def test_load_audio_stream_longer_than_allowed_raises():
    with pytest.raises(AudioError, match="too_long: .*limit 0.3 s"):
        load_audio(make_tiny_mp3(is_tagged=False), max_sec=0.3)


def test_read_stream_stops_behind_the_limit():
    file = io.BytesIO(make_tiny_mp3(is_tagged=False, num_samples=800000))
    assert 100 < len(read_stream(file, 100)) < 700000


def test_read_stream_damaged_raises_and_leaves_no_thread():
    with pytest.raises(soundfile.LibsndfileError):
        read_stream(io.BytesIO(b"no audio" * 100000), 100)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfb" + bytes(34) + b"Xing", True),
        (b"\xff\xfb" + bytes(34) + b"Info", True),
        (b"\xff\xfb" + bytes(5000) + b"Info", False),
        (b"ID3\x04\0\0\0\0\x4e\x10" + bytes(10000) + b"Info", True),
        (b"ID3", False),
    ],
)
def test_tells_length_needs_a_tag(content, told):
    assert tells_length(io.BytesIO(content)) is told
