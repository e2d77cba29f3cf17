"""Commands that make voice prompts and look into models."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.models.voice_prompt import load_voice_prompt


@pytest.fixture
def wav(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 24000)
    write_wav(tmp_path / "a.wav", noise, 24000)
    return tmp_path / "a.wav"


def test_make_voice_prompt_writes_a_file_that_loads(
    run, tiny_base, wav, tmp_path, caplog
):
    out = tmp_path / "voice.safetensors"
    words = ["--wav", wav, "--text", "abc", "--base", tiny_base, "--out", out]
    status, said, _ = run("make_voice_prompt", *words, "--min_encoder_fit", 0)
    assert (status, said) == (0, f"{out}: 8 frames, 4 tokens\n")
    assert "5 to 30 s" in caplog.text
    assert load_voice_prompt(out).num_frames == 8
    (tmp_path / "text").write_text("سلام\n", encoding="utf-8")
    words = ["--wav", wav, "--text_file", tmp_path / "text", "--base", tiny_base]
    words += ["--out", out, "--min_encoder_fit", 0, "--dtype", "bfloat16"]
    assert run("make_voice_prompt", *words)[0] == 0
    prompt = load_voice_prompt(out)
    assert (prompt.num_tokens, prompt.dtype) == (9, torch.bfloat16)


@pytest.mark.parametrize(
    "words,message",
    [
        (["--text", "abc", "--max_sec", "0.5"], "at most 0.5 s are taken"),
        (["--text", "abc"], "does not fit the decoder"),
        (["--text", "..."], "neither letters nor digits"),
        ([], "give --text or --text_file"),
        (["--text_file", "absent"], "No such file"),
        (["--text", "a", "--acoustic_encoder", "./absent"], "absent"),
    ],
)
def test_make_voice_prompt_bad_input_fails_in_one_line_and_writes_nothing(
    run, tiny_base, wav, tmp_path, words, message
):
    out = tmp_path / "out" / "voice.safetensors"
    words = ["--wav", wav, "--base", tiny_base, "--out", out, *words]
    status, _, said = run("make_voice_prompt", *words)
    assert status == 1
    assert message in said.splitlines()[-1] and "Traceback" not in said
    assert not out.parent.exists()


def test_make_voice_prompt_to_another_ending_fails_at_once(run, wav, tmp_path):
    words = ["--wav", wav, "--text", "abc", "--base", "absent", "--out", "voice.pt"]
    status, _, said = run("make_voice_prompt", *words)
    assert status == 1 and "ends in .safetensors" in said


def test_make_voice_prompt_without_base_fails(run, wav, tmp_path):
    words = ["--wav", wav, "--text", "abc", "--out", tmp_path / "v.safetensors"]
    status, _, said = run("make_voice_prompt", *words)
    assert status == 1 and "--wav needs --base" in said


def test_make_voice_prompt_from_a_foreign_pt_fails(run, tmp_path):
    torch.save({"lm": torch.nn.Linear(1, 1)}, tmp_path / "voice.pt")
    out = tmp_path / "voice.safetensors"
    words = ["--from_pt", tmp_path / "voice.pt", "--out", out]
    status, _, said = run("make_voice_prompt", *words)
    assert status == 1 and "names torch.nn.modules.linear.Linear" in said
    assert not out.exists()


def test_inspect_model_prints_a_table(run, tiny_base):
    status, said, _ = run("inspect_model", tiny_base)
    assert status == 0
    rows = {line.split()[0]: line.split() for line in said.splitlines()}
    assert rows["tts_language_model"][1] == "Qwen2Model"
    assert rows["tts_language_model"][4] == "lora"
    assert rows["acoustic_tokenizer.decoder"][4:] == ["frozen", "0"]
    assert "acoustic encoder present" in said and "latent scale" in said
    assert "never read: model.tts_language_model.embed_tokens.weight" in said


def test_inspect_model_json_adds_up(run, tiny_base):
    status, said, _ = run("inspect_model", tiny_base, "--json", "--strategy", "full")
    report = json.loads(said)
    assert status == 0
    assert {"parts", "parameters", "trainable", "trainable_share"} <= report.keys()
    assert sum(p["parameters"] for p in report["parts"]) == report["parameters"]
    assert sum(p["trainable"] for p in report["parts"]) == report["trainable"]
    share = report["trainable"] / report["parameters"]
    assert report["trainable_share"] == pytest.approx(share)
    assert report["has_encoder"] and report["latent_scale"] > 0


def test_inspect_model_of_a_configuration_and_overruled(run, tmp_path):
    config = tmp_path / "train.yaml"
    text = "tts_conf: {strategy: lora, lora_rank: 4, lora_parts: {prediction_head: }}"
    config.write_text(text, encoding="utf-8")
    words = ["inspect_model", "realtime-0.5b", "--json", "--train_config", config]
    training = []
    for more in ([], ["--lora_rank", "2"], ["--strategy", "full"]):
        status, said, faults = run(*words, *more)
        training.append((status, {p["name"]: p["training"] for p in said_parts(said)}))
    assert [status for status, _ in training] == [0, 0, 1]
    assert training[0][1]["prediction_head"] == "lora r4"
    assert training[1][1]["tts_language_model"] == "lora r2"
    assert "prediction_head: trained in full by strategy full" in faults


def said_parts(said):
    return json.loads(said)["parts"] if said else []


def test_inspect_model_builtin_and_errors(run, tmp_path):
    status, said, _ = run("inspect_model", "realtime-0.5b", "--json")
    assert status == 0 and json.loads(said)["parameters"] == 881_492_066
    status, _, said = run("inspect_model", tmp_path / "absent")
    assert status == 1 and "no such base folder" in said
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    status, _, said = run("inspect_model", tmp_path)
    assert status == 1 and "model_type 'bert' is not known" in said
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    status, _, said = run("inspect_model", tmp_path)
    assert status == 1 and "not valid JSON" in said
