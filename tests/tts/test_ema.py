import copy
import io
import logging

import pytest
import torch
from espnet2.torch_utils.load_pretrained_model import load_pretrained_model

from espnet_vibevoice.tts.ema import COUNT, PREFIX, RAW, TrainedAverage
from tests.tts.lora_module import Holder, LoraModule, trained, tune

DECAY = 0.8


class Run:
    """Training by epochs of three steps, with validation and saving as ESPnet's."""

    def __init__(self, decay):
        self.module = LoraModule(decay=decay)
        self.module.load_state_dict(tune(LoraModule(), seed=1).state_dict())
        self.optimizer = torch.optim.AdamW(trained(self.module).values(), lr=0.1)
        if self.module.ema is not None:
            self.optimizer.register_step_post_hook(lambda *_: self.module.ema.update())
        self.history = []  # trained weights after each step

    def train_epoch(self, epoch):
        self.module.train()
        for step in range(3):
            generator = torch.Generator().manual_seed(10 * epoch + step)
            self.optimizer.zero_grad()
            x = torch.randn(4, 9, generator=generator)
            self.module(x).square().sum().backward()
            self.optimizer.step()
            self.history.append(self.weights())
        self.module.eval()
        self.validated = self.weights()

    def weights(self):
        return {name: p.detach().clone() for name, p in trained(self.module).items()}

    def save(self):
        file = io.BytesIO()
        states = [self.module.state_dict(), self.optimizer.state_dict()]
        torch.save(states, file)
        return file

    def resume(self, file):
        file.seek(0)
        model, optimizer = torch.load(file)
        self.module.load_state_dict(model, strict=True)
        self.optimizer.load_state_dict(optimizer)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("decay", [0.15, DECAY, 0.999])
def test_update_equals_an_average_by_hand(decay):
    run = Run(decay)
    wanted = {name: value.double() for name, value in run.weights().items()}
    for epoch in range(4):
        run.train_epoch(epoch)
    for n, weights in enumerate(run.history):
        share = min(decay, (1 + n) / (10 + n))
        for name in wanted:
            wanted[name] = share * wanted[name] + (1 - share) * weights[name]
    assert run.module.ema.num_updates == 12
    for name, value in run.module.ema.averaged().items():
        torch.testing.assert_close(value.double(), wanted[name], rtol=1e-5, atol=1e-6)
        assert (value - run.history[-1][name]).abs().max() > 1e-4


def test_training_goes_on_from_raw_weights_after_validation_and_saving():
    averaged, plain = Run(DECAY), Run(0.0)
    for epoch in range(3):
        for run in (averaged, plain):
            run.train_epoch(epoch)
            run.save()
    assert len(plain.history) == 9
    for first, second in zip(averaged.history, plain.history, strict=True):
        assert_same(first, second)


def test_validation_and_checkpoint_hold_the_average():
    run = Run(DECAY)
    run.train_epoch(0)
    averaged = run.module.ema.averaged()
    assert_same(run.validated, averaged)
    assert not torch.equal(*(x["model.prediction_head.bias"] for x in run.history[1:]))
    state = copy.deepcopy(run.module.state_dict())
    assert_same({name: state[name] for name in averaged}, averaged)
    assert_same({name: state[RAW + name] for name in averaged}, run.history[-1])
    assert state[COUNT] == 3
    assert_same(run.module.train().state_dict(), state)
    assert_same(run.weights(), run.history[-1])


def test_evaluation_entered_or_left_twice_is_entered_or_left_once():
    run = Run(DECAY)
    run.train_epoch(0)
    run.module.eval().eval()
    assert_same(run.weights(), run.validated)
    run.module.train().train()
    assert_same(run.weights(), run.history[-1])


def test_resume_equals_an_uninterrupted_run():
    whole, first, second = Run(DECAY), Run(DECAY), Run(DECAY)
    first.train_epoch(0)
    second.resume(first.save())
    whole.train_epoch(0)
    for epoch in (1, 2):
        whole.train_epoch(epoch)
        second.train_epoch(epoch)
    assert_same(second.module.state_dict(), whole.module.state_dict())
    assert_same(second.history[-1], whole.history[-1])


