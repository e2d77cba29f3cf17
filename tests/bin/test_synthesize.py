"""The command that speaks, with tiny bases of both families."""

import io
import json
import shutil
import sys

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet_vibevoice.adapters.seal import seal_lora
from espnet_vibevoice.models.generation import (
    GenerationSettings,
    generate,
    start_branches,
)
from espnet_vibevoice.models.loading import load_model
from espnet_vibevoice.models.multispeaker_generation import (
    ScriptSettings,
    generate_script,
    prepare_script,
)
from espnet_vibevoice.models.realtime import RealtimeModel
from espnet_vibevoice.models.script_voice import encode_voice
from espnet_vibevoice.models.voice_prompt import build_voice_prompt, save_voice_prompt
from espnet_vibevoice.synthesis import stopwatch
from espnet_vibevoice.synthesis.experiment_conf import read_experiment_conf
from espnet_vibevoice.synthesis.loading import make_settings
from espnet_vibevoice.text.tokenizer import load_tokenizer

FEW = ["--num_steps", 2, "--max_frames", 3]
SCRIPT = "Speaker 1: ab cd\nSpeaker 2: ef\nSpeaker 1: gh"


pytestmark = pytest.mark.usefixtures("log_level")


@pytest.fixture
def say(run, tmp_path, caplog):
    """Run the command; return the samples that it wrote and what it told."""

    def say_one(*words, out="out.wav"):
        caplog.clear()
        path = tmp_path / out
        code, _, told = run("synthesize", *words, "--out", path)
        assert code == 0, told
        return soundfile.read(path, dtype="int16")[0], caplog.text

    return say_one


def fail(run, message, *words):
    code, _, told = run("synthesize", *words)
    assert code == 1 and "Traceback" not in told
    assert message in told.splitlines()[-1]


def to_int16(waveform):
    return np.clip(np.rint(waveform.numpy() * 32768), -32768, 32767)


def speak_realtime(base, text, seed=0, voice=None, **overrides):
    options = {"num_sampling_steps": 2, "max_frames": 3, **overrides}
    model = load_model(str(base))
    ids = torch.tensor(load_tokenizer(base).encode(text))
    branches = start_branches(model, voice)
    generator = torch.Generator().manual_seed(seed)
    settings = GenerationSettings(**options)
    result = generate(model, ids, settings, generator, branches=branches)
    return to_int16(result.waveform)


def speak_script(base, script, seed=0, wavs=(), **overrides):
    options = {"num_sampling_steps": 2, "max_frames": 3, **overrides}
    model = load_model(str(base))
    codec = model.acoustic_tokenizer
    voices = [encode_voice(codec, soundfile.read(wav)[0]) for wav in wavs]
    prompt = prepare_script(model, load_tokenizer(base), script, voices)
    generator = torch.Generator().manual_seed(seed)
    result = generate_script(model, prompt, ScriptSettings(**options), generator)
    return to_int16(result.waveform)


def is_close(made, wanted):
    """Compare samples; the tiny decoders' norms blow rounding up here and there."""
    return made.shape == wanted.shape and np.abs(made - wanted).mean() <= 2


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
@pytest.mark.parametrize("more", [[], ["--stream"], ["--batch_size", 2]])
def test_text_is_spoken_as_by_the_library(say, bases, family, more):
    speak = {"realtime": speak_realtime, "multispeaker": speak_script}[family]
    made, told = say("--base", bases[family], "--text", "abc def", *FEW, *more)
    wanted = speak(bases[family], "abc def")
    assert len(wanted) > 0 and is_close(made, wanted)
    assert "real-time factor" in told and "first audio after" in told


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
def test_settings_and_seed_are_taken(say, bases, family):
    speak = {"realtime": speak_realtime, "multispeaker": speak_script}[family]
    words = ["--base", bases[family], "--text", "abc def", "--seed", 7]
    words += ["--num_steps", 3, "--cfg_scale", 2.5, "--max_frames_per_token", 0.5]
    made, _ = say(*words, "--max_frames", 9)
    settings = {"cfg_scale": 2.5, "max_frames_per_token": 0.5, "max_frames": 9}
    wanted = speak(bases[family], "abc def", 7, num_sampling_steps=3, **settings)
    assert is_close(made, wanted)


