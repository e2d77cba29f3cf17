"""Averaged weights through ESPnet's training: validation, saving, resuming."""

import pytest
import torch

from espnet_vibevoice.tts.ema import COUNT, RAW
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

pytestmark = pytest.mark.slow

DECAY = ("--tts_conf", "ema_decay=0.5")
# three steps an epoch
BATCHES = ("--batch_type", "unsorted", "--batch_size", 1)


@pytest.fixture(scope="module")
def train(make_train_args, tmp_path_factory):
    """A function that trains up to some epoch and reads the last checkpoint."""
    root = tmp_path_factory.mktemp("ema")

    def run(name, epochs, *words):
        args = make_train_args(root / name, "--max_epoch", epochs, *BATCHES, *words)
        VibeVoiceTTSTask.main(args)
        return torch.load(root / name / f"{epochs}epoch.pth"), root / name

    return run


@pytest.fixture(scope="module")
def whole(train):
    return train("whole", 2, *DECAY)


def raw_weights(state):
    start = f"tts.{RAW}"
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def test_training_with_average_has_the_raw_weights_of_one_without(train, whole):
    plain, _ = train("plain", 2)
    raw = raw_weights(whole[0])
    assert raw
    for name, value in raw.items():
        assert torch.equal(value, plain[f"tts.{name}"]), name
        assert not torch.equal(value, whole[0][f"tts.{name}"]), name


def test_training_resumed_with_average_equals_an_uninterrupted_one(train, whole):
    first, _ = train("parts", 1, *DECAY)
    second, _ = train("parts", 2, *DECAY)
    assert int(first[f"tts.{COUNT}"]) > 0
    assert second.keys() == whole[0].keys()
    for name, value in second.items():
        assert torch.equal(value, whole[0][name]), name


def test_training_counts_one_update_per_optimiser_step(train, whole):
    accumulated, _ = train("accumulated", 2, *DECAY, "--accum_grad", 3)
    assert int(whole[0][f"tts.{COUNT}"]) == 2 * 3
    assert int(accumulated[f"tts.{COUNT}"]) == 2


def test_decoding_takes_the_average(whole):
    state, folder = whole
    model, _ = VibeVoiceTTSTask.build_model_from_file(
        folder / "config.yaml", folder / "2epoch.pth"
    )
    parameters = dict(model.eval().named_parameters())
    for name in raw_weights(state):
        assert torch.equal(parameters[f"tts.{name}"], state[f"tts.{name}"])
