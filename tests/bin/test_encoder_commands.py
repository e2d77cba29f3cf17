"""Commands that check, use and train an acoustic encoder."""

import json
import shutil

import numpy as np
import pytest

from espnet_vibevoice.bin.collect_latents import join_fit_reports
from espnet_vibevoice.data.audio import load_audio, resample, write_wav
from espnet_vibevoice.data.kaldi import read_lines, read_table
from espnet_vibevoice.models.encoder_file import load_codec, save_encoder
from espnet_vibevoice.models.realtime import RealtimeModel


@pytest.fixture
def bare_base(exact_bases, tmp_path):
    """Write the first base without its encoder, as the released one is."""
    model = RealtimeModel.from_base(str(exact_bases[0]))
    model.acoustic_tokenizer.encoder = None
    model.save(tmp_path / "bare")
    return tmp_path / "bare"


@pytest.fixture
def encoders(exact_bases, tmp_path):
    """Write the encoders of both bases alone."""
    paths = [tmp_path / f"{base.name}.safetensors" for base in exact_bases]
    for base, path in zip(exact_bases, paths, strict=True):
        save_encoder(load_codec(str(base)), path)
    return paths


def dump(run, base, encoder, speech_scp, out, *words):
    options = ["--base", base, "--acoustic_encoder", encoder, "--wav_scp", speech_scp]
    return run("dump_latents", *options, "--out_dir", out, "--job", 1, *words)


def test_check_encoder_fitting_pair_reports_and_passes(
    run, bare_base, encoders, speech_scp, tmp_path
):
    options = ["--base", bare_base, "--acoustic_encoder", encoders[0]]
    options += ["--wav_scp", speech_scp, "--json", tmp_path / "fit.json"]
    status, said, _ = run("check_encoder", *options, "--out_dir", tmp_path / "wavs")
    assert status == 0
    lines = said.splitlines()
    assert lines[:2] == [f"decoder: {bare_base}", f"encoder: {encoders[0]}"]
    assert lines[2].startswith("s0: 1.00 s, spectral correlation 1.000, log-mel dist")
    assert "polarity same (+1.000), fits (wanted: correlation at least" in lines[-1]
    report = json.loads((tmp_path / "fit.json").read_text("utf-8"))
    assert report["fits"] and list(report["files"]) == ["s0", "s1", "s2"]
    assert report["total"]["log_mel_distance"] < 0.01
    decoded = load_audio(tmp_path / "wavs/s0.wav")[0]
    wanted = load_audio(read_table(speech_scp)["s0"])[0]
    assert np.abs(decoded - wanted).max() < 1e-4


def test_check_encoder_mismatched_pair_fails_with_figures(
    run, exact_bases, encoders, speech_scp, tmp_path
):
    for base in exact_bases:  # each alone fits
        words = ["--base", base, "--wav_scp", speech_scp]
        assert run("check_encoder", *words)[0] == 0
    options = ["--base", exact_bases[0], "--acoustic_encoder", encoders[1]]
    options += ["--json", tmp_path / "fit.json", "--max_utts", 2]
    status, said, _ = run("check_encoder", *options, "--wav_scp", speech_scp)
    assert status == 1
    assert "encoder fit: 2 files, spectral correlation 0." in said
    assert "does not fit (wanted: correlation at least 0.8, distance at most" in said
    report = json.loads((tmp_path / "fit.json").read_text("utf-8"))
    assert not report["fits"] and len(report["files"]) == 2
    lenient = ["--min_spectral_correlation", 0.1, "--max_log_mel_distance", 40]
    assert run("check_encoder", *options, *lenient, "--wav_scp", speech_scp)[0] == 0


def test_check_encoder_other_latent_size_fails_in_one_line(
    run, tiny_base, exact_bases, speech_scp
):
    words = ["--base", tiny_base, "--acoustic_encoder", exact_bases[0]]
    status, _, said = run("check_encoder", *words, "--wav_scp", speech_scp)
    assert status == 1 and said.count("\n") == 1
    assert "its encoder gives latents of 32 dimensions every 32 samples" in said
    assert "takes 4 dimensions every 3200 samples" in said


def test_check_encoder_base_without_encoder_tells_the_way_out(
    run, bare_base, speech_scp
):
    words = ["--base", bare_base, "--wav_scp", speech_scp]
    status, _, said = run("check_encoder", *words)
    assert status == 1 and "has no acoustic encoder" in said
    assert "--acoustic_encoder PATH" in said and "train_encoder" in said


