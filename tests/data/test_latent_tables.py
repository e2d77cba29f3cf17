import kaldiio
import numpy as np
import pytest

from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.data.latent_tables import (
    collect_latents,
    collect_semantic,
    find_semantic,
    summarize_latents,
)
from espnet_vibevoice.data.latents import FEATS, SEMANTIC, LatentWriter

AUDIO = {f"u{index}": f"/audio/u{index}.wav" for index in range(5)}


def make_latents(utt_id, path):
    index = int(utt_id[1:])
    return np.random.default_rng(index).standard_normal((index + 2, 3))


def make_semantic(utt_id, path):
    return np.full((int(utt_id[1:]) + 2, 7), 0.5)


@pytest.fixture
def dumped(tmp_path):
    """Latents of five utterances by two jobs, and their numbers of tokens."""
    ids = list(AUDIO)
    for job, part in ((1, ids[:3]), (2, ids[3:])):
        audio = {utt_id: AUDIO[utt_id] for utt_id in part}
        for name, encode in ((FEATS, make_latents), (SEMANTIC, make_semantic)):
            writer = LatentWriter(tmp_path, job, {"base": "b"}, name)
            list(writer.write_all(audio, encode))
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
    rows = np.concatenate([make_latents(utt_id, None) for utt_id in AUDIO])
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


def test_collect_semantic_names_the_utterances_of_the_latents(dumped, tmp_path):
    folder, tokens = dumped
    del tokens["u1"]
    summary = collect_latents(folder, 2, tokens, tmp_path / "stats", "hugging_face")
    collect_semantic(folder, 2, summary.frames)
    features = kaldiio.load_scp(str(find_semantic(folder / "feats.scp")))
    assert list(features) == list(tokens)
    assert {utt_id: len(features[utt_id]) for utt_id in tokens} == summary.frames
    assert features["u2"].shape == (4, 7) and (features["u2"] == 0.5).all()


def test_collect_semantic_other_number_of_frames_raises(dumped):
    folder, _ = dumped
    frames = {"u0": 2, "u1": 4}
    message = r"1 utterances have another number .*: u1 \(3 features, 4 latents\)"
    with pytest.raises(ValueError, match=message):
        collect_semantic(folder, 2, frames)


def test_collect_semantic_missing_utterances_raises(dumped):
    folder, tokens = dumped
    with pytest.raises(ValueError, match="2 utterances have no semantic features: u3"):
        collect_semantic(folder, 1, tokens)


def test_find_semantic_absent_raises_with_the_stage(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"semantic\.scp: no such .*stage 5"):
        find_semantic(tmp_path / "feats.scp")
