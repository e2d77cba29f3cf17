"""local/data.sh of mini_fa: its steps, its options, what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCAL = ROOT / "egs2/mini_fa/tts1/local"
UTILS = ROOT / "egs2/TEMPLATE/asr1/utils"


@pytest.fixture
def recipe(tmp_path) -> Path:
    """A recipe folder with two sentences a set and a base maker that notes its call."""
    shutil.copytree(LOCAL, tmp_path / "local")
    for path in (tmp_path / "local/sentences").iterdir():
        lines = path.read_text(encoding="utf-8").split("\n")[:2]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    maker = "import sys; open('call', 'w').write(' '.join(sys.argv))\n"
    (tmp_path / "local/make_mini_base.py").write_text(maker)
    (tmp_path / "path.sh").write_text(". local/path.sh\n")
    (tmp_path / "utils").symlink_to(UTILS)
    return tmp_path


def run_data_sh(recipe: Path, *options: str) -> subprocess.CompletedProcess[str]:
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    return subprocess.run(
        ["local/data.sh", *options],
        cwd=recipe,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def read_times(recipe: Path) -> dict[str, int]:
    folders = (recipe / "data", recipe / "store")
    files = (path for folder in folders for path in folder.rglob("*.*"))
    return {str(path): path.stat().st_mtime_ns for path in files}


def test_data_sh_makes_data_and_base_and_repeats_nothing(recipe):
    options = ("--nj", "2", "--downloads", "store", "--seed", "5")
    first = run_data_sh(recipe, *options)
    assert first.returncode == 0, first.stderr
    assert "3 train, 2 valid, 2 test utterances" in first.stdout
    assert (recipe / "call").read_text() == (
        "local/make_mini_base.py --text data/train/text --wav_scp data/train/wav.scp "
        "--out store/mini_base --seed 5"
    )
    scp = (recipe / "data/test/wav.scp").read_text()
    assert scp.split()[1] == "store/mini_fa/wav/fa_f1_test_0001.wav"
    times = read_times(recipe)
    # wav.scp, text.raw, utterances.tsv, wavs
    assert len(times) == 3 + 3 + 1 + 7
    second = run_data_sh(recipe, *options)
    assert second.returncode == 0, second.stderr
    assert "0 spoken, 7 kept" in second.stderr
    assert read_times(recipe) == times


@pytest.mark.parametrize(
    ("options", "message"),
    [(("train",), "got 'train', wanted options only"), (("--no", "1"), "--no")],
)
def test_data_sh_unknown_arguments_fail(recipe, options, message):
    result = run_data_sh(recipe, *options)
    assert result.returncode != 0
    assert message in result.stdout.split("\n", 1)[1] + result.stderr
    assert not (recipe / "data").exists()


def test_data_sh_failing_step_stops_it(recipe):
    test = (recipe / "local/sentences/test.txt").read_bytes()
    (recipe / "local/sentences/train.txt").write_bytes(test)
    result = run_data_sh(recipe, "--nj", "2")
    assert result.returncode == 1
    assert "data/train has sentences of data/test" in result.stderr
    assert not (recipe / "call").exists()
