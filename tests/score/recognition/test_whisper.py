"""Whisper: the library that is chosen, language and task that are forced."""

import importlib.util
import json
import shutil
import types

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)

from espnet_vibevoice.data.audio import resample
from espnet_vibevoice.score.model_specs import RecognizerSpec
from espnet_vibevoice.score.recognition.loading import load_recognizer
from espnet_vibevoice.score.recognition.recognizer import RecognizerUnavailable
from espnet_vibevoice.score.recognition.whisper import load_whisper, name_on_hub

PROMPT = ["<|startoftranscript|>", "<|fa|>", "<|transcribe|>", "<|notimestamps|>"]


def make_spec(model, **inference):
    return RecognizerSpec("w", "whisper", model=str(model), inference=inference)


class FakeModel:
    """What faster-whisper's model is to us: it notes how it is called."""

    def __init__(self, model, device, device_index, compute_type):
        if model == "gone":
            raise RuntimeError("Unable to open file 'model.bin'")
        self.opened = (model, device, device_index, compute_type)
        self.model = types.SimpleNamespace(is_multilingual=not model.endswith(".en"))
        self.calls = []
        FakeModel.last = self

    def transcribe(self, waveform, **options):
        self.calls.append((len(waveform), options))
        words = [" سلام ", " دنیا"] if np.any(waveform) else []
        return iter([types.SimpleNamespace(text=word) for word in words]), None


FAKE = types.SimpleNamespace(
    WhisperModel=FakeModel, available_models=lambda: ["tiny", "tiny.en", "large-v3"]
)


def search_greedily(model, features, tokens, count):
    """Greedy search written out: ``count`` tokens more, those suppressed never."""
    suppressed = set(model.generation_config.suppress_tokens)
    allowed = sorted(set(range(model.config.vocab_size)) - suppressed)
    with torch.no_grad():
        for _ in range(count):
            inputs = torch.tensor([tokens])
            logits = model(features, decoder_input_ids=inputs).logits[0, -1]
            tokens = [*tokens, allowed[int(logits[allowed].argmax())]]
    return tokens


def test_transformers_writes_what_the_model_says(whisper_folder, noise):
    text = load_recognizer(make_spec(whisper_folder, beam_size=1)).recognize(
        noise, 8000
    )
    processor = WhisperProcessor.from_pretrained(whisper_folder)
    model = WhisperForConditionalGeneration.from_pretrained(whisper_folder)
    heard = processor(
        resample(noise, 8000, 16000), sampling_rate=16000, return_tensors="pt"
    )
    prompt = processor.tokenizer.convert_tokens_to_ids(PROMPT)
    tokens = search_greedily(model, heard.input_features, prompt, 12)
    assert text == processor.tokenizer.decode(tokens, skip_special_tokens=True)
    assert set(text) <= set("ابپتس")
    assert len(text) == 12


def test_transformers_forces_language_and_task(whisper_folder, noise, monkeypatch):
    seen = []
    forward = WhisperForConditionalGeneration.forward

    def note(self, *args, decoder_input_ids=None, **kwargs):
        seen.append(decoder_input_ids)
        return forward(self, *args, decoder_input_ids=decoder_input_ids, **kwargs)

    monkeypatch.setattr(WhisperForConditionalGeneration, "forward", note)
    recognizer = load_recognizer(make_spec(whisper_folder, beam_size=2))
    recognizer.recognize(noise, 8000)
    tokenizer = AutoTokenizer.from_pretrained(whisper_folder)
    assert tokenizer.convert_ids_to_tokens(seen[0][0]) == PROMPT


def test_transformers_long_audio_is_heard_in_pieces(whisper_folder, noise):
    recognizer = load_recognizer(make_spec(whisper_folder, beam_size=1))
    waveform = np.tile(np.concatenate([noise, np.zeros(4000, np.float32)]), 21)
    text = recognizer.recognize(waveform, 8000)  # 31.5 s
    assert len(text.split(" ")) == 2


