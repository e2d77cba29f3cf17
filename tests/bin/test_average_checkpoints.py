"""espnet_vibevoice.bin.average_checkpoints: files, or the best epochs of a training."""

import sys

import pytest
import torch
import yaml

from espnet_vibevoice.bin import average_checkpoints


@pytest.fixture
def experiment(tmp_path):
    for epoch in (1, 2, 3):
        torch.save(
            {"tts.weight": torch.full((2,), epoch)}, tmp_path / f"{epoch}epoch.pth"
        )
    stats = {epoch: {"valid": {"loss": float(epoch)}} for epoch in (1, 2, 3)}
    states = {"model": {}, "reporter": {"stats": stats, "epoch": 3}}
    torch.save(states, tmp_path / "checkpoint.pth")
    config = {"best_model_criterion": [["valid", "loss", "min"]]}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["x", *map(str, words)])
    average_checkpoints.main()


def test_average_checkpoints_of_files_writes_their_mean(
    experiment, monkeypatch, capsys
):
    out = experiment / "mean.pth"
    files = [experiment / "1epoch.pth", experiment / "3epoch.pth"]
    call(monkeypatch, *files, "--out", out)
    assert torch.equal(torch.load(out)["tts.weight"], torch.full((2,), 2.0))
    assert f"{out}: mean of 2 checkpoints" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "mean"), [([], 1.5), (["--mode", "max"], 2.5)])
def test_average_checkpoints_of_a_training_takes_the_best(
    experiment, monkeypatch, words, mean
):
    call(monkeypatch, experiment, "--criterion", "valid.loss", "--nbest", 2, *words)
    found = torch.load(experiment / "valid.loss.ave_2best.pth")
    assert torch.equal(found["tts.weight"], torch.full((2,), mean))


@pytest.mark.parametrize(
    "words",
    [
        ["a.pth"],
        ["exp", "--criterion", "valid.loss"],
        ["a.pth", "--out", "b.pth", "--nbest", "2"],
        ["exp", "exp2", "--criterion", "valid.loss", "--nbest", "2"],
    ],
)
def test_average_checkpoints_of_half_a_request_explains(monkeypatch, capsys, words):
    with pytest.raises(SystemExit, match="^2$"):
        call(monkeypatch, *words)
    message = capsys.readouterr().err
    assert "give .pth files and --out" in message or "takes one experiment" in message
