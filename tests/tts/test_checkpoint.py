import copy

import pytest
import torch
from torch import nn

from espnet_vibevoice.tts.checkpoint import (
    keep_trained_parameters_only,
    trained_names,
)

TRAINED = {"upper.weight", "upper.bias"}


class Module(nn.Module):
    """A frozen part with a buffer and a trained part."""

    def __init__(self, width=3):
        super().__init__()
        self.lower = nn.Linear(2, 3).requires_grad_(False)
        self.upper = nn.Linear(width, 2)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("table", torch.ones(4), persistent=False)


class Parent(nn.Module):
    """Holds our module and another one with a parameter of the same name."""

    def __init__(self):
        super().__init__()
        self.other = Module()  # its missing names are listed before ours
        self.tts = make_module()


def make_module(width=3):
    module = Module(width)
    keep_trained_parameters_only(module)
    return module


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_state_dict_holds_exactly_the_trained_parameters():
    module = make_module()
    assert set(module.state_dict()) == TRAINED == trained_names(module)
    assert set(module.state_dict(prefix="a.b.")) == {f"a.b.{name}" for name in TRAINED}


def test_state_dict_of_a_parent_keeps_the_others_whole():
    others = {"lower.weight", "lower.bias", "upper.weight", "upper.bias", "scale"}
    wanted = {f"tts.{name}" for name in TRAINED} | {f"other.{name}" for name in others}
    assert set(Parent().state_dict()) == wanted


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("make", [make_module, Parent])
def test_load_state_dict_restores_trained_and_leaves_frozen(make, strict):
    source, target = make(), make()
    ours = target.tts if make is Parent else target
    frozen = ours.lower.weight.clone()
    found = target.load_state_dict(source.state_dict(), strict=strict)
    assert (found.missing_keys, found.unexpected_keys) == ([], [])
    assert_same(target.state_dict(), source.state_dict())
    assert torch.equal(ours.lower.weight, frozen)


def test_load_state_dict_of_a_copy_works():
    source, target = make_module(), copy.deepcopy(Parent())
    state = {f"tts.{name}": value for name, value in source.state_dict().items()}
    state |= Module().state_dict(prefix="other.")
    target.load_state_dict(state)
    assert_same(target.tts.state_dict(), source.state_dict())


def test_load_state_dict_accepts_given_frozen_parameters():
    state = Module().state_dict()
    module = make_module()
    module.load_state_dict(state)
    assert torch.equal(module.lower.weight, state["lower.weight"])


@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_missing_trained_raises(strict):
    state = make_module().state_dict()
    del state["upper.bias"]
    with pytest.raises(ValueError, match="missing upper.bias. Use the config.yaml"):
        make_module().load_state_dict(state, strict=strict)


@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_unexpected_name_raises(strict):
    state = make_module().state_dict() | {"upper.gain": torch.ones(1)}
    with pytest.raises(ValueError, match="does not fit .*: unexpected upper.gain"):
        make_module().load_state_dict(state, strict=strict)


@pytest.mark.parametrize("strict", [True, False])
def test_load_state_dict_wrong_shape_raises(strict):
    message = r"upper.weight has shape \(2, 5\), the model has \(2, 3\)"
    with pytest.raises(ValueError, match=message):
        make_module().load_state_dict(make_module(5).state_dict(), strict=strict)


def test_load_state_dict_in_a_parent_names_the_fault_without_prefix():
    state = Parent().state_dict()
    del state["tts.upper.weight"]
    with pytest.raises(ValueError, match=": missing upper.weight. Use"):
        Parent().load_state_dict(state, strict=False)


def test_load_state_dict_of_a_parent_reports_what_others_miss():
    state = Parent().state_dict()
    del state["other.lower.weight"]  # of a name that is frozen in our module
    with pytest.raises(RuntimeError, match='Missing key.*"other.lower.weight"'):
        Parent().load_state_dict(state)
    found = Parent().load_state_dict(state, strict=False)
    assert found.missing_keys == ["other.lower.weight"]


def test_state_dict_keeps_what_is_frozen_later():
    module = make_module()
    module.upper.bias.requires_grad_(False)  # as ESPnet's --freeze_param does
    assert set(module.state_dict()) == TRAINED
    fresh = make_module()  # decoding does not freeze
    fresh.load_state_dict(module.state_dict())
    assert torch.equal(fresh.upper.bias, module.upper.bias)


def test_state_dict_holds_what_becomes_trained_later():
    module = make_module()
    module.lower.bias.requires_grad_(True)
    assert set(module.state_dict()) == {*TRAINED, "lower.bias"}
