"""The recogniser of the mini corpus: a few steps of training, all stages, twice."""

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.recipe, pytest.mark.slow]

BY_HAND = " --sentences ../tts1/local/sentences"
FEW_STEPS = (
    "--max_epoch 1 --num_iters_per_epoch 3 --scheduler_conf total_steps=3 "
    "--batch_bins 200000 --encoder_conf num_blocks=1 --encoder_conf output_size=16 "
    "--encoder_conf linear_units=16"
)


def call_asr(recipe, *options):
    """Run ``asr1/run.sh`` beside a recipe that the fixtures give."""
    return subprocess.run(
        ["./run.sh", "--nj", "1", "--num_threads", "1", *options],
        cwd=recipe.folder.parent / "asr1",
        env=recipe.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
        check=False,
    )


def run_asr(recipe, *options):
    """Run it; it must go well."""
    result = call_asr(recipe, *options)
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture
def asr_recipe(new_recipe):
    """Copy the recogniser's recipe beside a mini recipe of four sentences."""
    source = Path(__file__).resolve().parents[2]
    shutil.copytree(
        source / "egs2" / "mini_fa" / "asr1",
        new_recipe.folder.parent / "asr1",
        symlinks=True,
        ignore=shutil.ignore_patterns("data", "dump", "exp", "downloads"),
    )
    return new_recipe


def test_run_asr_trains_scores_and_repeats_nothing(asr_recipe):
    folder = asr_recipe.folder.parent / "asr1"
    options = (
        "--train_args",
        FEW_STEPS,
        "--local_data_opts",
        "--utterances 6" + BY_HAND,
    )
    options += ("--test_sets", "test")
    output = run_asr(asr_recipe, *options)
    assert "Successfully finished" in output.splitlines()[-1]
    assert "|test|8|" in output
    trained = {
        path: path.stat().st_mtime_ns
        for path in (folder / "exp").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    again = run_asr(asr_recipe, *options)
    assert again.count("is up to date") == 6
    assert trained.items() <= {p: p.stat().st_mtime_ns for p in trained}.items()
    result = call_asr(asr_recipe, *options, "--num_threads", "2", "--stage", "4")
    assert result.returncode == 1
    assert "exp/asr_mini was trained with other data or options" in result.stdout
    assert trained.items() <= {p: p.stat().st_mtime_ns for p in trained}.items()


def test_run_asr_wrong_argument_fails(asr_recipe):
    result = subprocess.run(
        ["./run.sh", "more"],
        cwd=asr_recipe.folder.parent / "asr1",
        env=asr_recipe.environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 2
    assert "no positional arguments are taken: more" in result.stderr
