import logging
import os

import pytest
import torch

from espnet_vibevoice.tts.mending import mend_checkpoints, read_checkpoint

MODEL = {"tts.weight": torch.arange(300.0)}


@pytest.fixture
def experiment(tmp_path):
    """A training that has finished its second epoch."""
    states = {"model": MODEL, "reporter": {"epoch": 2}, "optimizers": [{"step": 4}]}
    torch.save(states, tmp_path / "checkpoint.pth")
    for epoch in (1, 2):
        torch.save(MODEL, tmp_path / f"{epoch}epoch.pth")
    return tmp_path


def cut(path, share=0.5):
    os.truncate(path, int(path.stat().st_size * share))


def read_all(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_mend_checkpoints_before_the_first_epoch_does_nothing(tmp_path):
    assert mend_checkpoints(tmp_path) == []


def test_mend_checkpoints_whole_ones_are_left_alone(experiment):
    before = read_all(experiment)
    assert mend_checkpoints(experiment) == []
    assert read_all(experiment) == before


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_mend_checkpoints_cut_checkpoint_is_moved_aside(experiment, share):
    cut(experiment / "checkpoint.pth", share)
    before = read_all(experiment)
    (said,) = mend_checkpoints(experiment)
    assert "checkpoint.pth was cut off" in said and "--init_param" in said
    before["checkpoint.pth.broken"] = before.pop("checkpoint.pth")
    assert read_all(experiment) == before
    assert mend_checkpoints(experiment) == []


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 0.99])
def test_mend_checkpoints_last_epoch_is_written_again(experiment, share):
    last = experiment / "2epoch.pth"
    cut(last, share) if share is not None else last.unlink()
    (said,) = mend_checkpoints(experiment)
    assert "2epoch.pth was missing or cut off" in said
    assert torch.equal(torch.load(last)["tts.weight"], MODEL["tts.weight"])
    assert sorted(path.name for path in experiment.iterdir()) == [
        "1epoch.pth",
        "2epoch.pth",
        "checkpoint.pth",
    ]


def test_read_checkpoint_damaged_inside_warns(experiment, caplog):
    path = experiment / "checkpoint.pth"
    content = path.read_bytes()
    begin = content.index(b"checkpoint/data.pkl") + 64
    path.write_bytes(content[:begin] + bytes(100) + content[begin + 100 :])
    with caplog.at_level(logging.WARNING):
        assert read_checkpoint(path) is None
    assert "cannot be read" in caplog.text
