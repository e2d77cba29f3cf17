"""Data directories of mini_fa, and the locale that Kaldi's checks need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "egs2/mini_fa/tts1/local"
HEADER = "utt_id\tset_name\tspeaker\tvariant\trate\tpitch\tengine\ttext"
UTTERANCES = {
    "fa_f1_train_0001": "یک دو سه.",
    "fa_f2_train_0001": "یک دو سه.",
    "fa_m1_train_0003": "هوا خوب «است».",
    "fa_f2_valid_0002": "می\u200cآید؟",  # ZERO WIDTH NON-JOINER
    "fa_m2_test_0004": "کتاب خواندم!",
}


def make_tiny_corpus(folder: Path, **overrides: str) -> Path:
    """Write utterances.tsv (in the order of sets, not of ids) and empty wavs."""
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    rows = [HEADER]
    for utt_id, text in {**UTTERANCES, **overrides}.items():
        speaker, set_name, _ = utt_id.rsplit("_", 2)
        rows.append(f"{utt_id}\t{set_name}\t{speaker}\tfa\t150\t50\tengine 1\t{text}")
        (folder / "wav" / f"{utt_id}.wav").touch()
    table = "".join(f"{row}\n" for row in rows)
    (folder / "utterances.tsv").write_text(table, encoding="utf-8")
    return folder


def run_write_data(folder: Path) -> None:
    """Run write_data.py in the parent folder, with relative paths."""
    command = [sys.executable, str(LOCAL / "write_data.py")]
    command += ["--utterances", f"{folder.name}/utterances.tsv"]
    command += ["--wav_dir", f"{folder.name}/wav"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    result = subprocess.run(
        command, cwd=folder.parent, env=env, capture_output=True, check=False
    )
    if result.returncode != 0:
        raise RuntimeError(result.stderr.decode("utf-8"))


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def test_write_data_files_are_sorted_and_consistent(tmp_path):
    run_write_data(make_tiny_corpus(tmp_path / "corpus"))
    train = tmp_path / "data/train"
    ids = ["fa_f1_train_0001", "fa_f2_train_0001", "fa_m1_train_0003"]
    assert read_lines(train / "text") == [f"{i} {UTTERANCES[i]}" for i in ids]
    assert read_lines(train / "wav.scp") == [f"{i} corpus/wav/{i}.wav" for i in ids]
    assert read_lines(train / "utt2spk") == [f"{i} {i[:5]}" for i in ids]
    assert read_lines(train / "spk2utt") == [f"{i[:5]} {i}" for i in ids]
    sizes = [len(read_lines(tmp_path / "data" / s / "text")) for s in ("valid", "test")]
    assert sizes == [1, 1]


def test_write_data_text_is_read_aloud_and_raw_text_kept(tmp_path):
    run_write_data(make_tiny_corpus(tmp_path / "corpus", fa_m2_test_0004="۵ كتاب"))
    test = tmp_path / "data/test"
    assert read_lines(test / "text") == ["fa_m2_test_0004 پنج کتاب"]
    assert read_lines(test / "text.raw") == ["fa_m2_test_0004 ۵ كتاب"]


def test_write_data_second_run_leaves_files_untouched(tmp_path):
    corpus = make_tiny_corpus(tmp_path / "corpus")
    run_write_data(corpus)
    files = sorted((tmp_path / "data").rglob("*"))
    times = [path.stat().st_mtime_ns for path in files]
    (tmp_path / "data/train/.text.1.tmp").write_text("left by a killed run")
    run_write_data(corpus)
    assert sorted((tmp_path / "data").rglob("*")) == files
    regular = [i for i, path in enumerate(files) if path.is_file()]
    assert len(regular) == 15
    assert all(files[i].stat().st_mtime_ns == times[i] for i in regular)


def test_write_data_sentence_in_two_sets_raises(tmp_path):
    overrides = {"fa_m2_test_0004": UTTERANCES["fa_f1_train_0001"]}
    corpus = make_tiny_corpus(tmp_path / "corpus", **overrides)
    with pytest.raises(RuntimeError, match="data/train has sentences of data/test"):
        run_write_data(corpus)


def test_write_data_missing_wav_raises_with_its_name(tmp_path):
    corpus = make_tiny_corpus(tmp_path / "corpus")
    (corpus / "wav/fa_m1_train_0003.wav").unlink()
    with pytest.raises(RuntimeError, match=r"1 of 3 wavs are missing: .*_0003\.wav"):
        run_write_data(corpus)


def run_locale(arguments: str, commands: Path) -> str:
    """Run locale in a script that was started after sourcing local/path.sh."""
    script = f"""PATH="$1:$PATH"; . "$2"; bash -euo pipefail -c 'locale {arguments}'"""
    command = ["bash", "-c", script, "bash", str(commands), str(LOCAL / "path.sh")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return result.stdout


@pytest.mark.parametrize(
    ("arguments", "listed", "shown"),
    [
        ("-a", "C\nC.utf8\nPOSIX\n", "C\nC.utf8\nPOSIX\nC.UTF-8\n"),
        ("-a", "C\nC.UTF-8\n", "C\nC.UTF-8\n"),
        ("-a", "C\nPOSIX\n", "C\nPOSIX\n"),
        ("-m", "C.utf8\n", "C.utf8\n"),
    ],
)
def test_path_locale_lists_the_spelling_kaldi_looks_for(
    tmp_path, arguments, listed, shown
):
    command = tmp_path / "locale"
    command.write_text(f"#!/bin/sh\nprintf '{listed}'\n")
    command.chmod(0o755)
    assert run_locale(arguments, tmp_path) == shown
