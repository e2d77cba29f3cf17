"""Speech of mini_fa: same bytes each time, format, level, voices that differ."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import pyworld
import soundfile

LOCAL = Path(__file__).parents[3] / "egs2/mini_fa/tts1/local"
SPEAKERS = ("fa_f1", "fa_f2", "fa_m1", "fa_m2")  # in the order of their turns


def read_real_sentences(set_name: str, count: int) -> list[str]:
    path = LOCAL / "sentences" / f"{set_name}.txt"
    return path.read_text(encoding="utf-8").split("\n")[:count]


def make_tiny_sentences(folder: Path, **overrides: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for set_name in ("train", "valid", "test"):
        lines = overrides.get(set_name, read_real_sentences(set_name, 1))
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{set_name}.txt").write_text(text, encoding="utf-8")
    return folder


def run_synthesize(sentences: Path, out: Path, nj: int = 1) -> str:
    command = [sys.executable, str(LOCAL / "synthesize.py")]
    command += ["--sentences", str(sentences), "--out", str(out), "--nj", str(nj)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    return result.stderr


def read_tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Four test sentences, so that each voice speaks one; one valid, one train."""
    folder = tmp_path_factory.mktemp("corpus")
    test = read_real_sentences("test", 4)
    sentences = make_tiny_sentences(folder / "sentences", test=test)
    run_synthesize(sentences, folder / "out", nj=2)
    return folder


def test_synthesize_ids_begin_with_the_speaker_and_voices_take_turns(corpus):
    names = sorted(path.name for path in (corpus / "out/wav").iterdir())
    test = [f"{spk}_test_{i + 1:04d}.wav" for i, spk in enumerate(SPEAKERS)]
    others = ["fa_f1_train_0001.wav", "fa_f2_train_0001.wav", "fa_f1_valid_0001.wav"]
    assert names == sorted(test + others)


def test_synthesize_other_nj_and_order_gives_same_bytes(corpus, tmp_path):
    time.sleep(1.1)  # left alone, espeak-ng seeds its noise with the second of the day
    run_synthesize(corpus / "sentences", tmp_path / "serial", nj=1)
    assert read_tree(tmp_path / "serial") == read_tree(corpus / "out")


def test_synthesize_audio_has_format_level_and_plausible_duration(corpus):
    rows = (corpus / "out/utterances.tsv").read_text(encoding="utf-8").split("\n")
    for row in rows[1:-1]:
        utt_id, text = row.split("\t")[0], row.split("\t")[-1]
        path = corpus / "out/wav" / f"{utt_id}.wav"
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
        audio, _ = soundfile.read(path)
        level_db = 20 * np.log10(np.sqrt(np.mean(audio**2)))
        peak = np.abs(audio).max()
        assert peak < 0.96
        assert abs(level_db + 25) < 1 or (level_db < -25 and peak > 0.94), utt_id
        assert 0.05 < info.duration / len(text) < 0.2, utt_id


def test_synthesize_edges_are_a_tenth_of_a_second_of_silence(corpus):
    for path in (corpus / "out/wav").iterdir():
        audio, fs = soundfile.read(path)
        speech = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
        assert speech[0] / fs == pytest.approx(0.1, abs=0.002)
        assert (len(audio) - speech[-1]) / fs == pytest.approx(0.1, abs=0.002)


def test_synthesize_damaged_wavs_are_redone_and_whole_ones_kept(corpus, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(corpus / "out", out)
    wavs = sorted((out / "wav").iterdir())
    wavs[0].write_bytes(wavs[0].read_bytes()[:-2])  # one sample short
    wavs[1].write_bytes(wavs[1].read_bytes()[:20])  # half a header
    wavs[2].write_bytes(b"")
    wavs[3].unlink()
    (out / "wav/.x.wav.1.tmp").write_bytes(b"left by a killed run")
    times = {path: path.stat().st_mtime_ns for path in wavs[4:]}
    report = run_synthesize(corpus / "sentences", out)
    assert "4 spoken, 3 kept" in report
    assert read_tree(out) == read_tree(corpus / "out")
    assert {path: path.stat().st_mtime_ns for path in wavs[4:]} == times


def test_synthesize_changed_sentence_is_spoken_anew(corpus, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(corpus / "out", out)
    test = read_real_sentences("test", 4)
    test[1] = read_real_sentences("test", 5)[4]
    report = run_synthesize(make_tiny_sentences(tmp_path / "s", test=test), out)
    assert "1 spoken, 6 kept" in report
    before, after = read_tree(corpus / "out"), read_tree(out)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"utterances.tsv", "wav/fa_f2_test_0002.wav"}


def test_synthesize_empty_line_raises_with_file_and_line(tmp_path):
    valid = [*read_real_sentences("valid", 1), ""]
    sentences = make_tiny_sentences(tmp_path / "s", valid=valid)
    with pytest.raises(RuntimeError, match=r"error: .*valid\.txt, line 2: got ''"):
        run_synthesize(sentences, tmp_path / "out")


def test_synthesize_without_the_wheel_raises_with_pip_command(tmp_path):
    code = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda n: None if n == 'espeakng_loader' else find(n)\n"
        f"sys.path.insert(0, {str(LOCAL)!r}); import espeak; espeak.find_engine()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "python3 -m pip install espeakng-loader" in result.stderr


def test_voices_female_pitch_is_above_male_pitch(same_text):
    pitch_hz = {}
    for speaker, audio in same_text.items():
        f0, _ = pyworld.dio(audio, 24000)
        pitch_hz[speaker] = np.median(f0[f0 > 0])
    females = [pitch_hz["fa_f1"], pitch_hz["fa_f2"]]
    males = [pitch_hz["fa_m1"], pitch_hz["fa_m2"]]
    assert min(females) > 160 > 130 > max(males), pitch_hz


def test_voices_spectra_and_pitch_differ_between_any_two(same_text):
    spectra = {
        speaker: mean_log_spectrum(audio) for speaker, audio in same_text.items()
    }
    for index, first in enumerate(SPEAKERS):
        for second in SPEAKERS[index + 1 :]:
            distance_db = np.sqrt(np.mean((spectra[first] - spectra[second]) ** 2))
            assert distance_db > 2, (first, second, distance_db)


@pytest.fixture(scope="module")
def same_text(tmp_path_factory) -> dict[str, np.ndarray]:
    """One sentence in each voice; the number of lines before it chooses the voice."""
    folder = tmp_path_factory.mktemp("voices")
    lines = [read_real_sentences("test", 1)[0]] * 4
    run_synthesize(make_tiny_sentences(folder / "s", test=lines), folder / "out")
    paths = [f"wav/{spk}_test_{i + 1:04d}.wav" for i, spk in enumerate(SPEAKERS)]
    audios = (soundfile.read(folder / "out" / path)[0] for path in paths)
    return dict(zip(SPEAKERS, audios, strict=True))


def mean_log_spectrum(audio: np.ndarray) -> np.ndarray:
    """Mean power of 24 bands of 250 Hz up to 6 kHz, in dB."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, 960)[::480]
    power = np.abs(np.fft.rfft(frames * np.hanning(960))) ** 2  # bins of 25 Hz
    return 10 * np.log10(power.mean(axis=0)[:240].reshape(24, 10).mean(axis=1))
