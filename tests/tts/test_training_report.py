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


def test_summarize_training_without_checkpoint_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="run stage 6 first"):
        summarize_training(tmp_path)
