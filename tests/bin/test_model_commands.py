"""Commands that read the settings of a model: stages 4, 5 and 6."""

import subprocess
import sys

import kaldiio
import numpy as np
import pytest
import torch

from espnet_vibevoice.data.audio import load_audio, write_wav
from espnet_vibevoice.data.kaldi import read_lines, read_table, write_table
from espnet_vibevoice.models.encoder_file import load_codec
from espnet_vibevoice.text.tokenizer import load_tokenizer

TEXTS = {"u1": "ab", "u2": "abcd", "u3": "abcdefghi"}  # 3, 5 and 10 tokens
FRAMES = {"u1": 4, "u2": 5, "u3": 6}


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "tr"
    for index, (utt_id, frames) in enumerate(FRAMES.items()):
        noise = np.random.default_rng(index).normal(0, 0.05, 3200 * frames - 100)
        write_wav(folder / f"{utt_id}.wav", noise, 24000)
    write_table(folder / "wav.scp", {u: folder / f"{u}.wav" for u in TEXTS})
    write_table(folder / "text", TEXTS)
    samples = {u: 3200 * frames - 100 for u, frames in FRAMES.items()}
    write_table(folder / "utt2num_samples", samples)
    return folder


def dump(run, data_dir, tiny_base, out_dir, *words):
    options = ["--wav_scp", data_dir / "wav.scp", "--out_dir", out_dir, "--job", 1]
    # a random codec reconstructs nothing
    options += ["--train_args=--tts_conf min_encoder_fit=0"]
    return run("dump_latents", *options, "--base", tiny_base, *words)


def test_dump_and_collect_latents_give_training_its_files(
    run, data_dir, tiny_base, tmp_path
):
    out, stats = tmp_path / "latents", tmp_path / "stats"
    status, _, said = dump(run, data_dir, tiny_base, out)
    assert status == 0 and "progress: 3/3" in said
    options = ["--data_dir", data_dir, "--latents_dir", out, "--nj", 1]
    options += ["--stats_dir", stats, "--token_type", "hugging_face"]
    status, said, _ = run("collect_latents", *options, "--base", tiny_base)
    assert status == 0
    first, second = said.splitlines()
    assert first.startswith("tr: 3 utterances, 15 frames, 0.00 h, 4 dimensions, mean")
    assert second.startswith("tr: encoder fit: 3 files, spectral correlation")
    assert second.endswith("not judged: min_encoder_fit is 0")
    lines = read_lines(out / "encoder_fit.txt")
    assert lines[:2] == [f"decoder: {tiny_base}", f"encoder: {tiny_base}"]
    assert [line.split(":")[0] for line in lines[2:]] == [
        "u1",
        "u2",
        "u3",
        "encoder fit",
    ]
    frames = {utt_id: str(count) for utt_id, count in FRAMES.items()}
    assert read_table(stats / "speech_shape") == frames
    tokens = {"u1": "3", "u2": "5", "u3": "10"}
    assert read_table(stats / "text_shape.hugging_face") == tokens
    latents = kaldiio.load_scp(str(out / "feats.scp"))
    codec = load_codec(str(tiny_base))
    for utt_id, path in read_table(data_dir / "wav.scp").items():
        waveform = torch.from_numpy(load_audio(path)[0])
        assert np.array_equal(latents[utt_id], codec.encode(waveform).numpy())


def test_dump_latents_again_encodes_nothing(run, data_dir, tiny_base, tmp_path):
    dump(run, data_dir, tiny_base, tmp_path / "latents")
    ark = tmp_path / "latents/feats.1.ark"
    before = ark.stat().st_mtime_ns
    assert dump(run, data_dir, tiny_base, tmp_path / "latents")[0] == 0
    assert ark.stat().st_mtime_ns == before
    write_wav(data_dir / "u1.wav", np.zeros(6400), 24000)
    dump(run, data_dir, tiny_base, tmp_path / "latents")
    assert ark.stat().st_mtime_ns != before
    assert len(kaldiio.load_scp(str(tmp_path / "latents/feats.1.scp"))["u1"]) == 2


def test_dump_latents_wrong_rate_fails_in_one_line(run, data_dir, tiny_base, tmp_path):
    write_wav(data_dir / "u1.wav", np.zeros(1600), 16000)
    status, _, said = dump(run, data_dir, tiny_base, tmp_path / "latents")
    assert status == 1
    assert "error: u1 (" in said and "Rerun stage 2 with --fs 24000" in said