def test_resume_from_a_checkpoint_without_average_starts_one(caplog):
    plain, averaged = Run(0.0), Run(DECAY)
    plain.train_epoch(0)
    with caplog.at_level(logging.INFO):
        averaged.resume(plain.save())
    assert "has no average: it starts from the weights loaded" in caplog.text
    assert_same(averaged.weights(), plain.history[-1])
    assert_same(averaged.module.ema.averaged(), plain.history[-1])
    assert averaged.module.ema.num_updates == 0


def test_resume_without_average_from_one_raises_with_the_ways_out():
    averaged, plain = Run(DECAY), Run(0.0)
    averaged.train_epoch(0)
    message = "ema_decay is 0. Set ema_decay .* --init_param CHECKPOINT:::tts.ema"
    with pytest.raises(ValueError, match=message):
        plain.resume(averaged.save())


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_init_param_can_start_from_the_average_alone(tmp_path, decay):
    source, target = Holder(decay=DECAY), Holder(decay=decay)
    tune(source, seed=1)
    source.tts.ema.update()
    torch.save(source.state_dict(), tmp_path / "x.pth")
    load_pretrained_model(f"{tmp_path}/x.pth:::tts.ema", target, False)
    wanted = source.tts.ema.averaged()
    assert_same({n: p.detach() for n, p in trained(target.tts).items()}, wanted)


def test_init_param_from_weights_without_average_replaces_both(tmp_path):
    source, target = tune(Holder(), seed=1), Holder(decay=DECAY)
    torch.save(source.state_dict(), tmp_path / "x.pth")
    load_pretrained_model(f"{tmp_path}/x.pth", target, False)
    given = {name: p.detach() for name, p in trained(source.tts).items()}
    assert_same(target.tts.ema.averaged(), given)
    assert_same(target.tts.ema.raw(), given)


def test_load_state_dict_in_evaluation_holds_the_average():
    run = Run(DECAY)
    run.train_epoch(0)
    other = LoraModule(decay=DECAY).eval()
    other.load_state_dict(run.module.state_dict())
    assert_same({n: p.detach() for n, p in trained(other).items()}, run.validated)
    assert_same(other.train().ema.raw(), run.history[-1])


@pytest.mark.parametrize("missing", [COUNT, RAW + "model.prediction_head.bias"])
def test_load_state_dict_with_half_an_average_raises(missing):
    run = Run(DECAY)
    run.train_epoch(0)
    state = run.module.state_dict()
    del state[missing]
    with pytest.raises(ValueError, match=f"does not fit .*: missing {missing}. Use"):
        LoraModule(decay=DECAY).load_state_dict(state)


def test_load_state_dict_with_a_raw_weight_of_no_parameter_raises():
    run = Run(DECAY)
    run.train_epoch(0)
    state = run.module.state_dict() | {f"{RAW}x": torch.ones(1)}
    with pytest.raises(ValueError, match="unexpected ema.raw.x"):
        run.module.load_state_dict(state)


def test_state_dict_before_the_first_step_has_no_second_copy():
    module = LoraModule(decay=DECAY)
    assert not [name for name in module.state_dict() if name.startswith(PREFIX)]


def test_copy_of_a_module_has_an_average_of_its_own():
    run = Run(DECAY)
    run.train_epoch(0)
    other = copy.deepcopy(run.module)
    before = run.module.state_dict()
    tune(other.train(), seed=7)
    other.ema.update()
    assert_same(run.module.state_dict(), before)
    assert other.ema.num_updates == 4


def test_update_in_evaluation_raises():
    module = LoraModule(decay=DECAY).eval()
    with pytest.raises(RuntimeError, match=r"call train\(\) before optimiser steps"):
        module.ema.update()


@pytest.mark.parametrize("decay", [-0.1, 0, 1, 1.5, True, "0.9"])
def test_average_decay_out_of_range_raises(decay):
    with pytest.raises(ValueError, match=f"ema_decay is {decay!r}: give a number"):
        TrainedAverage(torch.nn.Linear(1, 1), decay)
