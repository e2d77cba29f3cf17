import numpy as np
import soundfile

from espnet_vibevoice.score.decoder_output import draw_probability, write_speech


def test_write_speech_equals_what_espnet_writes(tmp_path):
    waveform = np.random.default_rng(0).normal(0, 0.5, 9000).astype(np.float32)
    assert np.abs(waveform).max() > 1  # clipped
    soundfile.write(tmp_path / "wanted.wav", waveform, 24000, "PCM_16")
    write_speech(tmp_path / "wav/made.wav", waveform, 24000)
    made = (tmp_path / "wav/made.wav").read_bytes()
    assert made == (tmp_path / "wanted.wav").read_bytes()


def test_draw_probability_writes_a_picture_and_nothing_else(tmp_path):
    draw_probability(tmp_path / "probs/a.png", np.linspace(0, 1, 9), "a")
    assert [path.name for path in (tmp_path / "probs").iterdir()] == ["a.png"]
    content = (tmp_path / "probs/a.png").read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 5000
