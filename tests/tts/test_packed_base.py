"""A packed checkpoint decodes on any folder of its base, and on no other base."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from espnet2.main_funcs.pack_funcs import pack, unpack
from espnet2.utils.yaml_no_alias_safe_dump import yaml_no_alias_safe_dump
from safetensors.torch import load_file, save_file

from espnet_vibevoice.models.fingerprint import fingerprint_weights
from espnet_vibevoice.tts.task import VibeVoiceTTSTask
from tests.tts.lora_module import tune

TEXT = torch.arange(5)


def speak(model):
    options = {"seed": 1, "eos_threshold": 1.0, "max_frames": 3}
    return model.eval().tts.inference(TEXT, **options)["wav"]


@pytest.fixture
def packed(make_args, tiny_base, tmp_path, monkeypatch):
    """An experiment packed with its base, unpacked elsewhere; what it spoke."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_base, "base")
    args = make_args("exp", "--tts_conf", "base=base", "--tts_conf", "ema_decay=0.9")
    model = VibeVoiceTTSTask.build_model(args)
    tune(model.train(), seed=1, size=0.1)
    model.tts.ema.update()
    Path("exp").mkdir()
    text = yaml_no_alias_safe_dump(vars(args), indent=4, sort_keys=False)
    Path("exp/config.yaml").write_text(text, encoding="utf-8")
    torch.save(model.state_dict(), "exp/1epoch.pth")
    files = {"model_file": "exp/1epoch.pth"}
    pack(files, {"train_config": "exp/config.yaml"}, "out.zip", ["base"])
    found = unpack("out.zip", "elsewhere")
    shutil.rmtree("base")
    return found, speak(model)


def load(found):
    model, _ = VibeVoiceTTSTask.build_model_from_file(
        found["train_config"], found["model_file"]
    )
    return model


def change_base(folder):
    state = load_file(folder / "model.safetensors")
    state["tts_eos_classifier.fc2.bias"] += 1
    save_file(state, folder / "model.safetensors")


def forget_fingerprint(found):
    """As a configuration that was written by hand."""
    path = Path(found["train_config"])
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    del config["tts_conf"]["base_fingerprint"]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def test_packed_checkpoint_names_and_speaks_with_its_base_elsewhere(packed):
    found, wav = packed
    text = Path(found["train_config"]).read_text(encoding="utf-8")
    tts_conf = yaml.safe_load(text)["tts_conf"]
    base = Path(tts_conf["base"])
    assert base.resolve() == Path("elsewhere/base/config.json").resolve()
    assert tts_conf["base_fingerprint"] == fingerprint_weights(base.parent)
    assert torch.equal(speak(load(found)), wav)


def test_packed_checkpoint_on_another_base_is_refused_by_the_configuration(packed):
    found, _ = packed
    wanted = fingerprint_weights(Path("elsewhere/base"))
    change_base(Path("elsewhere/base"))
    other = fingerprint_weights(Path("elsewhere/base"))
    with pytest.raises(ValueError, match=f"{other}, .* is {wanted}"):
        load(found)


def test_packed_checkpoint_on_another_base_is_refused_by_the_weights(packed):
    found, _ = packed
    wanted = fingerprint_weights(Path("elsewhere/base"))
    change_base(Path("elsewhere/base"))
    forget_fingerprint(found)
    other = fingerprint_weights(Path("elsewhere/base"))
    with pytest.raises(ValueError, match=f"fingerprint is {wanted}, .* is {other}"):
        load(found)
