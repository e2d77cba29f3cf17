"""recognize, collect_recognition and list_recognizers as scoring runs them."""

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.data.kaldi import read_table, write_table
from espnet_vibevoice.score.recognition import run as recognition_run


class Listener:
    """Hears the number of seconds."""

    def recognize(self, waveform, fs):
        return f"{len(waveform) / fs:g} ثانیه"


@pytest.fixture
def wav_scp(tmp_path):
    for index in range(1, 4):
        write_wav(tmp_path / f"u{index}.wav", np.full(8000 * index, 0.1), 8000)
    table = {f"u{index}": tmp_path / f"u{index}.wav" for index in range(1, 4)}
    write_table(tmp_path / "wav.scp", table)
    return tmp_path / "wav.scp"


@pytest.fixture
def score_config(tmp_path):
    path = tmp_path / "score.yaml"
    model = tmp_path / "model.pth"
    path.write_text(
        "recognizers:\n"
        f"  - {{name: ctc, kind: espnet, config: {path}, model_file: {model},"
        " recipe: ../asr1}\n"
        "  - {name: big, kind: whisper, model: large-v3}\n",
        encoding="utf-8",
    )
    return path


def test_recognize_and_collect_give_text(run, wav_scp, tmp_path, monkeypatch):
    opened = []

    def load(spec, device):
        opened.append((spec.identity, device))
        return Listener()

    monkeypatch.setattr(recognition_run, "load_recognizer", load)
    (tmp_path / "u2.wav").unlink()
    out, parts = tmp_path / "asr_w", tmp_path / "wav.JOB.scp"
    _, count, _ = run("split_scp", wav_scp, "--nj", 2, "--out", parts)
    assert count == "2\n"
    for job in (1, 2):
        status, said, log = run(
            *("recognize", "--wav_scp", tmp_path / f"wav.{job}.scp"),
            *("--out_dir", out, "--job", job, "--recognizer", "whisper-tiny"),
            *("--whisper_model", "openai/whisper-tiny", "--ngpu", job - 1),
        )
        assert (status, said) == (0, "")
    assert "progress: 1/1" in log
    assert opened == [("openai/whisper-tiny", d) for d in ("cpu", "cuda")]
    status, said, _ = run(
        "collect_recognition", "--wav_scp", wav_scp, "--out_dir", out, "--nj", 2
    )
    listing = f"listed in {out}/failures.tsv"
    assert (status, said) == (0, f"{out}/text: 1 utterances failed, {listing}\n")
    assert read_table(out / "text") == {"u1": "1 ثانیه", "u3": "3 ثانیه"}


def test_recognize_unavailable_model_has_a_status_of_its_own(
    run, wav_scp, score_config, tmp_path
):
    out = tmp_path / "asr_ctc"
    options = ("--score_config", score_config, "--recognizer", "ctc")
    status, said, log = run(
        "recognize", "--wav_scp", wav_scp, "--out_dir", out, *options
    )
    assert (status, said) == (4, "")
    advice = f"{tmp_path}/model.pth: no such file; run ../asr1/run.sh"
    assert log == f"error: recogniser ctc ({tmp_path}/model.pth): {advice}\n"
    assert (out / "unavailable.txt").read_text() == f"{advice}\n"


def test_recognize_unknown_name_fails_in_one_line(run, wav_scp, score_config, tmp_path):
    status, _, said = run(
        *("recognize", "--wav_scp", wav_scp, "--out_dir", tmp_path / "out"),
        *("--score_config", score_config, "--recognizer", "other"),
    )
    assert status == 1
    assert said == "error: no recogniser is named 'other'; configured: ctc, big.\n"


def test_list_recognizers_names_the_recipe_of_a_missing_model(
    run, score_config, tmp_path
):
    listed = ("list_recognizers", "--score_config", score_config)
    assert run(*listed) == (0, "ctc\t../asr1\nbig\t\n", "")
    (tmp_path / "model.pth").touch()
    assert run(*listed) == (0, "ctc\t\nbig\t\n", "")


def test_list_recognizers_without_configuration_prints_nothing(run):
    assert run("list_recognizers") == (0, "", "")


def test_list_recognizers_wrong_lists_fail_in_one_line(run):
    status, _, said = run("list_recognizers", "--asr_config", "a")
    assert status == 2
    assert said.startswith("error: --asr_config has 1 entries and --asr_model_file 0:")
