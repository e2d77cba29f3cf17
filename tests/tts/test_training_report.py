from datetime import timedelta

import pytest
import torch

from espnet_vibevoice.tts.training_report import summarize_training


def make_phase(loss):
    return {"loss": loss, "eos_accuracy": 0.5, "time": timedelta(seconds=30)}


def test_summarize_training_names_first_and_best_epoch(tmp_path):
    stats = {
        epoch: {"train": make_phase(9.0), "valid": make_phase(loss)}
        for epoch, loss in ((1, 1.5), (2, 0.5), (3, 0.75))
    }
    torch.save({"reporter": {"stats": stats, "epoch": 3}}, tmp_path / "checkpoint.pth")
    assert summarize_training(tmp_path) == (
        "3 epochs, 180 s in batches; valid loss 1.500, best 0.500 (epoch 2)"
    )


def test_summarize_training_tells_speed_padding_and_memory(tmp_path):
    speed = {"frames_per_sec": 99.6, "tokens_per_sec": 200.2, "padding_share": 0.125}
    train = make_phase(9.0) | speed | {"max_memory_GB": 2.345}
    stats = {1: {"train": train, "valid": make_phase(1.0), "att_plot": make_phase(0)}}
    torch.save({"reporter": {"stats": stats, "epoch": 1}}, tmp_path / "checkpoint.pth")
    assert summarize_training(tmp_path) == (
        "1 epochs, 60 s in batches; valid loss 1.000, best 1.000 (epoch 1); "
        "100 frames/s, 200 tokens/s, 12.5% padding, 2.35 GB"
    )


def test_summarize_training_without_checkpoint_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="run stage 6 first"):
        summarize_training(tmp_path)