def test_transformers_model_without_persian_raises(whisper_folder, tmp_path):
    folder = tmp_path / "english"
    shutil.copytree(whisper_folder, folder)
    path = folder / "generation_config.json"
    config = json.loads(path.read_text()) | {"is_multilingual": False}
    path.write_text(json.dumps(config))
    with pytest.raises(RecognizerUnavailable, match="it knows no Persian"):
        load_recognizer(make_spec(folder))


def test_transformers_folder_without_model_raises(tmp_path):
    with pytest.raises(RecognizerUnavailable, match="w .*: it does not load: OSError"):
        load_recognizer(make_spec(tmp_path))


def test_faster_whisper_language_and_task_are_forced(noise):
    recognizer = load_whisper(make_spec("openai/whisper-large-v3"), "cuda:1", FAKE)
    assert recognizer.recognize(noise, 8000) == "سلام دنیا"
    model = FakeModel.last
    assert model.opened == ("large-v3", "cuda", 1, "float16")
    [(count, options)] = model.calls
    assert count == 16000
    assert (options["language"], options["task"]) == ("fa", "transcribe")
    assert (options["beam_size"], options["temperature"]) == (5, 0.0)
    assert options["condition_on_previous_text"] is False


def test_faster_whisper_long_audio_is_heard_in_pieces():
    recognizer = load_whisper(make_spec("tiny"), "cpu", FAKE)
    waveform = np.ones(16000 * 70, dtype=np.float32)
    assert recognizer.recognize(waveform, 16000) == " ".join(["سلام دنیا"] * 3)
    lengths = [count for count, _ in FakeModel.last.calls]
    assert sum(lengths) == len(waveform)
    assert max(lengths) <= 30 * 16000
    assert FakeModel.last.opened == ("tiny", "cpu", 0, "float32")


def test_faster_whisper_silence_gives_no_text():
    recognizer = load_whisper(make_spec("tiny"), "cpu", FAKE)
    assert recognizer.recognize(np.zeros(16000, dtype=np.float32), 16000) == ""
    assert recognizer.recognize(np.zeros(10, dtype=np.float32), 16000) == ""
    assert len(FakeModel.last.calls) == 1


def test_faster_whisper_that_does_not_load_raises():
    with pytest.raises(RecognizerUnavailable, match="it does not load: RuntimeError"):
        load_whisper(make_spec("gone", backend="faster"), "cpu", FAKE)
    with pytest.raises(RecognizerUnavailable, match="it knows English only"):
        load_whisper(make_spec("tiny.en"), "cpu", FAKE)


def test_faster_whisper_not_installed_raises(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecognizerUnavailable, match="pip install faster-whisper"):
        load_whisper(make_spec("tiny", backend="faster"), "cpu")


def test_folder_of_ctranslate2_is_for_faster_whisper(tmp_path, noise):
    (tmp_path / "model.bin").touch()
    recognizer = load_whisper(make_spec(tmp_path), "cpu", FAKE)
    assert recognizer.recognize(noise, 8000) == "سلام دنیا"


def test_folder_of_transformers_is_for_transformers(whisper_folder, noise):
    recognizer = load_whisper(make_spec(whisper_folder, beam_size=1), "cpu", FAKE)
    assert recognizer.recognize(noise, 8000) != "سلام دنیا"


@pytest.mark.parametrize(
    "options, said",
    [
        ({"beam_size": 0}, "beam_size: got 0, want 1 or more"),
        ({"backend": "onnx"}, r"backend: got 'onnx', want auto \| faster"),
        ({"language": "en"}, "unknown option language"),
    ],
)
def test_wrong_options_raise(options, said):
    with pytest.raises(RecognizerUnavailable, match=said):
        load_whisper(make_spec("tiny", **options), "cpu", FAKE)


def test_name_on_hub():
    assert name_on_hub("tiny") == "openai/whisper-tiny"
    assert name_on_hub("some/model") == "some/model"
