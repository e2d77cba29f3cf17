import errno
import os
import shutil

import kaldiio
import numpy as np
import pytest

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.latents import (
    LatentWriter,
    count_frames_in_shape_file,
    fingerprint_audio,
)

AUDIO = {f"u{index}": f"/audio/u{index}.wav" for index in range(5)}
IDENTITY = {"base": "b", "audio": "a"}
NAMES = ["feats.1.ark", "feats.1.json", "feats.1.scp"]


def make_latents(utt_id):
    index = int(utt_id[1:])
    return np.random.default_rng(index).standard_normal((index + 2, 3))


class Encoder:
    """Stands for the codec; counts calls and dies at a given one."""

    def __init__(self, dies_at=None):
        self.calls = []
        self.dies_at = dies_at

    def __call__(self, utt_id, path):
        assert path == AUDIO[utt_id]
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append(utt_id)
        return make_latents(utt_id)


def write(folder, encoder, identity=IDENTITY):
    return list(LatentWriter(folder, 1, identity).write_all(AUDIO, encoder))


@pytest.fixture
def folder(tmp_path):
    """Latents that were written without a break."""
    write(tmp_path / "feats", Encoder())
    return tmp_path / "feats"


@pytest.fixture
def whole(folder):
    """Bytes of an uninterrupted run in the same folder."""
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture
def cut(folder, whole):
    """Latents of a run that was killed before the fourth utterance."""
    shutil.rmtree(folder)
    with pytest.raises(KeyboardInterrupt):
        write(folder, Encoder(dies_at=3))
    assert sorted(path.name for path in folder.iterdir()) == [
        "feats.1.ark.part",
        "feats.1.json",
        "feats.1.scp.part",
    ]
    return folder


def assert_whole(folder, whole):
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_write_all_can_be_read_by_kaldiio(folder):
    read = dict(kaldiio.load_scp_sequential(str(folder / "feats.1.scp")))
    assert list(read) == list(AUDIO)
    for utt_id, latents in read.items():
        assert np.array_equal(latents, make_latents(utt_id).astype(np.float32))


def test_write_all_yields_each_id_in_order(tmp_path):
    encoder = Encoder()
    assert write(tmp_path, encoder) == encoder.calls == list(AUDIO)
    encoder = Encoder()
    assert write(tmp_path, encoder) == list(AUDIO)
    assert encoder.calls == []


def test_write_all_finished_is_not_touched(folder, whole):
    times = {name: (folder / name).stat().st_mtime_ns for name in NAMES}
    write(folder, Encoder(dies_at=0))
    assert times == {name: (folder / name).stat().st_mtime_ns for name in NAMES}


def test_write_all_resumed_equals_uninterrupted(cut, whole):
    encoder = Encoder()
    assert write(cut, encoder) == list(AUDIO)
    assert encoder.calls == ["u3", "u4"]
    assert_whole(cut, whole)


def test_write_all_cut_ark_is_encoded_again(cut, whole):
    ark = cut / "feats.1.ark.part"
    os.truncate(ark, ark.stat().st_size - 1)
    encoder = Encoder()
    write(cut, encoder)
    assert encoder.calls == ["u2", "u3", "u4"]
    assert_whole(cut, whole)


def test_write_all_ark_cut_in_a_head_is_encoded_again(cut, whole):
    offset = int((cut / "feats.1.scp.part").read_text().split()[3].rpartition(":")[2])
    os.truncate(cut / "feats.1.ark.part", offset + 7)
    encoder = Encoder()
    write(cut, encoder)
    assert encoder.calls == ["u1", "u2", "u3", "u4"]
    assert_whole(cut, whole)


def test_write_all_ark_ahead_of_scp_is_cut_back(cut, whole):
    with (cut / "feats.1.ark.part").open("ab") as ark:
        kaldiio.save_ark(ark, {"u3": make_latents("u3").astype(np.float32)[:2]})
    encoder = Encoder()
    write(cut, encoder)
    assert encoder.calls == ["u3", "u4"]
    assert_whole(cut, whole)


@pytest.mark.parametrize("removed", [1, 9])
def test_write_all_half_scp_line_is_written_again(cut, whole, removed):
    scp = cut / "feats.1.scp.part"
    os.truncate(scp, scp.stat().st_size - removed)
    encoder = Encoder()
    write(cut, encoder)
    assert encoder.calls == ["u2", "u3", "u4"]
    assert_whole(cut, whole)


def test_write_all_killed_between_renames_encodes_nothing(folder, whole):
    os.rename(folder / "feats.1.scp", folder / "feats.1.scp.part")
    encoder = Encoder()
    assert write(folder, encoder) == list(AUDIO)
    assert encoder.calls == []
    assert_whole(folder, whole)


def test_write_all_only_scp_renamed_starts_anew(folder, whole):
    # cannot be left by a kill, but by a disk that kept one rename of two
    os.rename(folder / "feats.1.ark", folder / "feats.1.ark.part")
    encoder = Encoder()
    write(folder, encoder)
    assert encoder.calls == list(AUDIO)
    assert_whole(folder, whole)


@pytest.mark.parametrize("state", ["folder", "cut"])
def test_write_all_other_identity_discards(request, whole, state):
    folder = request.getfixturevalue(state)
    encoder = Encoder()
    write(folder, encoder, {"base": "another", "audio": "a"})
    assert encoder.calls == list(AUDIO)
    assert (folder / "feats.1.ark").read_bytes() == whole["feats.1.ark"]
    assert (folder / "feats.1.json").read_bytes() != whole["feats.1.json"]


def test_write_all_other_list_is_not_finished(folder):
    short = {"u0": AUDIO["u0"]}
    encoder = Encoder()
    writer = LatentWriter(folder, 1, IDENTITY)
    assert list(writer.write_all(short, encoder)) == encoder.calls == ["u0"]
    assert list(read_table(folder / "feats.1.scp")) == ["u0"]


def test_write_all_full_disk_raises_and_resumes(folder, whole, monkeypatch):
    shutil.rmtree(folder)
    save_ark, written = kaldiio.save_ark, []

    def save_until_full(ark, latents):
        if len(written) == 2:
            ark.write(b"u2 ")  # what still had room
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(latents)
        return save_ark(ark, latents)

    monkeypatch.setattr(kaldiio, "save_ark", save_until_full)
    message = r"no space left while writing .*feats\.1\.ark .*MiB free.*again"
    with pytest.raises(OSError, match=message):
        write(folder, Encoder())
    monkeypatch.undo()
    encoder = Encoder()
    write(folder, encoder)
    assert encoder.calls == ["u2", "u3", "u4"]
    assert_whole(folder, whole)


def test_fingerprint_audio_follows_path_size_and_time(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"1234")
    os.utime(path, (1, 1))
    first = fingerprint_audio({"a": str(path)})
    assert first == fingerprint_audio({"a": str(path)})
    assert first != fingerprint_audio({"b": str(path)})
    os.utime(path, (2, 2))
    assert first != fingerprint_audio({"a": str(path)})
    path.write_bytes(b"12345")
    os.utime(path, (1, 1))
    assert first != fingerprint_audio({"a": str(path)})


def test_count_frames_in_shape_file_rounds_up(tmp_path):
    path = tmp_path / "speech_shape"
    write_table(path, {"a": 3200, "b": 3201, "c": 1, "d": "7,64"})
    count_frames_in_shape_file(path, hop_samples=3200)
    assert read_table(path) == {"a": "1", "b": "2", "c": "1", "d": "7"}
