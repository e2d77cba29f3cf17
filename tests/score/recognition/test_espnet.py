"""ESPnet recognisers: what they give, and what is said where they do not load."""

import dataclasses
import importlib.util
import sys
import types
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
import yaml
from espnet2.bin import asr_inference

from espnet_vibevoice.data.audio import load_audio, resample
from espnet_vibevoice.data.kaldi import read_table
from espnet_vibevoice.score.recognition.loading import load_recognizer
from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable


def test_recognize_equals_the_command_of_espnet(asr_spec, make_set, tmp_path):
    scp = make_set(3)
    asr_inference.main(
        [
            *("--data_path_and_name_and_type", f"{scp},speech,sound"),
            *("--asr_train_config", asr_spec.config, "--ngpu", "0"),
            *("--asr_model_file", asr_spec.model_file, "--num_workers", "0"),
            *("--ctc_weight", "1.0", "--beam_size", "1"),
            *("--output_dir", str(tmp_path / "out")),
        ]
    )
    wanted = read_table(tmp_path / "out" / "1best_recog" / "text")
    recognizer = load_recognizer(asr_spec)
    given = {
        u: recognizer.recognize(*load_audio(p)) for u, p in read_table(scp).items()
    }
    assert given == wanted
    assert len(set(given.values()) - {""}) > 1


def test_recognize_other_rate_and_channels_hear_the_same(asr_spec, noise):
    recognizer = load_recognizer(asr_spec)
    text = recognizer.recognize(noise, 8000)
    stereo = np.stack([noise, noise], axis=1)
    assert recognizer.fs == 8000
    assert recognizer.recognize(stereo, 8000) == text
    at_16k = recognizer.recognize(resample(noise, 8000, 16000), 16000)
    assert at_16k == recognizer.recognize(
        resample(resample(noise, 8000, 16000), 16000, 8000), 8000
    )


def test_recognize_volume_is_normalised_as_in_training(asr_spec, noise):
    recognizer = load_recognizer(asr_spec)
    assert recognizer.recognize(noise / 64, 8000) == recognizer.recognize(noise, 8000)


@pytest.mark.parametrize("count", [0, 1, 399])
def test_recognize_almost_nothing_gives_no_text(asr_spec, count):
    recognizer = load_recognizer(asr_spec)
    assert recognizer.recognize(np.zeros(count, dtype=np.float32), 8000) == ""


def test_recognize_long_audio_is_heard_in_pieces(asr_spec, monkeypatch):
    recognizer = load_recognizer(asr_spec)
    heard = []

    def hear(speech):
        heard.append(len(speech))
        return [(f" {len(heard)} ", [], [], None)]

    monkeypatch.setattr(recognizer, "_speech2text", hear)
    assert recognizer.recognize(np.ones(65 * 8000), 8000) == "1 2 3"
    assert sum(heard) == 65 * 8000 and max(heard) <= 30 * 8000


def change(spec, **values):
    return dataclasses.replace(spec, **values)


def test_load_missing_files_raise_with_the_recipe(asr_spec):
    spec = change(asr_spec, model_file="gone.pth", recipe="../asr1")
    with pytest.raises(
        RecognizerUnavailable,
        match=r"recogniser tiny \(gone.pth\): gone.pth: no such file; run ../asr1/run",
    ):
        load_recognizer(spec)


def test_load_damaged_file_raises(asr_spec, tmp_path):
    path = tmp_path / "damaged.pth"
    path.write_bytes(b"damaged")
    with pytest.raises(RecognizerUnavailable, match="damaged.pth.: it does not load"):
        load_recognizer(change(asr_spec, model_file=str(path)))


def test_load_config_of_another_task_raises(asr_spec, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("tts: tacotron2\n", encoding="utf-8")
    with pytest.raises(RecognizerUnavailable, match="it does not load: "):
        load_recognizer(change(asr_spec, config=str(path)))


def test_load_weights_of_another_model_raise(asr_spec, tmp_path):
    config = yaml.safe_load(open(asr_spec.config, encoding="utf-8"))
    config["encoder_conf"]["num_blocks"] = 2
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(RecognizerUnavailable, match=r"lacks \d+ of \d+ weights that"):
        load_recognizer(change(asr_spec, config=str(path)))


def test_load_weights_of_other_sizes_raise(asr_spec, tmp_path):
    weights = torch.load(asr_spec.model_file, weights_only=True)
    weights["ctc.ctc_lo.bias"] = torch.zeros(3)
    torch.save(weights, tmp_path / "other.pth")
    with pytest.raises(
        RecognizerUnavailable, match="size mismatch for ctc.ctc_lo.bias"
    ):
        load_recognizer(change(asr_spec, model_file=str(tmp_path / "other.pth")))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"beams": 3, "ngpu": 1}, "unknown options beams; ngpu; known are beam_size"),
        ({"beam_size": "many"}, "it does not load: TypeCheckError"),
        ({"nbest": 2}, "unknown options nbest"),
    ],
)
def test_load_wrong_options_raise(asr_spec, options, said):
    with pytest.raises(RecognizerUnavailable, match=said):
        load_recognizer(change(asr_spec, inference=options))


def test_load_tag_without_model_zoo_raises(asr_spec, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec = change(asr_spec, config=None, model_file=None, tag="some/tag", inference={})
    with pytest.raises(RecognizerUnavailable, match="pip install espnet_model_zoo"):
        load_recognizer(spec)


def test_load_tag_asks_the_model_zoo(asr_spec, monkeypatch, noise):
    class ModelDownloader:
        def download_and_unpack(self, tag):
            assert tag == "some/tag"
            files = {"asr_train_config": asr_spec.config}
            return files | {"asr_model_file": asr_spec.model_file}

    for name in ("espnet_model_zoo", "espnet_model_zoo.downloader"):
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    module.ModelDownloader = ModelDownloader
    spec = change(asr_spec, config=None, model_file=None, tag="some/tag")
    given = load_recognizer(spec).recognize(noise, 8000)
    assert given == load_recognizer(asr_spec).recognize(noise, 8000)
