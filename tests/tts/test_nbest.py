"""Averages of the best epochs: what ESPnet's function does, and ours in its place."""

import logging
import os

import pytest
import torch
import yaml
from espnet2.main_funcs.average_nbest_models import average_nbest_models
from espnet2.train.reporter import Reporter

from espnet_vibevoice.tts.nbest import average_best, replace_averages
from tests.tts.lora_module import Holder, deltas, trained, tune

LOSSES = {1: 0.9, 2: 0.3, 3: 0.1, 4: 0.2}  # by epoch
CRITERIA = [("valid", "loss", "min"), ("valid", "eos_accuracy", "max")]


class Experiment:
    """A finished training of four epochs, without ESPnet's averages."""

    def __init__(self, folder, size=0.05, criteria=CRITERIA, **settings):
        self.folder, self.settings, self.criteria = folder, settings, criteria
        self.modules = {}
        self.reporter = Reporter()
        self.reporter.stats = {}
        for epoch, loss in LOSSES.items():
            module = tune(Holder(**settings), epoch, size, start=9)
            self.modules[epoch] = module.tts
            torch.save(module.state_dict(), folder / f"{epoch}epoch.pth")
            values = {"loss": loss, "eos_accuracy": epoch / 4}
            self.reporter.stats[epoch] = {"valid": values}
        self.reporter.epoch = max(LOSSES)
        states = {"model": module.state_dict(), "reporter": self.reporter.state_dict()}
        torch.save(states, folder / "checkpoint.pth")
        config = {"best_model_criterion": [list(words) for words in criteria]}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def average_as_espnet(self, nbest, suffix=None):
        average_nbest_models(self.folder, self.reporter, self.criteria, nbest, suffix)

    def load(self, name):
        holder = Holder(**self.settings)
        holder.load_state_dict(torch.load(self.folder / name), strict=True)
        return holder.tts

    def mean_delta(self, path, epochs):
        return sum(deltas(self.modules[e])[path] for e in epochs) / len(epochs)


def assert_mean_of_weights(module, modules):
    """The part in full holds exact means."""
    for name, parameter in trained(module).items():
        if "lora" not in name:
            values = [trained(other)[name].detach().double() for other in modules]
            wanted = torch.stack(values).mean(dim=0)
            torch.testing.assert_close(parameter.double(), wanted, atol=1e-6, rtol=0)


def test_espnets_average_of_parts_in_full_is_right_and_loads(tmp_path):
    experiment = Experiment(tmp_path, criteria=CRITERIA[:1], has_lora=False)
    experiment.average_as_espnet(3)
    found = experiment.load("valid.loss.ave_3best.pth")
    assert_mean_of_weights(found, [experiment.modules[epoch] for epoch in (3, 4, 2)])


@pytest.mark.parametrize("use_rslora", [False, True])
def test_replace_averages_of_lora_is_the_mean_of_merged_weights(tmp_path, use_rslora):
    experiment = Experiment(tmp_path, use_rslora=use_rslora, criteria=CRITERIA[:1])
    experiment.average_as_espnet(3)
    name = "valid.loss.ave_3best.pth"
    naive = Holder(use_rslora=use_rslora).tts
    state = torch.load(tmp_path / name)
    for key, parameter in trained(naive).items():
        parameter.data.copy_(state[f"tts.{key}"])
    with pytest.raises(ValueError, match="mean of factors is not the mean of models"):
        experiment.load(name)
    (report,) = replace_averages(tmp_path)
    found = experiment.load(name)
    for path, delta in deltas(found).items():
        wanted = experiment.mean_delta(path, (3, 4, 2))
        missed = float((delta - wanted).norm() / wanted.norm())
        residual = report.residuals[f"tts.{path}"]
        assert residual == pytest.approx(missed, rel=0.01) and residual < 0.01
        assert float((deltas(naive)[path] - wanted).norm() / wanted.norm()) > missed
    assert_mean_of_weights(found, [experiment.modules[epoch] for epoch in (3, 4, 2)])
    assert os.readlink(tmp_path / "valid.loss.ave.pth") == name


def test_replace_averages_of_several_mends_what_espnet_mixes_up(tmp_path):
    experiment = Experiment(tmp_path, has_lora=False)
    experiment.average_as_espnet([1, 2, 3])
    best = {"loss": (3, 4, 2), "eos_accuracy": (4, 3, 2)}
    wrong = experiment.load("valid.loss.ave_3best.pth")
    with pytest.raises(AssertionError, match="not close"):
        assert_mean_of_weights(wrong, [experiment.modules[e] for e in best["loss"]])
    assert len(replace_averages(tmp_path)) == 4
    for key, epochs in best.items():
        for nbest in (2, 3):
            found = experiment.load(f"valid.{key}.ave_{nbest}best.pth")
            modules = [experiment.modules[epoch] for epoch in epochs[:nbest]]
            assert_mean_of_weights(found, modules)
        assert os.path.islink(tmp_path / f"valid.{key}.ave_1best.pth")


