import re
from datetime import timedelta

import pytest
import torch

from espnet_vibevoice.score.report.curves import (
    build_curves,
    collect_curves,
    read_curves,
)


def make_stats(epochs):
    return {
        epoch: {
            "train": {"loss": 2.0 / epoch, "time": timedelta(1), "lr": 1.0},
            "valid": {
                "loss": 3.0 / epoch if epoch < 4 else 5.0,
                "eos_accuracy": epoch / 10,
                "time": timedelta(1),
            },
        }
        for epoch in range(1, epochs + 1)
    }


def test_collect_curves_takes_losses_and_accuracies():
    first, second = collect_curves(make_stats(2))
    assert (first.name, second.name) == ("loss", "eos_accuracy")
    assert first.lines == {"train": [(1, 2.0), (2, 1.0)], "valid": [(1, 3.0), (2, 1.5)]}
    assert second.lines["train"] == []


def test_build_curves_names_the_best_epoch():
    text = re.sub("<[^>]+>", "", build_curves(collect_curves(make_stats(5))))
    assert "loss best 1 in epoch 3" in text
    assert "eos accuracy best 0.5 in epoch 5" in text


def test_build_curves_lines_stay_in_the_frame_and_are_thinned():
    made = build_curves(collect_curves(make_stats(1500)))
    lines = re.findall('points="([^"]+)"', made)
    assert len(lines) == 3
    for line in lines:
        points = [tuple(map(float, point.split(","))) for point in line.split()]
        assert len(points) <= 201
        assert all(44 <= x <= 312 and 10 <= y <= 124 for x, y in points)
        assert points[0][0] == 44 and points[-1][0] == 312


def test_build_curves_one_epoch_works():
    assert "best 3 in epoch 1" in build_curves(collect_curves(make_stats(1)))


def test_read_curves_reads_what_the_reporter_keeps(tmp_path):
    states = {"model": torch.zeros(3), "reporter": {"stats": make_stats(2), "epoch": 2}}
    torch.save(states, tmp_path / "checkpoint.pth")
    assert read_curves(tmp_path) == collect_curves(make_stats(2))


def test_read_curves_without_training_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="checkpoint.pth is missing"):
        read_curves(tmp_path)
