import pytest
import torch
import yaml

from espnet_vibevoice.adapters.experiment import find_checkpoint, read_checkpoint
from espnet_vibevoice.adapters.folder import read_adapter
from espnet_vibevoice.adapters.seal import (
    BASE_FINGERPRINT,
    LORA_SEAL,
    encode_digest,
    seal_lora,
)

LAYER = "tts.model.tts_language_model.layers.0.self_attn.q_proj"
CONFIG = {"tts": "vibevoice_realtime", "tts_conf": {"base": "some/base@ab12"}}


def make_state():
    return {
        f"{LAYER}.lora_A.default.weight": torch.ones(16, 3),
        f"{LAYER}.lora_B.default.weight": torch.ones(5, 16),
        "tts.model.acoustic_connector.linear_1.bias": torch.ones(4),
        "tts.model.tts_eos_classifier.fc1.bias": torch.ones(4),
    }


def seal(state):
    mark = {f"tts.{LORA_SEAL}": seal_lora(state)}
    return state | mark | {f"tts.{BASE_FINGERPRINT}": encode_digest("cd" * 32)}


def write(folder, state, config=CONFIG, name="valid.loss.best.pth"):
    torch.save(state, folder / name)
    text = yaml.safe_dump(config)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder / name


def test_read_needs_neither_base_nor_espnet(tmp_path):
    write(tmp_path, seal(make_state()))
    adapter = read_adapter(tmp_path)
    assert adapter.base == "some/base@ab12" and adapter.base_revision == "ab12"
    assert adapter.base_fingerprint == "cd" * 32
    path = "layers.0.self_attn.q_proj"
    assert list(adapter.lora) == ["tts_language_model"]
    assert adapter.lora["tts_language_model"][path].b.shape == (5, 16)
    assert list(adapter.full["tts_eos_classifier"]) == ["fc1.bias"]


def test_read_takes_the_average_and_leaves_raw_weights(tmp_path):
    state = seal(make_state())
    raw = {f"tts.ema.raw.model.{n}": t for n, t in make_state().items()}
    state |= raw | {"tts.ema.updates": torch.tensor(3)}
    assert read_checkpoint(write(tmp_path, state)).count_tensors() == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tts.model.acoustic_tokenizer.x", "unexpected model.acoustic_tokenizer.x"),
        ("tts.model.prediction_head.x.weight", "unexpected model.prediction_head.x"),
        ("normalize.mean", "unexpected normalize.mean"),
        (f"{LAYER}.weight", "is not of a part trained lora r16"),
    ],
)
def test_read_weight_that_the_plan_does_not_train_raises(tmp_path, name, message):
    path = write(tmp_path, seal(make_state()) | {name: torch.ones(1)})
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


def test_read_without_the_weights_of_a_part_raises(tmp_path):
    state = make_state()
    del state["tts.model.tts_eos_classifier.fc1.bias"]
    path = write(tmp_path, seal(state))
    with pytest.raises(ValueError, match="no weight of tts_eos_classifier"):
        read_checkpoint(path)


def test_read_factors_of_another_rank_names_the_checkpoint_and_both(tmp_path):
    config = {**CONFIG, "tts_conf": {**CONFIG["tts_conf"], "lora_rank": 8}}
    path = write(tmp_path, seal(make_state()), config)
    with pytest.raises(ValueError, match="does not fit its config.yaml") as raised:
        read_checkpoint(path)
    for kind, shape in (("A", "(16, 3)"), ("B", "(5, 16)")):
        fault = f"{kind}.default.weight has shape {shape}, which is not of rank 8"
        assert fault in str(raised.value)


def test_read_factor_that_is_no_matrix_raises(tmp_path):
    state = make_state() | {f"{LAYER}.lora_B.default.weight": torch.ones(5)}
    path = write(tmp_path, seal(state))
    with pytest.raises(ValueError, match=r"shape \(5,\), which is not of rank 16"):
        read_checkpoint(path)


def test_read_half_of_the_factors_raises(tmp_path):
    state = make_state()
    del state[f"{LAYER}.lora_B.default.weight"]
    path = write(tmp_path, seal(state))
    with pytest.raises(ValueError, match="q_proj has only A of its LoRA"):
        read_checkpoint(path)


def test_read_average_over_different_bases_raises(tmp_path):
    state = seal(make_state())
    state[f"tts.{BASE_FINGERPRINT}"] += 0.5
    with pytest.raises(ValueError, match="an average over different bases"):
        read_checkpoint(write(tmp_path, state))


def test_read_unsealed_factors_raises(tmp_path):
    with pytest.raises(ValueError, match="mean of factors is not the mean of models"):
        read_checkpoint(write(tmp_path, make_state()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("tts: vits", "no configuration of one of"),
        ("tts: vibevoice_realtime", "tts_conf names no base"),
    ],
)
def test_read_with_another_configuration_raises(tmp_path, text, message):
    path = write(tmp_path, seal(make_state()))
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


def test_read_without_configuration_raises(tmp_path):
    path = write(tmp_path, seal(make_state()))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(FileNotFoundError, match="config.yaml: no such file"):
        read_checkpoint(path)


def test_find_checkpoint_takes_the_best_by_loss_or_the_only_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no ..best.pth. Train first"):
        find_checkpoint(tmp_path)
    (tmp_path / "valid.diffusion_loss.best.pth").touch()
    assert find_checkpoint(tmp_path).name == "valid.diffusion_loss.best.pth"
    (tmp_path / "train.loss.best.pth").touch()
    with pytest.raises(ValueError, match="has train.loss.best.pth, valid.diffusion"):
        find_checkpoint(tmp_path)
    (tmp_path / "valid.loss.best.pth").touch()
    assert find_checkpoint(tmp_path).name == "valid.loss.best.pth"
    assert find_checkpoint(tmp_path, "train.loss.best.pth").name.startswith("train")
