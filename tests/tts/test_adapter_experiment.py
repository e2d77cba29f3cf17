"""Adapters out of a real training and back into an experiment."""

import dataclasses

import pytest
import torch
import yaml

from espnet_vibevoice.adapters.card import read_training_figures
from espnet_vibevoice.adapters.export import export_adapter
from espnet_vibevoice.adapters.folder import read_adapter
from espnet_vibevoice.tts.adapter_experiment import find_config, write_experiment
from espnet_vibevoice.tts.task import VibeVoiceTTSTask

# The average of the weights is what is exported; the raw weights stay behind.
SETTINGS = ["strategy=lora", "lora_rank=2", "lora_targets=attention", "ema_decay=0.9"]


@pytest.fixture(scope="module")
def trained(make_train_args, tmp_path_factory):
    """Train for an epoch."""
    folder = tmp_path_factory.mktemp("exp")
    words = [word for pair in SETTINGS for word in ("--tts_conf", pair)]
    words += ["--batch_type", "unsorted", "--batch_size", 1]
    VibeVoiceTTSTask.main(make_train_args(folder, *words))
    return folder


@pytest.fixture
def exported(trained, tmp_path):
    """Export the weights of its epoch."""
    export_adapter(trained, tmp_path / "adapter", checkpoint="1epoch.pth")
    return tmp_path / "adapter"


def load(folder, name):
    files = folder / "config.yaml", folder / name
    return VibeVoiceTTSTask.build_model_from_file(*files)[0].tts.eval()


def test_adapter_of_a_training_speaks_as_its_experiment(
    trained, exported, tiny_base, tmp_path
):
    config = find_config(exported)
    report = write_experiment(
        read_adapter(exported), str(tiny_base), tmp_path / "again", config
    )
    assert report.num_tensors == read_adapter(exported).count_tensors()
    wavs = [
        load(folder, name).inference(torch.arange(4), seed=1, max_frames=3)["wav"]
        for folder, name in (
            (trained, "1epoch.pth"),
            (tmp_path / "again", "valid.loss.best.pth"),
        )
    ]
    assert torch.equal(*wavs)


def test_card_of_a_training_tells_its_figures(trained, exported):
    figures = read_training_figures(trained)
    assert figures.startswith("1 epoch; validation diffusion_loss ")
    assert figures in (exported / "README.md").read_text(encoding="utf-8")


def test_figures_of_a_checkpoint_with_foreign_objects_are_left_out(tmp_path):
    assert read_training_figures(tmp_path) is None
    torch.save({"reporter": {"stats": object()}}, tmp_path / "checkpoint.pth")
    assert read_training_figures(tmp_path) is None


def test_experiment_of_a_quantised_training_keeps_its_settings(
    exported, tiny_base, tmp_path
):
    config = find_config(exported)
    quantised = {"quantize_base": "4bit", "precision": "bfloat16"}
    config["tts_conf"] |= quantised | {"voice_prompt": "gone/voice.safetensors"}
    write_experiment(read_adapter(exported), str(tiny_base), tmp_path / "e", config)
    text = (tmp_path / "e/config.yaml").read_text(encoding="utf-8")
    tts_conf = yaml.safe_load(text)["tts_conf"]
    assert quantised.items() <= tts_conf.items() and "voice_prompt" not in tts_conf
    assert len(tts_conf["base_fingerprint"]) == 64


def test_experiment_of_the_multispeaker_family_is_refused(
    exported, tiny_base, tmp_path
):
    adapter = dataclasses.replace(read_adapter(exported), model_type="vibevoice")
    with pytest.raises(ValueError, match="the adapter is for vibevoice, the base is"):
        write_experiment(adapter, str(tiny_base), tmp_path / "e")
    assert not (tmp_path / "e").exists()