def test_replace_averages_made_during_training_takes_the_epochs_until_then(tmp_path):
    experiment = Experiment(tmp_path, criteria=CRITERIA[:1])
    experiment.average_as_espnet(2, suffix="till2epoch")
    replace_averages(tmp_path)
    found = experiment.load("valid.loss.ave_2best.till2epoch.pth")
    assert_mean_of_weights(found, [experiment.modules[epoch] for epoch in (1, 2)])


def test_replace_averages_without_any_does_nothing(tmp_path):
    assert replace_averages(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "spoil", "message"),
    [
        ({"use_dora": True}, None, "DoRA was trained"),
        ({}, "4epoch.pth", "4epoch.pth: no such checkpoint"),
    ],
)
def test_replace_averages_that_cannot_be_warns(
    tmp_path, caplog, settings, spoil, message
):
    experiment = Experiment(tmp_path, criteria=CRITERIA[:1], **settings)
    experiment.average_as_espnet(2)
    if spoil:
        (tmp_path / spoil).unlink()
    with caplog.at_level(logging.WARNING):
        assert replace_averages(tmp_path) == []
    assert "stays ESPnet's, do not use it" in caplog.text and message in caplog.text
    with pytest.raises(ValueError, match="not those that training saved"):
        experiment.load("valid.loss.ave_2best.pth")


def test_replace_averages_with_an_average_of_weights_leaves_out_the_raw_ones(tmp_path):
    experiment = Experiment(tmp_path, criteria=CRITERIA[:1])
    raw = {}
    for epoch, path in ((e, tmp_path / f"{e}epoch.pth") for e in LOSSES):
        module = Holder(decay=0.5)
        module.load_state_dict(torch.load(path))
        raw[epoch] = tune(module, epoch + 5).tts
        raw[epoch].ema.update()
        torch.save(module.state_dict(), path)
    experiment.average_as_espnet(2)
    replace_averages(tmp_path)
    found = experiment.load("valid.loss.ave_2best.pth")
    modules = [raw[epoch].eval() for epoch in (3, 4)]  # hold their averages
    assert_mean_of_weights(found, modules)


@pytest.mark.parametrize(
    ("criterion", "mode", "epochs"),
    [
        ("valid.loss", None, (3, 4)),
        ("valid.loss", "max", (1, 2)),
        ("valid.eos_accuracy", None, (4, 3)),
    ],
)
def test_average_best_takes_the_best_epochs(tmp_path, criterion, mode, epochs):
    experiment = Experiment(tmp_path)
    report = average_best(tmp_path, criterion, 2, mode)
    assert report.out == tmp_path / f"{criterion}.ave_2best.pth"
    found = experiment.load(report.out.name)
    assert_mean_of_weights(found, [experiment.modules[epoch] for epoch in epochs])


@pytest.mark.parametrize(
    ("criterion", "nbest", "mode", "message"),
    [
        ("valid.loss", 5, None, "5 epochs wanted, it has 4: give --nbest 1 to 4"),
        ("valid.loss", 0, None, "0 epochs wanted"),
        ("valid.x", 2, "min", "reported as valid.x: give one of .*valid.loss"),
        ("valid.x", 2, None, "does not name valid.x, only valid.loss, .*--mode min"),
    ],
)
def test_average_best_of_what_is_not_there_raises(
    tmp_path, criterion, nbest, mode, message
):
    Experiment(tmp_path)
    with pytest.raises(ValueError, match=message):
        average_best(tmp_path, criterion, nbest, mode)


def test_average_best_of_no_training_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="config.yaml: no such file. Give"):
        average_best(tmp_path, "valid.loss", 2)
    with pytest.raises(FileNotFoundError, match="checkpoint.pth: no such file. Give"):
        average_best(tmp_path, "valid.loss", 2, "min")


def test_average_best_of_a_cut_checkpoint_raises(tmp_path):
    Experiment(tmp_path)
    os.truncate(tmp_path / "checkpoint.pth", 100)
    with pytest.raises(ValueError, match="checkpoint.pth is cut off"):
        average_best(tmp_path, "valid.loss", 2)
