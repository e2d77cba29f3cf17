import pytest
import torch

from espnet_vibevoice.adapters.seal import (
    decode_digest,
    encode_digest,
    group_lora,
    is_seal_broken,
    seal_lora,
)

DIGEST = "00ff1234567890abcdef" * 3 + "0102"
STATE = {
    "a.q.lora_A.default.weight": torch.arange(6.0).view(2, 3),
    "a.q.lora_B.default.weight": torch.ones(4, 2),
    "a.q.lora_magnitude_vector.default.weight": torch.ones(4),
    "a.q.base_layer.weight": torch.ones(4, 3),
    "b.lora_A.weight": torch.ones(1),
}


def test_decode_digest_undoes_encode_digest():
    tensor = encode_digest(DIGEST)
    assert (tensor.shape, tensor.dtype) == ((32,), torch.float32)
    assert decode_digest(tensor) == DIGEST


@pytest.mark.parametrize("count", [2, 3, 7])
def test_decode_digest_of_an_average_of_equal_ones_is_it(count):
    tensor = encode_digest(DIGEST)
    assert decode_digest(sum(tensor for _ in range(count)) / count) == DIGEST


@pytest.mark.parametrize(
    "tensor", [torch.full((32,), 0.5), torch.full((32,), 256.0), torch.ones(31)]
)
def test_decode_digest_of_other_numbers_is_none(tensor):
    assert decode_digest(tensor) is None


def test_group_lora_finds_the_tensors_of_each_layer():
    assert {path: set(kinds) for path, kinds in group_lora(STATE).items()} == {
        "a.q": {"A", "B", "magnitude_vector"}
    }


@pytest.mark.parametrize("name", [name for name in STATE if ".default." in name])
def test_seal_lora_breaks_when_a_tensor_changes(name):
    seal = seal_lora(STATE)
    changed = {**STATE, name: STATE[name] * 1.0001}
    assert is_seal_broken(changed, seal) and not is_seal_broken(STATE, seal)


def test_seal_lora_does_not_depend_on_place_order_or_other_weights():
    moved = {f"tts.{name}": value for name, value in reversed(STATE.items())}
    moved["tts.a.q.base_layer.weight"] = torch.zeros(1)
    assert torch.equal(seal_lora(moved), seal_lora(STATE))


def test_seal_lora_without_lora_is_none():
    assert seal_lora({"b.weight": torch.ones(1)}) is None
    assert is_seal_broken({}, seal_lora(STATE))
