import numpy as np
import pytest
import soundfile
import torch

from espnet_vibevoice.data.crops import CropSource
from espnet_vibevoice.data.kaldi import write_table

LENGTHS = {"u1": 9000, "u2": 500, "u3": 1000}


@pytest.fixture
def data_dir(tmp_path):
    for index, (utt_id, length) in enumerate(LENGTHS.items()):
        ramp = (index + 1) / 4 + np.arange(length) / 2**15
        soundfile.write(tmp_path / f"{utt_id}.wav", ramp, 24000, subtype="FLOAT")
    write_table(tmp_path / "wav.scp", {u: tmp_path / f"{u}.wav" for u in LENGTHS})
    return tmp_path


def test_draw_same_step_gives_same_crops(data_dir):
    source = CropSource(data_dir, 24000, 1000)
    first = source.draw(8, seed=1, step=3)
    assert first.shape == (8, 1000)
    again = CropSource(data_dir, 24000, 1000).draw(8, seed=1, step=3)
    assert torch.equal(first, again)
    assert not torch.equal(first, source.draw(8, seed=1, step=4))
    assert not torch.equal(first, source.draw(8, seed=2, step=3))


def test_draw_reads_pieces_of_the_files(data_dir):
    crops = CropSource(data_dir, 24000, 1000).draw(64, seed=0, step=0)
    for crop in crops:
        sound = crop[crop > 0]
        assert len(sound) in (500, 1000)
        assert torch.allclose(sound.diff(), torch.tensor(2.0**-15), atol=1e-6)
    starts = {round(float(crop[0]) * 2**15) for crop in crops}
    assert len(starts) > 30  # mostly of the long file, anywhere in it


def test_take_first_is_the_middle(data_dir):
    source = CropSource(data_dir, 24000, 1000)
    first, second = source.take_first(count=9, batch_size=2)
    assert first.shape == (2, 1000) and second.shape == (1, 1000)
    assert float(first[0, 0]) == pytest.approx(0.25 + 4000 / 2**15)
    assert not first[1, 500:].any() and first[1, :500].all()
    assert len(source.take_first(count=2, batch_size=2)) == 1


def test_counted_lengths_are_used(data_dir):
    write_table(data_dir / "utt2num_samples", LENGTHS)
    source = CropSource(data_dir, 24000, 1000)
    assert source.num_samples.tolist() == list(LENGTHS.values())


def test_wrong_rate_raises(data_dir):
    with pytest.raises(ValueError, match=r"u1 \(.*24000 Hz and 1 dim.*16000 Hz mono"):
        CropSource(data_dir, 16000, 1000).take_first(1, 1)


def test_no_audio_raises(tmp_path):
    (tmp_path / "wav.scp").write_text("")
    with pytest.raises(ValueError, match=r"wav\.scp names no audio"):
        CropSource(tmp_path, 24000, 1000)