@pytest.mark.parametrize("suffix,exact", [("wav", 2), ("flac", 2), ("ogg", 8000)])
def test_out_format_follows_the_suffix(say, talking_base, suffix, exact, tmp_path):
    made, _ = say("--base", talking_base, "--text", "ab", *FEW, out=f"d/o.{suffix}")
    info = soundfile.info(tmp_path / "d" / f"o.{suffix}")
    assert (info.samplerate, info.channels, info.frames) == (24000, 1, 9600)
    assert info.format == suffix.upper()
    wanted = speak_script(talking_base, "ab")
    assert np.abs(made - wanted).mean() <= exact
    assert [p.name for p in (tmp_path / "d").iterdir()] == [f"o.{suffix}"]


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
@pytest.mark.parametrize("more", [["--stream"], ["--batch_size", 3]])
def test_stdin_lines_are_texts_with_seeds_of_their_own(
    run, bases, family, more, tmp_path, monkeypatch, caplog
):
    speak = {"realtime": speak_realtime, "multispeaker": speak_script}[family]
    texts = ["abc", "d e f", "gh"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("abc\n\nd e f\ngh\n"))
    words = ["--base", bases[family], "--stdin", "--out", tmp_path / "all", *FEW]
    code, _, told = run("synthesize", *words, "--format", "flac", *more)
    assert code == 0 and "3 texts" in caplog.text, told
    names = [f"{number:04d}.flac" for number in (1, 2, 3)]
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == names
    for seed, (name, text) in enumerate(zip(names, texts, strict=True)):
        made = soundfile.read(tmp_path / "all" / name, dtype="int16")[0]
        assert is_close(made, speak(bases[family], text, seed))


@pytest.mark.parametrize("more", [[], ["--stream"]])
def test_out_dash_sends_raw_samples(run, talking_base, monkeypatch, more):
    sent = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(sent, write_through=True))
    words = ["--base", talking_base, "--text", "ab", "--out", "-", *FEW]
    assert run("synthesize", *words, *more)[0] == 0
    made = np.frombuffer(sent.getvalue(), "<i2")
    assert is_close(made, speak_script(talking_base, "ab"))


def test_script_of_a_file_has_a_voice_for_each_speaker(
    say, talking_base, wavs, tmp_path
):
    (tmp_path / "script.txt").write_text(SCRIPT, encoding="utf-8")
    words = ["--base", talking_base, "--script", tmp_path / "script.txt", *FEW]
    made, told = say(*words, "--voice", f"2={wavs[1]}", "--voice", f"1={wavs[0]}")
    assert is_close(made, speak_script(talking_base, SCRIPT, wavs=wavs))
    assert "5 to 30 s" in told
    assert not is_close(made, speak_script(talking_base, SCRIPT, wavs=wavs[::-1]))
    plain, _ = say(*words)
    assert not is_close(made, plain)


def test_realtime_script_is_spoken_turn_by_turn(say, tiny_base, tmp_path, monkeypatch):
    model = RealtimeModel.from_base(str(tiny_base))
    words = ["--base", tiny_base, "--script", "-", *FEW]
    voices = []
    for number in (1, 2):
        latents = torch.randn(2 + number, 4)
        voices.append(build_voice_prompt(model, latents, torch.tensor([number, 2])))
        path = tmp_path / f"{number}.safetensors"
        save_voice_prompt(voices[-1], path)
        words += ["--voice", f"{number}={path}"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(SCRIPT))
    made, _ = say(*words)
    turns = [("ab cd", 0), ("ef", 1), ("gh", 0)]
    wanted = [
        speak_realtime(tiny_base, text, seed, voices[speaker])
        for seed, (text, speaker) in enumerate(turns)
    ]
    assert is_close(made, np.concatenate(wanted))


def test_realtime_recording_needs_a_transcript(say, run, tiny_base, wavs):
    words = ["--base", tiny_base, "--text", "abc", *FEW, "--min_encoder_fit", 0]
    beside, _ = say(*words, "--voice", wavs[1])  # b.txt says "two"
    typed, _ = say(*words, "--voice", wavs[1], "--voice_text", "two")
    other, _ = say(*words, "--voice", wavs[1], "--voice_text", "three")
    assert np.array_equal(beside, typed) and not np.array_equal(typed, other)
    message = "the realtime family needs what is said"
    fail(run, message, *words, "--voice", wavs[0], "--out", "x.wav")


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
def test_adapters_change_the_speech_by_their_strength(
    say, save_adapter, bases, family, tmp_path
):
    model_type = json.loads((bases[family] / "config.json").read_text())["model_type"]
    save_adapter(bases[family], tmp_path / "one", 0.02, model_type)
    save_adapter(bases[family], tmp_path / "two", 0.05, model_type)
    words = ["--base", bases[family], "--text", "abc", *FEW]
    plain, _ = say(*words)
    one, told = say(*words, "--adapter", f"one={tmp_path / 'one'}")
    assert "adapter one:" in told and "tensors matched" in told
    half, _ = say(*words, "--adapter", f"one={tmp_path / 'one'}:0.5")
    none, _ = say(*words, "--adapter", f"one={tmp_path / 'one'}:0")
    second = ["--adapter", f"two={tmp_path / 'two'}:0.7"]
    both, _ = say(*words, "--adapter", f"one={tmp_path / 'one'}", *second)
    assert np.array_equal(plain, none)
    assert len({made.tobytes() for made in (plain, one, half, both)}) == 4


