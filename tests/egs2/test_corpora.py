"""The corpus recipes: local/data.sh on a small corpus of each layout, and the files."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_vibevoice.data.data_dir import check_disjoint, validate_data_dir
from espnet_vibevoice.data.kaldi import read_table

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/data/corpora"))
import corpus_layouts  # noqa: E402

RECIPES = {
    "manatts": "MANATTS",
    "commonvoice_fa": "COMMONVOICE_FA",
    "fleurs_fa": "FLEURS_FA",
    "parsigoo": "PARSIGOO",
    "persian_speech_corpus": "PERSIAN_SPEECH_CORPUS",
    "manifest": "MANIFEST",
}
LINKS = {
    "tts.sh": "../../TEMPLATE/tts1/tts.sh",
    "evaluate.sh": "../../TEMPLATE/tts1/evaluate.sh",
    "path.sh": "../../TEMPLATE/tts1/path.sh",
    "cmd.sh": "../../TEMPLATE/tts1/cmd.sh",
    "db.sh": "../../TEMPLATE/tts1/db.sh",
    "utils": "../../TEMPLATE/asr1/utils",
    "local/path.sh": "../../../mini_fa/tts1/local/path.sh",
    "conf/train.yaml": "../../../../conf/realtime_lora.yaml",
    "conf/decode.yaml": "../../../../conf/decode_realtime.yaml",
    "conf/score.yaml": "../../../../conf/score.yaml",
    "conf/slurm.conf": "../../../mini_fa/tts1/conf/slurm.conf",
}
FAKE_WGET = """#!/bin/sh
for word; do
    case "${word}" in --output-document=*) out=${word#*=} ;; esac
done
cp "${SERVER}/${word##*/}" "${out}"
echo "${word}" >>"${SERVER}/log"
"""
FAKE_HF = """#!/bin/sh
for word; do :; done
mkdir -p "${word}" && cp -R "${SERVER}/." "${word}"
"""


def folder_of(root: Path, name: str) -> Path:
    return root / "egs2" / name / "tts1"


@pytest.fixture
def tree(tmp_path) -> Path:
    """The parts of the repository that data.sh reads, in a folder of their own."""
    root = tmp_path / "tree"
    for name in ("TEMPLATE/tts1", "TEMPLATE/asr1", "mini_fa/tts1/local"):
        shutil.copytree(ROOT / "egs2" / name, root / "egs2" / name, symlinks=True)
    for name in RECIPES:
        folder = folder_of(root, name)
        (folder / "conf").mkdir(parents=True)
        shutil.copytree(
            folder_of(ROOT, name) / "local", folder / "local", symlinks=True
        )
        for link in ("path.sh", "cmd.sh", "db.sh", "utils"):
            (folder / link).symlink_to(LINKS[link])
    shutil.copytree(ROOT / "local", root / "local")
    return root


def run_data_sh(
    tree: Path, recipe: str, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if "SERVER" in variables:
        paths.insert(0, variables["SERVER"] + ".bin")
    env = {k: v for k, v in os.environ.items() if k not in RECIPES.values()}
    env |= {"PATH": ":".join(paths), "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["local/data.sh", *options],
        cwd=folder_of(tree, recipe),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def check_data(tree: Path, recipe: str, sizes: list[int]) -> None:
    """Check that there are valid sets of these sizes whose audio is there."""
    folder = folder_of(tree, recipe)
    sets = [folder / "data" / name for name in ("train", "valid", "test")]
    assert [validate_data_dir(path) for path in sets] == sizes
    check_disjoint(*sets)
    for path in sets:
        audio = read_table(path / "wav.scp").values()
        assert all((folder / place).is_file() for place in audio)
        assert read_table(path / "text.raw").keys() == read_table(path / "text").keys()


SIZES = ("--valid_size", "2", "--test_size", "2")


def make_manatts(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    return corpus_layouts.build_manatts(folder, 1), SIZES, [7, 2, 2]


def make_common_voice(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    corpus_layouts.build_common_voice(folder / "cv")
    archive = folder / "cv-corpus-25.0-2026-03-09-fa.tar.gz"
    subprocess.run(["tar", "-czf", archive, "-C", folder / "cv", "."], check=True)
    return archive, (), [4, 2, 2]


def make_fleurs(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    return corpus_layouts.build_fleurs(folder), (), [4, 2, 2]


def make_parsigoo(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    archive = folder / "datasets.zip"
    return (
        corpus_layouts.build_parsigoo(folder / "datasets", archive),
        SIZES,
        [8, 2, 2],
    )


def make_persian_speech_corpus(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    archive = folder / "persian-speech-corpus.zip"
    corpus = folder / "x"
    source = corpus_layouts.build_persian_speech_corpus(corpus, archive)
    return source, SIZES, [15, 2, 2]


def make_manifest(folder: Path) -> tuple[Path, tuple[str, ...], list[int]]:
    return corpus_layouts.build_jsonl(folder / "m"), SIZES, [8, 2, 2]


MAKERS = {
    "manatts": make_manatts,
    "commonvoice_fa": make_common_voice,
    "fleurs_fa": make_fleurs,
    "parsigoo": make_parsigoo,
    "persian_speech_corpus": make_persian_speech_corpus,
    "manifest": make_manifest,
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_data_sh_local_corpus_becomes_data_directories(tree, tmp_path, recipe):
    (tmp_path / "source").mkdir()
    source, options, sizes = MAKERS[recipe](tmp_path / "source")
    variables = {RECIPES[recipe]: str(source)}
    result = run_data_sh(tree, recipe, *options, **variables)
    assert result.returncode == 0, result.stderr
    check_data(tree, recipe, sizes)
    assert "Done in" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("recipe", ["parsigoo", "persian_speech_corpus", "fleurs_fa"])
def test_data_sh_fetches_what_it_may_fetch_once(tree, tmp_path, recipe):
    server = tmp_path / "server"
    server.mkdir()
    _, options, sizes = MAKERS[recipe](server)
    for path in list(server.rglob("*.tar.gz")):  # all files of a server in one folder
        path.rename(server / path.name)
    write_program(tmp_path / "server.bin/wget", FAKE_WGET)
    for _ in range(2):
        result = run_data_sh(tree, recipe, *options, SERVER=str(server))
        assert result.returncode == 0, result.stderr
        check_data(tree, recipe, sizes)
    fetched = (server / "log").read_text().split()
    assert len(fetched) == len(set(fetched)) == (6 if recipe == "fleurs_fa" else 1)
    assert all(url.startswith("https://") for url in fetched)


def test_data_sh_manatts_is_fetched_with_hf(tree, tmp_path):
    _, options, sizes = make_manatts(tmp_path / "server")
    write_program(tmp_path / "server.bin/hf", FAKE_HF)
    server = str(tmp_path / "server")
    result = run_data_sh(tree, "manatts", *options, SERVER=server)
    assert result.returncode == 0, result.stderr
    check_data(tree, "manatts", sizes)


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ("commonvoice_fa", "error: Common Voice asks you to accept its terms. Get"),
        ("manifest", "error: no data: set MANIFEST in db.sh"),
    ],
)
def test_data_sh_what_nobody_can_fetch_is_asked_for(tree, recipe, message):
    result = run_data_sh(tree, recipe)
    assert result.returncode == 1
    assert message in result.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_data_sh_wrong_use_is_refused(tree, recipe):
    result = run_data_sh(tree, recipe, "train")
    assert result.returncode == 2
    assert "got 'train', wanted options only. Usage:" in result.stderr
    result = run_data_sh(tree, recipe, **{RECIPES[recipe]: "nowhere"})
    assert result.returncode != 0
    assert "nowhere" in result.stderr
    assert not (folder_of(tree, recipe) / "data/train").exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_has_the_files_of_a_recipe(recipe):
    folder = folder_of(ROOT, recipe)
    assert {name: os.readlink(folder / name) for name in LINKS} == LINKS
    for name in set(LINKS) - {"conf/train.yaml"}:
        assert (folder / name).exists(), name
    run_sh = (folder / "run.sh").read_text(encoding="utf-8")
    assert run_sh.count("\n") <= 60
    assert "--cleaner persian" in run_sh
    variable = RECIPES[recipe]
    db_sh = (folder / "db.sh").read_text(encoding="utf-8")
    assert re.search(rf"^{variable}=\${{{variable}:-", db_sh, re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_run_sh_gives_options_of_the_driver(recipe):
    driver = (ROOT / "egs2/TEMPLATE/tts1/tts.sh").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z0-9_]+)=", driver, re.MULTILINE))
    run_sh = (folder_of(ROOT, recipe) / "run.sh").read_text(encoding="utf-8")
    given = set(re.findall(r"^    --([a-z0-9_]+) ", run_sh, re.MULTILINE))
    assert len(given) > 15 and given <= known


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_readme_tells_where_data_is_from_and_who_spoke(recipe):
    text = (folder_of(ROOT, recipe) / "README.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    wanted = ["Data", "How to get it", "Sets", "Consent", "Known faults", "Results"]
    assert titles == wanted
    assert RECIPES[recipe] in text and "Licence" in text
