"""Kill -9 in the middle of an epoch of LoRA training, then the same command again.

Everything that could make a resumed run differ is on: dropout, accumulated gradients
with a batch left over at the end of each epoch, averaged weights, voice prompts.
"""

import shutil

import pytest
import torch

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

# 15 batches an epoch, two a step: one is left over
TRAIN_ARGS = (
    "--max_epoch 3 --num_iters_per_epoch 15 --accum_grad 2 --log_interval 3 "
    "--tts_conf strategy=lora --tts_conf lora_dropout=0.1 --tts_conf ema_decay=0.9 "
    "--scheduler warmupcosinelr --scheduler_conf warmup_steps=3 --num_att_plot 0"
)
OPTIONS = ("--train_args", TRAIN_ARGS)


def read_losses(checkpoint: dict) -> dict[tuple[int, str, str], float]:
    """Give each loss of each epoch."""
    return {
        (epoch, phase, name): value
        for epoch, phases in checkpoint["reporter"]["stats"].items()
        for phase, stats in phases.items()
        for name, value in stats.items()
        if name.endswith("loss")
    }


def test_lora_training_killed_in_an_epoch_has_the_losses_of_an_undisturbed_one(
    copied, started
):
    path = copied.experiment / "checkpoint.pth"
    log = copied.experiment / "train.log"
    shutil.rmtree(copied.experiment)
    copied.succeed(6, 6, *OPTIONS)
    wanted = torch.load(path, weights_only=False)

    shutil.rmtree(copied.experiment)
    run = started(copied, 6, 6, *OPTIONS)
    run.wait_for(lambda: log.is_file() and "2epoch:train:4-6batch" in log.read_text())
    run.kill_all()
    ended = torch.load(path, weights_only=False)["reporter"]["epoch"]
    assert 1 <= ended < 3  # there was something left to do
    copied.succeed(6, 6, *OPTIONS)
    text = log.read_text()
    assert f"{ended + 1}epoch:train" in text
    assert f"{ended}epoch:train" not in text  # it went on, and did not start again

    resumed = torch.load(path, weights_only=False)
    losses, wanted_losses = read_losses(resumed), read_losses(wanted)
    assert len(losses) == 3 * 2 * 3  # epochs, phases, losses
    assert losses == pytest.approx(wanted_losses, abs=1e-6)
    assert int(resumed["model"]["tts.ema.updates"]) == 3 * 7
    assert resumed["model"].keys() == wanted["model"].keys()
    for name, value in wanted["model"].items():
        assert torch.equal(resumed["model"][name], value), name
