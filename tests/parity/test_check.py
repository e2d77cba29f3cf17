"""check.py on folders of other sizes, spoiled ones and broken ones."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

# The scripts beside this file are not a package.
sys.path.insert(0, str(Path(__file__).resolve().parent))

import check
from make_fixture import make_folder
from parity_folder import load_folder, read_windows

from espnet_vibevoice.errors import run_command

DATA = Path(__file__).resolve().parent / "data" / "realtime"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Make a folder of other sizes once; tests copy it."""
    folder = tmp_path_factory.mktemp("parity") / "made"
    with torch.no_grad():
        make_folder(folder, seed=1)
    return folder


@pytest.fixture
def spoilt(made, tmp_path) -> Path:
    """Give a copy that a test may change; the checkpoint is not copied."""
    folder = tmp_path / "spoilt"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("checkpoint"))
    os.symlink(made / "checkpoint", folder / "checkpoint")
    return folder


def change_io(folder: Path, changes: dict[str, torch.Tensor | None]) -> None:
    """Replace tensors of a folder, or drop those that are None."""
    path = folder / "io.safetensors"
    io = load_file(path) | changes
    save_file({key: value for key, value in io.items() if value is not None}, path)


def run_check(folder: Path, monkeypatch, capsys) -> tuple[int, str, str]:
    """Run the command; gives exit status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["check.py", str(folder)])
    with pytest.raises(SystemExit) as stopped:
        run_command(check.main)
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


def list_failed(output: str) -> list[str]:
    """Names of the rows that fail."""
    lines = [line for line in output.splitlines() if "  FAIL" in line]
    return [line.split("  ")[0].rstrip() for line in lines]


def test_check_of_other_sizes_passes(made, monkeypatch, capsys):
    status, output, _ = run_check(made, monkeypatch, capsys)
    assert (status, list_failed(output)) == (0, [])
    assert " 0 fail; largest error" in output.splitlines()[-1]


def test_check_of_a_folder_without_guidance_passes(tmp_path, monkeypatch, capsys):
    with torch.no_grad():
        make_folder(tmp_path / "made", seed=2)
    assert load_folder(tmp_path / "made").settings.cfg_scale == 1.0
    status, output, _ = run_check(tmp_path / "made", monkeypatch, capsys)
    assert (status, list_failed(output)) == (0, [])


def test_check_of_a_folder_with_trailing_text_passes(tmp_path, monkeypatch, capsys):
    with torch.no_grad():
        make_folder(tmp_path / "made", seed=9)
    assert load_folder(tmp_path / "made").settings.trailing_text > 0
    status, output, _ = run_check(tmp_path / "made", monkeypatch, capsys)
    assert (status, list_failed(output)) == (0, [])


def test_make_folder_over_an_existing_one_fails(made):
    with pytest.raises(FileExistsError, match="exists. Give the name of a new folder"):
        make_folder(made, seed=1)


def test_made_folder_has_other_sizes_than_the_fixture(made):
    config = load_folder(made).model.config
    fixture = load_folder(DATA).model.config
    assert config.hidden_size != fixture.hidden_size
    assert config.latent_dim != fixture.latent_dim
    assert config.hop_samples != fixture.hop_samples


@pytest.mark.parametrize("key", ["tts_b.inputs_embeds", "sched.velocity"])
def test_check_with_a_wrong_value_fails_that_row_alone(
    spoilt, key, monkeypatch, capsys
):
    wrong = load_file(spoilt / "io.safetensors")[key]
    wrong.flatten()[-1] += 3e-4
    change_io(spoilt, {key: wrong})
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert (status, list_failed(output)) == (1, [key])


def test_check_with_nan_fails(spoilt, monkeypatch, capsys):
    wrong = load_file(spoilt / "io.safetensors")["head.output"]
    wrong.flatten()[0] = torch.nan
    change_io(spoilt, {"head.output": wrong})
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert (status, list_failed(output)) == (1, ["head.output"])


def test_check_with_an_unknown_key_fails_as_unchecked(spoilt, monkeypatch, capsys):
    change_io(spoilt, {"new.output": torch.zeros(2)})
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert (status, list_failed(output)) == (1, ["new.output"])
    assert "FAIL unchecked" in output


@pytest.mark.parametrize("key", ["gen.waveform", "voice.lm.key_cache.0"])
def test_check_without_an_output_fails_that_row(spoilt, key, monkeypatch, capsys):
    change_io(spoilt, {key: None})
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert status == 1
    assert key in list_failed(output)
    assert "FAIL not in io.safetensors" in output


def test_check_with_a_wrong_shape_says_both_shapes(spoilt, monkeypatch, capsys):
    change_io(spoilt, {"tts_b.hidden": torch.zeros(1, 3, 2)})
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert (status, list_failed(output)) == (1, ["tts_b.hidden"])
    assert "wanted (1, 3, 2)" in output


def test_check_with_a_wrong_weight_fails(spoilt, made, monkeypatch, capsys):
    (spoilt / "checkpoint").unlink()
    shutil.copytree(made / "checkpoint", spoilt / "checkpoint")
    path = spoilt / "checkpoint" / "model.safetensors"
    weights = load_file(path)
    weights["model.acoustic_connector.fc2.bias"] += 0.01
    save_file(weights, path)
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert status == 1
    assert {"tts.connector_out", "gen.latents"} <= set(list_failed(output))
    assert "head.output" not in list_failed(output)


def test_check_without_the_folder_says_so_in_one_line(tmp_path, monkeypatch, capsys):
    status, output, error = run_check(tmp_path / "none", monkeypatch, capsys)
    assert (status, output) == (1, "")
    assert "no checkpoint/config.json, no io.safetensors, no meta.json" in error
    assert error.count("\n") == 1


def test_check_without_inputs_names_them(spoilt, monkeypatch, capsys):
    change_io(spoilt, {"gen.noise": None, "sched.x0": None})
    status, output, error = run_check(spoilt, monkeypatch, capsys)
    assert (status, output) == (1, "")
    assert "2 inputs missing: gen.noise; sched.x0" in error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("io.safetensors", "text", "io.safetensors: not a safetensors file"),
        ("meta.json", "{", "meta.json: not valid JSON"),
        ("meta.json", "[]", "meta.json: got list, wanted an object"),
    ],
)
def test_check_with_a_broken_file_names_it(
    spoilt, name, content, message, monkeypatch, capsys
):
    (spoilt / name).write_text(content, encoding="utf-8")
    status, output, error = run_check(spoilt, monkeypatch, capsys)
    assert (status, output) == (1, "")
    assert message in error


def test_check_without_tokenizer_takes_the_id_from_meta(spoilt, monkeypatch, capsys):
    shutil.rmtree(spoilt / "tokenizer")
    status, output, _ = run_check(spoilt, monkeypatch, capsys)
    assert (status, list_failed(output)) == (0, [])
    assert "[tokenizer]" not in output


def test_compare_of_large_values_allows_their_spacing():
    large = torch.tensor([20000.0])
    assert check.compare("sigma", large * (1 + 1.2e-7), large).is_passed
    assert not check.compare("sigma", large * (1 + 1e-5), large).is_passed


def test_compare_of_integers_allows_nothing():
    ids = torch.tensor([1, 2])
    assert check.compare("ids", ids, ids).is_passed
    assert not check.compare("ids", ids + 1, ids).is_passed


@pytest.mark.parametrize(
    ("types", "windows"),
    [([1, 1, 1, 0, 0, 1, 0], (3, 2)), ([1, 1, 0, 0, 0], (5, 6))],
)
def test_read_windows_gives_those_of_the_sequence(types, windows):
    assert read_windows(torch.tensor([types])) == windows
