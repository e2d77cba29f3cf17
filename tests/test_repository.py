"""What holds for the tree as a whole: sizes, paths, commands, YAML, scripts."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 1_000_000
# Folders that tools and recipes make.
MADE_ANYWHERE = {
    ".git",
    "__pycache__",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
}
MADE_AT_TOP = {"build", "dist"}
MADE_BY_RECIPES = {"data", "dump", "exp", "downloads"}
MACHINE_PATH = re.compile(r"(?<![\w.$}*-])/(?:work|root|home|tmp|opt|mnt)/\w")
REGISTRY_HOST = re.compile(
    r"pypi[.](?:org|python)|python[h]osted|download[.]pytorch|--index[-]url"
)
# How ESPnet lays the shared parts of a recipe; the targets may be absent until linked.
SHARED_LINKS = {
    "tts.sh": {"../../TEMPLATE/tts1/tts.sh"},
    "evaluate.sh": {"../../TEMPLATE/tts1/evaluate.sh"},
    "path.sh": {"../../TEMPLATE/tts1/path.sh"},
    "db.sh": {"../../TEMPLATE/tts1/db.sh", "../../TEMPLATE/asr1/db.sh"},
    "scripts": {"../../TEMPLATE/asr1/scripts"},
    "pyscripts": {"../../TEMPLATE/asr1/pyscripts"},
    "steps": {"../../../tools/kaldi/egs/wsj/s5/steps", "../../TEMPLATE/asr1/steps"},
    "utils": {"../../../tools/kaldi/egs/wsj/s5/utils", "../../TEMPLATE/asr1/utils"},
}


def is_made(folder: Path) -> bool:
    """Tell whether a folder is made by a tool or a recipe, not part of the tree."""
    parts = folder.relative_to(ROOT).parts
    if parts[-1] in MADE_ANYWHERE or parts[-1].endswith(".egg-info"):
        return True
    if (folder / "pyvenv.cfg").exists() or (
        len(parts) == 1 and parts[0] in MADE_AT_TOP
    ):
        return True
    return len(parts) == 4 and parts[0] == "egs2" and parts[3] in MADE_BY_RECIPES


def list_files() -> list[Path]:
    """List the files of the tree, symbolic links left out."""
    files = []
    for folder, subfolders, names in os.walk(ROOT):
        here = Path(folder)
        subfolders[:] = sorted(s for s in subfolders if not is_made(here / s))
        files += [here / n for n in sorted(names) if not (here / n).is_symlink()]
    return files


FILES = list_files()
COMMANDS = sorted(p.stem for p in (ROOT / "espnet_vibevoice" / "bin").glob("[!_]*.py"))
SCRIPTS = [p for p in FILES if p.suffix == ".sh" or p == ROOT / ".ci" / "run"]
YAML_FILES = [
    p
    for p in FILES
    if p.suffix in (".yaml", ".yml")
    and p.relative_to(ROOT).parts[0] in ("conf", "egs2")
]
RECIPES = sorted(p.parent for p in (ROOT / "egs2").glob("*/tts1/run.sh"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def find_in_text(pattern: re.Pattern[str]) -> list[str]:
    """Find a pattern in all text files; gives ``file:line: text``."""
    hits = []
    for path in FILES:
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if pattern.search(line):
                hits.append(f"{name_of(path)}:{number}: {line.strip()[:100]}")
    return hits


def test_files_none_is_over_1_megabyte():
    large = {name_of(p): p.stat().st_size for p in FILES}
    assert {n: s for n, s in large.items() if s > MAX_BYTES} == {}


def test_text_files_name_no_machine_path():
    assert find_in_text(MACHINE_PATH) == []


def test_text_files_name_no_registry_host():
    assert find_in_text(REGISTRY_HOST) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_command_help_exits_0_with_usage(command, monkeypatch, capsys):
    module = importlib.import_module(f"espnet_vibevoice.bin.{command}")
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("usage:")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_ends_with_run_command(command):
    source = (ROOT / "espnet_vibevoice" / "bin" / f"{command}.py").read_text("utf-8")
    assert source.endswith('\n\nif __name__ == "__main__":\n    run_command(main)\n')


@pytest.mark.parametrize("path", YAML_FILES, ids=name_of)
def test_yaml_file_holds_what_its_reader_wants(path):
    kind = list if path.name == "versa.yaml" else dict  # VERSA wants a list of metrics
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), kind)


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_script_is_valid_bash(script):
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_script_with_shebang_is_executable(script):
    has_shebang = script.read_bytes().startswith(b"#!")
    assert not has_shebang or os.access(script, os.X_OK)


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_recipe_links_are_laid_as_espnet_lays_them(recipe):
    links = {p.name: os.readlink(p) for p in recipe.iterdir() if p.is_symlink()}
    assert {"tts.sh", "path.sh"} <= links.keys()
    wrong = {n: t for n, t in links.items() if t not in SHARED_LINKS.get(n, {t})}
    assert wrong == {}
    assert not [n for n, target in links.items() if os.path.isabs(target)]


def test_lists_of_this_module_found_their_files():
    assert {"check_install", "mend_upstream"} <= set(COMMANDS)
    assert ROOT / "local" / "setup_env.sh" in SCRIPTS
    assert YAML_FILES and RECIPES
