import pickle

import numpy as np
import pytest
import torch

from espnet_vibevoice.adapters.tensor_files import load_tensors, save_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.bfloat16)}


class Harmful:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize("name", ["new/w.safetensors", "w.bin", "w.pth"])
def test_load_gives_what_was_saved(tmp_path, name):
    save_tensors(TENSORS, tmp_path / name)
    loaded = load_tensors(tmp_path / name)
    assert loaded.keys() == TENSORS.keys()
    assert all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)
    (tmp_path / "plain").touch()
    modes = [(tmp_path / n).stat().st_mode for n in (name, "plain")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_load_truncated_file_raises(tmp_path, name):
    save_tensors(TENSORS, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for size in (0, 5, len(data) // 2, len(data) - 1):
        (tmp_path / name).write_bytes(data[:size])
        with pytest.raises(ValueError, match="cut off"):
            load_tensors(tmp_path / name)


def test_load_harmful_pickle_raises_and_runs_nothing(tmp_path):
    torch.save({"a": Harmful()}, tmp_path / "new.bin")
    (tmp_path / "old.bin").write_bytes(pickle.dumps({"a": Harmful()}))
    for name in ("new.bin", "old.bin"):
        with pytest.raises(ValueError, match="holds more than tensors"):
            load_tensors(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": 1}}, {1: torch.ones(1)}])
def test_load_of_something_else_raises(tmp_path, content):
    torch.save(content, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="not checkpoint.pth"):
        load_tensors(tmp_path / "checkpoint.pth")


def test_load_of_numbers_among_tensors_names_the_kind_of_file(tmp_path):
    path = tmp_path / "checkpoint.pth"
    torch.save({"reporter": {"loss": np.float64(1.0)}}, path)
    with pytest.raises(ValueError, match="holds more than tensors") as raised:
        load_tensors(path)
    said = str(raised.value)
    assert "Unsupported global" in said and "not checkpoint.pth" in said
    assert "\x1b" not in said and "trust" not in said


def test_load_missing_file_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="w.bin: no such file"):
        load_tensors(tmp_path / "w.bin")