def make_experiment(save_adapter, base, folder, tts, **tts_conf):
    """Write what a training leaves: config.yaml and weights."""
    folder.mkdir()
    family = json.loads((base / "config.json").read_text())["model_type"]
    model, plan = save_adapter(base, folder / "adapter", 0.05, family)
    state = {
        f"tts.model.{name}": parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    torch.save(state | {"tts.lora_seal": seal_lora(state)}, folder / "3epoch.pth")
    conf = {"strategy": "lora", "lora_rank": 2, "base": str(base), **tts_conf}
    text = yaml.safe_dump({"tts": tts, "tts_conf": conf})
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return [folder / "config.yaml", folder / "3epoch.pth"]


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
def test_trained_model_speaks_with_its_weights_and_settings(
    say, save_adapter, bases, family, tmp_path
):
    tts = {"realtime": "vibevoice_realtime", "multispeaker": "vibevoice"}[family]
    conf = {"max_frames": 2, "num_sampling_steps": 2}
    files = make_experiment(save_adapter, bases[family], tmp_path / "exp", tts, **conf)
    made, _ = say("--model", *files, "--text", "abc")
    assert len(made) == 6400
    words = ["--base", bases[family], "--text", "abc", *FEW, "--max_frames", 2]
    adapted, _ = say(*words, "--adapter", f"one={tmp_path / 'exp' / 'adapter'}")
    plain, _ = say(*words)
    assert is_close(made, adapted) and not is_close(made, plain)
    moved = shutil.copytree(bases[family], tmp_path / "moved")
    again, _ = say("--model", *files, "--base", moved, "--text", "abc")
    assert np.array_equal(made, again)
    with files[0].open("a", encoding="utf-8") as config:
        config.write("cleaner: persian\n")
    read, _ = say("--model", *files, "--text", "<b>abc</b>")
    assert np.array_equal(made, read)
    kept, _ = say("--model", *files, "--text", "<b>abc</b>", "--cleaner", "none")
    assert not np.array_equal(made, kept)


def test_voice_of_the_training_is_the_default(say, save_adapter, tiny_base, tmp_path):
    model = RealtimeModel.from_base(str(tiny_base))
    prompt = build_voice_prompt(model, torch.randn(3, 4), torch.tensor([1, 2]))
    save_voice_prompt(prompt, tmp_path / "voice.safetensors")
    conf = {"max_frames": 2, "voice_prompt": str(tmp_path / "voice.safetensors")}
    files = make_experiment(
        save_adapter, tiny_base, tmp_path / "exp", "vibevoice_realtime", **conf
    )
    default, _ = say("--model", *files, "--text", "abc")
    voice = ["--voice", tmp_path / "voice.safetensors"]
    given, _ = say("--model", *files, "--text", "abc", *voice)
    assert np.array_equal(default, given)


def test_settings_of_the_training_are_those_of_its_class(tmp_path):
    files = tmp_path / "config.yaml", tmp_path / "3epoch.pth"
    for tts, conf, kind, wanted in (
        ("vibevoice_realtime", {"text_window": 7}, GenerationSettings, (7, 10, False)),
        ("vibevoice", {"append_end_of_text": False}, ScriptSettings, (None, 10, True)),
        ("vibevoice", {"num_sampling_steps": 4}, ScriptSettings, (None, 4, False)),
    ):
        text = yaml.safe_dump({"tts": tts, "tts_conf": {"base": "some/base", **conf}})
        files[0].write_text(text, encoding="utf-8")
        settings = vars(make_settings(kind, read_experiment_conf(*files), {}))
        names = "text_window", "num_sampling_steps", "ends_with_segment"
        assert (
            tuple(settings.get(n, d) for n, d in zip(names, wanted, strict=True))
            == wanted
        )


@pytest.mark.parametrize("family", ["realtime", "multispeaker"])
def test_dtype_and_device_are_taken(say, bases, family, wavs):
    words = ["--base", bases[family], "--text", "abc", *FEW, "--device", "cpu"]
    words += ["--voice", wavs[1], "--min_encoder_fit", 0]
    exact, _ = say(*words)
    coarse, _ = say(*words, "--dtype", "bfloat16")
    assert len(coarse) == len(exact) and not np.array_equal(coarse, exact)


def test_named_tokenizer_and_encoder_are_taken(
    say, run, tiny_base, talking_base, wavs, tmp_path
):
    for name, base in (("realtime", tiny_base), ("multispeaker", talking_base)):
        bare = shutil.copytree(base, tmp_path / name)
        (bare / "tokenizer.json").unlink()
        words = ["--base", bare, "--text", "abc", *FEW, "--min_encoder_fit", 0]
        words += ["--voice", wavs[1]]
        fail(run, "no tokenizer.json", *words, "--out", tmp_path / "x.wav")
        made, _ = say(*words, "--tokenizer", base, "--acoustic_encoder", tiny_base)
        assert len(made) > 0


def test_long_speech_reports_its_progress(say, talking_base, monkeypatch):
    monkeypatch.setattr(stopwatch, "PROGRESS_SEC", 0.0)
    _, told = say("--base", talking_base, "--text", "ab", *FEW, "--stream")
    assert "... 0.13 s of speech" in told and "... 0.40 s of speech" in told
