import errno
import os
import shutil

import kaldiio
import numpy as np
import pytest

from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.data.latents import (
    LatentWriter,
    collect_latents,
    count_frames_in_shape_file,
    fingerprint_audio,
    summarize_latents,
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


@pytest.fixture
def dumped(tmp_path):
    """Latents of five utterances by two jobs, and their numbers of tokens."""
    ids = list(AUDIO)
    for job, part in ((1, ids[:3]), (2, ids[3:])):
        audio = {utt_id: AUDIO[utt_id] for utt_id in part}
        list(LatentWriter(tmp_path, job, IDENTITY).write_all(audio, Encoder()))
    return tmp_path, {utt_id: 10 + index for index, utt_id in enumerate(ids)}


def test_collect_latents_writes_shapes_in_positions(dumped, tmp_path):
    folder, tokens = dumped
    stats = tmp_path / "stats"
    summary = collect_latents(folder, 2, tokens, stats, "hugging_face")
    frames = {utt_id: index + 2 for index, utt_id in enumerate(AUDIO)}
    assert summary.frames == frames
    speech_shape = read_table(stats / "speech_shape")
    assert speech_shape == {k: str(v) for k, v in frames.items()}
    for name in ("text_shape", "text_shape.hugging_face"):
        assert read_table(stats / name) == {k: str(v) for k, v in tokens.items()}
    assert list(read_table(folder / "feats.scp")) == list(AUDIO)


def test_collect_latents_statistics_equal_numpy(dumped, tmp_path):
    folder, tokens = dumped
    summary = collect_latents(folder, 2, tokens, tmp_path / "stats", "hugging_face")
    rows = np.concatenate([make_latents(utt_id) for utt_id in AUDIO])
    with np.load(tmp_path / "stats" / "feats_stats.npz") as stats:
        assert stats["count"] == len(rows) == 20
        np.testing.assert_allclose(stats["sum"], rows.sum(0), atol=1e-5)
        np.testing.assert_allclose(stats["sum_square"], (rows**2).sum(0), atol=1e-5)
    assert summary.describe(3600 / 20) == (
        "5 utterances, 20 frames, 1.00 h, 3 dimensions, "
        f"mean {rows.mean():.3f}, deviation {rows.std(0).mean():.3f}"
    )


def test_collect_latents_leaves_out_what_the_set_lacks(dumped, tmp_path):
    folder, tokens = dumped
    del tokens["u1"]
    summary = collect_latents(folder, 2, tokens, tmp_path / "stats", "hugging_face")
    assert "u1" not in summary.frames and len(summary.frames) == 4


def test_collect_latents_missing_utterances_raises(dumped, tmp_path):
    folder, tokens = dumped
    message = "2 utterances have no latents: u3; u4. Rerun stage 5"
    with pytest.raises(ValueError, match=message):
        collect_latents(folder, 1, tokens, tmp_path / "stats", "hugging_face")
    assert not (tmp_path / "stats").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_summarize_latents_not_finite_raises(tmp_path, value):
    latents = np.zeros((2, 3), dtype=np.float32)
    latents[1, 2] = value
    arrays = {"u1": np.zeros((1, 3), dtype=np.float32), "u2": latents}
    kaldiio.save_ark(str(tmp_path / "a.ark"), arrays, scp=str(tmp_path / "a.scp"))
    with pytest.raises(ValueError, match=r"u2 \(.*a\.scp\): latents are not finite"):
        summarize_latents(tmp_path / "a.scp")


def test_count_frames_in_shape_file_rounds_up(tmp_path):
    path = tmp_path / "speech_shape"
    write_table(path, {"a": 3200, "b": 3201, "c": 1, "d": "7,64"})
    count_frames_in_shape_file(path, hop_samples=3200)
    assert read_table(path) == {"a": "1", "b": "2", "c": "1", "d": "7"}
