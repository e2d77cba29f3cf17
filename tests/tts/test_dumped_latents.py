"""Training under ESPnet's tts.sh: the statistics stage's latents replace the audio."""

from argparse import Namespace

import pytest

from espnet_vibevoice.tts.dumped_latents import use_dumped_latents


@pytest.fixture
def stats(tmp_path):
    """A statistics folder with latents and shapes."""
    folder = tmp_path / "stats/train"
    (folder / "collect_feats").mkdir(parents=True)
    names = ("collect_feats/feats.scp", "text_shape", "text_shape.hugging_face")
    for name in (*names, "speech_shape"):
        (folder / name).write_text("")
    return folder


def make_tiny_args(stats, speech="raw/wav.scp", kind="sound"):
    return Namespace(
        train_data_path_and_name_and_type=[
            ("raw/text", "text", "text"),
            (speech, "speech", kind),
        ],
        train_shape_file=[
            str(stats / "text_shape.hugging_face"),
            str(stats / "speech_shape"),
        ],
    )


@pytest.mark.parametrize("kind", ["sound", "kaldi_ark"])
def test_use_dumped_latents_replaces_audio_and_shapes(stats, kind):
    args = make_tiny_args(stats, kind=kind)
    use_dumped_latents(args, "train")
    latents = (str(stats / "collect_feats/feats.scp"), "speech", "npy")
    assert args.train_data_path_and_name_and_type == [
        ("raw/text", "text", "text"),
        latents,
    ]
    shapes = [str(stats / "text_shape"), str(stats / "speech_shape")]
    assert args.train_shape_file == shapes


def test_use_dumped_latents_keeps_latents(stats):
    args = make_tiny_args(stats, "latents/feats.scp", "kaldi_ark")
    before = list(args.train_data_path_and_name_and_type)
    use_dumped_latents(args, "train")
    assert args.train_data_path_and_name_and_type == before


def test_use_dumped_latents_without_latents_raises(stats):
    (stats / "collect_feats/feats.scp").unlink()
    with pytest.raises(FileNotFoundError, match="--write_collected_feats true"):
        use_dumped_latents(make_tiny_args(stats), "train")


def test_use_dumped_latents_of_split_data_raises(stats, tmp_path):
    (tmp_path / "splits2/wav.scp").mkdir(parents=True)
    args = make_tiny_args(stats, str(tmp_path / "splits2/wav.scp"))
    with pytest.raises(ValueError, match="give --num_splits 1"):
        use_dumped_latents(args, "train")
