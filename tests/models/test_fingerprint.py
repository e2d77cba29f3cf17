import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models import fingerprint
from espnet_vibevoice.models.checkpoint import INDEX_NAME, UNUSED_EMBEDDING
from espnet_vibevoice.models.fingerprint import find_revision, fingerprint_weights


@pytest.fixture
def rewrite(tiny_base, tmp_path):
    """A function that writes the tiny base with other weights into a new folder."""

    def write(change):
        folder = tmp_path / "other"
        shutil.copytree(tiny_base, folder)
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors")
        return folder

    return write


def test_fingerprint_weights_is_64_digits_and_repeats(tiny_base):
    found = fingerprint_weights(tiny_base)
    assert len(bytes.fromhex(found)) == 32
    assert fingerprint_weights(tiny_base) == found


def test_fingerprint_weights_in_several_files_is_the_same(tiny_base, tmp_path):
    state = load_file(tiny_base / "model.safetensors")
    names = sorted(state, reverse=True)
    files = {name: f"part{i % 3}.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        part = {name: state[name] for name in names if files[name] == file}
        save_file(part, tmp_path / file, metadata={"written": "in parts"})
    (tmp_path / INDEX_NAME).write_text(json.dumps({"weight_map": files}))
    assert fingerprint_weights(tmp_path) == fingerprint_weights(tiny_base)


@pytest.mark.parametrize(
    "name",
    [
        "model.acoustic_tokenizer.encoder.head.conv.conv.weight",
        "model.semantic_tokenizer.encoder.head.conv.conv.weight",
        UNUSED_EMBEDDING,
    ],
)
def test_fingerprint_weights_of_what_training_never_reads_do_not_count(
    rewrite, tiny_base, name
):
    folder = rewrite(lambda state: state.update({name: torch.ones(3)}))
    assert fingerprint_weights(folder) == fingerprint_weights(tiny_base)


NAME = "tts_eos_classifier.fc2.bias"


def nudge(state):
    state[NAME] = state[NAME].nextafter(torch.tensor(9.0))


def rename(state):
    state["tts_eos_classifier.fc3.bias"] = state.pop(NAME)


def cast(state):
    state[NAME] = state[NAME].view(torch.int32)


def reshape(state):
    state[NAME] = state[NAME].reshape(1, -1)


def empty(state):
    state[NAME] = torch.zeros(0)


@pytest.mark.parametrize("change", [nudge, rename, cast, reshape, empty])
def test_fingerprint_weights_that_differ_count(rewrite, tiny_base, change):
    assert fingerprint_weights(rewrite(change)) != fingerprint_weights(tiny_base)


def test_fingerprint_weights_without_weights_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="model.safetensors: no such file"):
        fingerprint_weights(tmp_path)


def test_find_revision_of_a_local_base_is_none(tiny_base):
    assert find_revision(str(tiny_base)) is None
    assert find_revision(str(tiny_base / "config.json")) is None


@pytest.mark.parametrize(("folder", "wanted"), [("snapshots", "abc1"), ("x", None)])
def test_find_revision_of_a_hub_id_is_the_commit(monkeypatch, tmp_path, folder, wanted):
    monkeypatch.setattr(
        fingerprint, "resolve_base", lambda base: tmp_path / folder / "abc1"
    )
    assert find_revision("owner/name@main") == wanted