def test_collect_latents_of_too_few_jobs_fails(run, data_dir, tiny_base, tmp_path):
    out = tmp_path / "latents"
    dump(run, data_dir, tiny_base, out)
    write_table(data_dir / "text", TEXTS | {"u4": "سلام"})
    options = ["--data_dir", data_dir, "--latents_dir", out, "--nj", 1]
    options += ["--stats_dir", tmp_path / "stats", "--token_type", "hugging_face"]
    status, _, said = run("collect_latents", *options, "--base", tiny_base)
    assert status == 1 and "1 utterances have no latents: u4" in said


def test_report_token_rate_judges_the_first_set_only(
    run, data_dir, tiny_base, tmp_path
):
    valid = tmp_path / "valid"
    write_table(valid / "text", {"u1": "a" * 50})
    write_table(valid / "utt2num_samples", {"u1": 3200})
    words = ["--output", tmp_path / "report", "--base", tiny_base]
    words += ["--train_args=--tts_conf text_window=10"]
    status, said, _ = run("report_token_rate", data_dir, valid, *words)
    assert status == 0 and "valid: 1 utterances" in said and "(100.0 %)" in said
    assert run("report_token_rate", valid, data_dir, *words)[0] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base", "owner/other"),
        ("tokenizer", "owner/tokenizer"),
        ("acoustic_encoder", "owner/encoder"),
        ("min_encoder_fit", "0.5"),
    ],
)
def test_find_base_names_change_with_each_setting_of_data(run, name, value):
    before = run("find_base", "--base", "owner/name@main", "--names")
    words = ["--train_args", f"--tts_conf {name}={value}", "--names"]
    after = run("find_base", "--base", "owner/name@main", *words)
    assert before[0] == after[0] == 0 and before[1] != after[1]
    assert f"{name}={value}" in after[1].split()


def test_find_base_prints_a_local_folder_only(run, tiny_base):
    assert run("find_base", "--base", tiny_base) == (0, f"{tiny_base}\n", "")
    config = tiny_base / "config.json"
    assert run("find_base", "--base", config) == (0, f"{tiny_base}\n", "")
    assert run("find_base", "--base", "owner/name@main") == (0, "", "")
    words = ["--base", "owner/name", "--acoustic_encoder", config]
    assert run("find_base", *words) == (0, f"{config}\n", "")
    words = ["--base", tiny_base, "--acoustic_encoder", "owner/name"]
    assert run("find_base", *words) == (0, f"{tiny_base}\n", "")
    status, _, said = run("find_base")
    assert status == 1 and said.startswith("error: no base model is named")


def test_tokenize_text_writes_the_vocabulary(run, tiny_base, tmp_path):
    tokens = tmp_path / "tokens.txt"
    options = ["--token_type", "hugging_face", "--input", "text", "-f", "2-"]
    words = [*options, "--output", tokens, "--base", tiny_base, "--cutoff", 0]
    assert run("tokenize_text", *words) == (0, "", "")
    assert read_lines(tokens) == load_tokenizer(tiny_base).vocabulary()


def test_tokenize_text_other_type_is_espnets_own(run, data_dir, tmp_path):
    tokens = tmp_path / "tokens.txt"
    options = ["--token_type", "char", "--input", data_dir / "text", "-f", "2-"]
    options += ["--output", tokens, "--write_vocabulary", "true"]
    options += ["--add_symbol", "<blank>:0", "--base", "unused"]
    assert run("tokenize_text", *options)[0] == 0
    assert read_lines(tokens) == ["<blank>", *"abcdefghi"]


def test_mend_checkpoints_says_what_was_done(run, tmp_path, monkeypatch):
    (tmp_path / "checkpoint.pth").write_bytes(b"cut")
    status, said, _ = run("mend_checkpoints", tmp_path)
    assert status == 0 and "checkpoint.pth.broken" in said
    # a first start loads no torch
    monkeypatch.setitem(sys.modules, "espnet_vibevoice.tts.mending", None)
    assert run("mend_checkpoints", tmp_path) == (0, "", "")


def test_find_base_starts_without_torch():
    words = [sys.executable, "-c"]
    check = "import sys, espnet_vibevoice.bin.find_base; print('torch' in sys.modules)"
    assert subprocess.check_output([*words, check], text=True) == "False\n"
