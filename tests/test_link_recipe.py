"""local/link_recipe.sh: what it lays into an ESPnet checkout, and what it refuses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MINI = ROOT / "egs2/mini_fa/tts1"
RECIPE = "egs2/mini_fa/tts1"
SHARED = {
    "asr1": ["db.sh", "scripts", "pyscripts", "utils", "steps"],
    "tts1": ["tts.sh", "path.sh", "sid"],
}
NEW = 'log "Stage 8: Decoding: x"\nlog "Stage 10: Pack model: x"\n'
OLD = 'log "Stage 7: Decoding: x"\nlog "Stage 8: Pack model: x"\n'


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The parts of an ESPnet checkout that a recipe needs, almost empty."""
    root = tmp_path / "espnet"
    template = root / "egs2/TEMPLATE"
    for folder in ("asr1/scripts", "asr1/pyscripts", "asr1/utils", "asr1/steps"):
        (template / folder).mkdir(parents=True)
    (template / "tts1/sid").mkdir(parents=True)
    (template / "tts1/conf").mkdir()
    (root / "tools").mkdir()
    for name, text in {
        "egs2/TEMPLATE/asr1/db.sh": "",
        "egs2/TEMPLATE/tts1/tts.sh": NEW,
        "egs2/TEMPLATE/tts1/path.sh": ". ../../../tools/extra_path.sh\n",
        "egs2/TEMPLATE/tts1/cmd.sh": "cmd_backend=local\n",
        "egs2/TEMPLATE/tts1/conf/slurm.conf": "of the checkout\n",
        "tools/extra_path.sh": "",
    }.items():
        (root / name).write_text(text)
    return root


@pytest.fixture
def recipe(tmp_path) -> Path:
    """A recipe of another corpus, in a tree of its own."""
    folder = tmp_path / "ours/egs2/other/tts1"
    (folder / "conf/tuning").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "run.sh").write_text("./tts.sh\n")
    return folder


def link(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [ROOT / "local/link_recipe.sh", *arguments],
        env={**os.environ, "PATH": paths, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Time of the last change and the link's target or the text, of every entry."""
    return {
        str(path): (
            path.lstat().st_mtime_ns,
            os.readlink(path) if path.is_symlink() else path.read_text(),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_link_recipe_lays_links_of_espnet_and_ours(checkout):
    result = link(checkout)
    assert (result.returncode, result.stderr) == (0, "")
    laid = checkout / RECIPE
    for part, names in SHARED.items():
        for name in names:
            assert os.readlink(laid / name) == f"../../TEMPLATE/{part}/{name}"
            assert (laid / name).samefile(checkout / "egs2/TEMPLATE" / part / name)
    for name in ("run.sh", "local", "README.md", "conf/train.yaml", "conf/decode.yaml"):
        assert (laid / name).is_symlink()
        assert (laid / name).samefile(MINI / name)
    assert not (laid / "cmd.sh").is_symlink()
    assert (laid / "cmd.sh").read_text() == "cmd_backend=local\n"
    assert (laid / "conf/slurm.conf").read_text() == "of the checkout\n"
    own = {"run.sh", "local", "README.md", "conf", "cmd.sh"}
    assert {path.name for path in laid.iterdir()} == own.union(*SHARED.values())


def test_link_recipe_repeated_changes_nothing(checkout):
    assert link(checkout).returncode == 0
    (checkout / RECIPE / "cmd.sh").write_text("cmd_backend=slurm\n")
    before = snapshot(checkout)
    result = link(checkout)
    assert result.returncode == 0
    assert "files laid: 0" in result.stdout
    assert snapshot(checkout) == before


def test_link_recipe_repeated_adds_what_is_new(checkout, recipe):
    assert link(checkout, recipe).returncode == 0
    (recipe / "conf/train.yaml").write_text("seed: 0\n")
    result = link(checkout, recipe)
    assert "files laid: 1" in result.stdout
    laid = checkout / "egs2/other/tts1/conf"
    assert (laid / "train.yaml").read_text() == "seed: 0\n"
    assert (laid / "tuning").samefile(recipe / "conf/tuning")


@pytest.mark.parametrize(("stages", "decoding", "packing"), [(NEW, 8, 10), (OLD, 7, 8)])
def test_link_recipe_says_what_to_run_next(checkout, stages, decoding, packing):
    (checkout / "egs2/TEMPLATE/tts1/tts.sh").write_text(stages)
    output = link(checkout).stdout
    assert f"Decoding is stage {decoding} and packing stage {packing} here" in output
    assert f"    cd {checkout}/{RECIPE}\n" in output
    assert f"    ./run.sh --stage 1 --stop-stage {decoding}\n" in output


@pytest.mark.parametrize("missing", ["asr1/utils", "tts1/tts.sh", "tts1/cmd.sh"])
def test_link_recipe_no_checkout_is_refused(checkout, missing):
    path = checkout / "egs2/TEMPLATE" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = link(checkout)
    assert result.returncode == 1
    assert f"is no ESPnet checkout, it lacks egs2/TEMPLATE/{missing}. Get" in (
        result.stderr
    )
    assert not (checkout / "egs2/mini_fa").exists()


def test_link_recipe_own_tree_is_refused():
    result = link(ROOT)
    assert result.returncode == 1
    assert f"{ROOT} is no ESPnet checkout" in result.stderr


def test_link_recipe_unknown_stages_are_refused(checkout):
    (checkout / "egs2/TEMPLATE/tts1/tts.sh").write_text("echo\n")
    result = link(checkout)
    assert result.returncode == 1
    assert "has no stage called Decoding or Pack" in result.stderr
    assert not (checkout / "egs2/mini_fa").exists()


def test_link_recipe_of_espnet_is_not_overwritten(checkout):
    laid = checkout / RECIPE
    laid.mkdir(parents=True)
    (laid / "run.sh").write_text("theirs\n")
    (laid / "tts.sh").symlink_to("elsewhere")
    before = snapshot(checkout)
    result = link(checkout)
    assert result.returncode == 1
    assert "has its own run.sh tts.sh, which would have to be links" in result.stderr
    assert snapshot(checkout) == before


def test_link_recipe_no_recipe_is_refused(checkout, recipe):
    (recipe / "run.sh").unlink()
    result = link(checkout, recipe)
    assert result.returncode == 1
    assert "is no recipe, it lacks run.sh" in result.stderr
    assert not (checkout / "egs2/other").exists()


def test_link_recipe_python_without_package_warns(checkout):
    bin_dir = checkout / "tools/bin"
    bin_dir.mkdir()
    (bin_dir / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bin_dir / "python3").chmod(0o755)
    text = f"export PATH={bin_dir}:$PATH\n"
    (checkout / "tools/extra_path.sh").write_text(text)
    result = link(checkout)
    assert result.returncode == 0
    assert "leads to a Python without espnet_vibevoice: activate" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "Usage:"),
        (("--help",), 2, "Usage:"),
        (("a", "b", "c"), 2, "Usage:"),
        (("nowhere",), 1, "no such folder: nowhere"),
        ((".", "nothing"), 1, "no such recipe: nothing"),
    ],
)
def test_link_recipe_bad_arguments_fail(arguments, status, message):
    result = link(*arguments)
    assert result.returncode == status
    assert message in result.stderr