def test_check_encoder_takes_single_files(run, exact_bases, tmp_path):
    for name in ("one", "two"):
        write_wav(tmp_path / name / "a.wav", np.zeros(3000), 24000)
    first, second = tmp_path / "one/a.wav", tmp_path / "two/a.wav"
    words = ["check_encoder", "--base", exact_bases[0], "--wav", first]
    status, said, _ = run(*words)
    assert status == 0 and "a: silent, not judged" in said
    assert "not judged: all files are silent" in said
    status, _, said = run(*words, second)
    assert status == 1 and "2 files, 1 names: two have the same name" in said


def test_check_encoder_converts_other_rates(run, exact_bases, speech_scp, tmp_path):
    waveform = load_audio(read_table(speech_scp)["s0"])[0]
    stereo = np.stack([waveform, waveform], axis=1)
    write_wav(tmp_path / "a.wav", resample(stereo, 24000, 48000), 48000)
    words = ["--base", exact_bases[0], "--wav", tmp_path / "a.wav"]
    status, said, _ = run("check_encoder", *words)
    assert status == 0 and "a: 1.00 s, spectral correlation 1.000" in said


def test_dump_latents_mismatched_pair_stops_with_figures(
    run, bare_base, encoders, speech_scp, tmp_path
):
    out = tmp_path / "latents"
    for _ in range(2):  # the second time from the report
        status, _, said = dump(run, bare_base, encoders[1], speech_scp, out)
        error = said.splitlines()[-1]
        assert status == 1
        assert f"error: the acoustic encoder of {encoders[1]} does not fit" in error
        assert "3 files, spectral correlation 0." in error
        assert "tts_conf: {acoustic_encoder: PATH}" in error
        assert "espnet_vibevoice.bin.train_encoder" in error
    assert [path.name for path in out.iterdir()] == ["encoder_fit.1.json"]
    settings = ["--train_args=--tts_conf min_encoder_fit=0"]
    assert dump(run, bare_base, encoders[1], speech_scp, out, *settings)[0] == 0


def test_dump_latents_checks_a_changed_encoder_again(
    run, bare_base, encoders, speech_scp, tmp_path
):
    out, used = tmp_path / "latents", tmp_path / "used.safetensors"
    shutil.copy(encoders[0], used)
    assert dump(run, bare_base, used, speech_scp, out, "--fit_utts", 1)[0] == 0
    report = json.loads((out / "encoder_fit.1.json").read_text("utf-8"))
    assert report["fits"] and list(report["files"]) == ["s0"]
    ark = (out / "feats.1.ark").read_bytes()
    again = dump(run, bare_base, used, speech_scp, out, "--fit_utts", 1)
    assert again[0] == 0 and "progress: 1/1" not in again[2]
    shutil.copy(encoders[1], used)
    assert dump(run, bare_base, used, speech_scp, out, "--fit_utts", 1)[0] == 1
    assert (out / "feats.1.ark").read_bytes() == ark


def test_collect_latents_without_fit_report_fails(
    run, exact_bases, speech_scp, tmp_path
):
    out = tmp_path / "latents"
    assert dump(run, exact_bases[0], exact_bases[0], speech_scp, out)[0] == 0
    (out / "encoder_fit.1.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"fit\.1\.json is missing. Rerun st"):
        join_fit_reports(out, 1)


def test_train_encoder_trains_resumes_and_reports(run, bare_base, speech_scp, tmp_path):
    out = tmp_path / "out"
    options = ["--base", bare_base, "--train_dir", speech_scp.parent, "--out", out]
    options += ["--valid_dir", speech_scp.parent, "--max_steps", 2, "--batch_size", 2]
    options += ["--crop_frames", 100, "--valid_interval", 1, "--warmup_steps", 1]
    status, said, _ = run("train_encoder", *options)
    assert status == 0
    assert said.startswith(f"{out}/encoder.safetensors: encoder fit: 3 files, spectral")
    assert len(read_lines(out / "validation.tsv")) == 4
    names = {"encoder.safetensors", "checkpoint.pt", "settings.json", "tensorboard"}
    names |= {"validation.tsv", "validation.png"}
    assert {path.name for path in out.iterdir()} == names
    before = (out / "checkpoint.pt").stat().st_mtime_ns
    assert run("train_encoder", *options)[:2] == (0, said)
    assert (out / "checkpoint.pt").stat().st_mtime_ns == before
    status, _, said = run("train_encoder", *options, "--lr", 0.1)
    assert status == 1 and "lr: was 0.0003, is 0.1" in said
