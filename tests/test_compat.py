"""The decisions of the installer: torchaudio's route, placeholders."""

import importlib.util
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from espnet_vibevoice import compat


def load_placeholder(folder: Path):
    spec = importlib.util.spec_from_file_location("ci_sdr", folder / "ci_sdr.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("cuda", "routes"), [(None, ["pure"]), ("12.8", ["wheel", "pure"])]
)
def test_choose_torchaudio_routes_by_build_orders_them(cuda, routes):
    assert compat.choose_torchaudio_routes(cuda) == routes


def test_torchaudio_pip_options_wheel_takes_the_linux_wheel():
    options = compat.torchaudio_pip_options("wheel", "site")
    assert options == ["--no-deps", compat.TORCHAUDIO]


def test_torchaudio_pip_options_pure_writes_into_site_packages():
    options = compat.torchaudio_pip_options("pure", "site")
    assert options[options.index("--target") + 1] == "site"
    assert options[options.index("--platform") + 1] == "win_amd64"
    assert "--no-deps" in options and options[-1] == compat.TORCHAUDIO


def test_torchaudio_pip_options_unknown_route_raises():
    with pytest.raises(ValueError, match="got 'conda', wanted wheel or pure"):
        compat.torchaudio_pip_options("conda", "site")


def test_imports_cleanly_tells_present_from_absent():
    assert compat.imports_cleanly("json")
    assert not compat.imports_cleanly("no_such_module_here")


def test_run_pip_failure_raises_with_arguments():
    with pytest.raises(RuntimeError, match="pip no-such-command: status"):
        compat.run_pip("no-such-command")


@pytest.mark.parametrize(
    ("works_after", "cuda", "result", "calls"),
    [
        (0, "12.8", "kept", []),
        (1, "12.8", "wheel", ["wheel"]),
        (2, "12.8", "pure", ["wheel", "pure"]),
        (1, None, "pure", ["pure"]),
    ],
)
def test_install_torchaudio_takes_first_route_that_imports(
    monkeypatch, works_after, cuda, result, calls
):
    installed = []

    def record(*arguments: str) -> None:
        if arguments[0] == "install":
            installed.append("pure" if "--platform" in arguments else "wheel")

    monkeypatch.setattr(compat, "run_pip", record)
    monkeypatch.setattr(
        compat, "imports_cleanly", lambda module: len(installed) >= works_after
    )
    assert compat.install_torchaudio(cuda) == result
    assert installed == calls


def test_install_torchaudio_no_route_imports_raises(monkeypatch):
    monkeypatch.setattr(compat, "run_pip", lambda *arguments: None)
    monkeypatch.setattr(compat, "imports_cleanly", lambda module: False)
    with pytest.raises(RuntimeError, match=r"CUDA 12\.8\), tried wheel, pure"):
        compat.install_torchaudio("12.8")


def test_write_nltk_placeholders_twice_writes_private_empty_archives_once(tmp_path):
    written = compat.write_nltk_placeholders(str(tmp_path))
    assert len(written) == len(compat.NLTK_ARCHIVES)
    for archive in written:
        assert zipfile.ZipFile(archive).namelist() == []
        for path in (archive, archive.parent, archive.parent.parent):
            assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    assert compat.write_nltk_placeholders(str(tmp_path)) == []


def test_write_nltk_placeholders_real_data_is_kept(tmp_path):
    archive = tmp_path / "nltk_data" / compat.NLTK_ARCHIVES[0]
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"real data")
    assert archive not in compat.write_nltk_placeholders(str(tmp_path))
    assert archive.read_bytes() == b"real data"


def test_write_ci_sdr_placeholder_absent_writes_a_module_that_explains(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: None)
    assert compat.write_ci_sdr_placeholder(str(tmp_path)) == tmp_path / "ci_sdr.py"
    monkeypatch.undo()
    with pytest.raises(AttributeError, match="ci_sdr.pt: this is a placeholder"):
        load_placeholder(tmp_path).pt  # noqa: B018


def test_write_ci_sdr_placeholder_present_writes_nothing(tmp_path, monkeypatch):
    spec = importlib.util.find_spec("json")
    monkeypatch.setattr(compat.importlib.util, "find_spec", lambda name: spec)
    assert compat.write_ci_sdr_placeholder(str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


def test_compat_imports_standard_library_only():
    source = Path(compat.__file__).read_text(encoding="utf-8")
    names = {
        line.split()[1].split(".")[0]
        for line in source.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert names and names <= sys.stdlib_module_names
