"""prepare_corpus and unpack_archive as commands: options in, status and files out."""

import tarfile

import pytest
import soundfile

from espnet_vibevoice.data.data_dir import validate_data_dir


@pytest.fixture
def manifest(tmp_path):
    """Write a list of ten utterances."""
    soundfile.write(tmp_path / "a.wav", [0.0] * 100, 16000)
    rows = ["id\taudio\ttext\tspeaker"]
    rows += [f"u{i}\ta.wav\tجمله {'الف' * (i + 1)}\ts{i % 5}" for i in range(10)]
    path = tmp_path / "m.tsv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_prepare_corpus_writes_the_sets(run, manifest, tmp_path):
    options = ["--source", manifest, "--data_dir", tmp_path / "data"]
    sizes = ["--valid_size", "2", "--test_size", "2", "--by_speaker", "--seed", "5"]
    status, out, errors = run("prepare_corpus", "manifest", *options, *sizes)
    assert (status, out) == (0, ""), errors
    names = ("train", "valid", "test")
    sizes = [validate_data_dir(tmp_path / "data" / name) for name in names]
    assert sizes == [6, 2, 2]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["manifest"], 2, "the following arguments are required: --source"),
        (["no_such"], 2, "invalid choice: 'no_such'"),
        (["manifest", "--source", "x", "--valid_size", "2.5"], 2, "wanted a share"),
        (["manatts", "--source", "nowhere"], 1, "error: nowhere: no *.parquet here"),
        (["fleurs", "--source", "nowhere"], 1, "error: nowhere: train.tsv, dev.tsv"),
    ],
)
def test_prepare_corpus_wrong_words_fail(run, words, status, message):
    ended, _, errors = run("prepare_corpus", *words)
    assert ended == status
    assert message in errors


def test_unpack_archive_says_what_it_did(run, manifest, tmp_path):
    archive = tmp_path / "x.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(manifest, "m.tsv")
    status, out, _ = run("unpack_archive", archive, tmp_path / "out")
    assert (status, out) == (0, f"{archive}: unpacked to {tmp_path / 'out'}\n")
    assert (tmp_path / "out/m.tsv").read_bytes() == manifest.read_bytes()
    _, out, _ = run("unpack_archive", archive, tmp_path / "out")
    assert "was unpacked before" in out
    status, _, errors = run("unpack_archive", tmp_path / "no.zip", tmp_path / "b")
    assert status == 1 and "no such archive" in errors
