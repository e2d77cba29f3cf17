"""The self-check names what fails and how to mend it."""

import json
from importlib.metadata import version

import pytest

from espnet_vibevoice import install_check
from espnet_vibevoice.bin import check_install
from espnet_vibevoice.install_check import (
    OPTIONAL,
    REQUIRED,
    Part,
    PartResult,
    check_all,
    check_optional,
    check_required,
    format_table,
    to_json,
)


@pytest.fixture
def broken_module(tmp_path, monkeypatch):
    """Make a module whose import fails as a native library does."""
    (tmp_path / "broken_part.py").write_text(
        "raise OSError('libcudart.so.13: cannot open shared object file')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "broken_part"


def make_results(*statuses: str) -> list[PartResult]:
    return [
        PartResult(f"part{i}", s, "1.0", "note", "mend it" if s == "failed" else "")
        for i, s in enumerate(statuses)
    ]


def test_check_required_present_reports_version():
    result = check_required(Part("numpy", ("numpy",)))
    assert (result.status, result.version) == ("ok", version("numpy"))


def test_check_required_torch_names_its_build():
    result = check_required(Part("torch", ("torch",)))
    assert result.detail.startswith(("CPU build", "CUDA", "HIP"))


def test_check_required_absent_fails_with_setup_command():
    result = check_required(Part("no-such-part", ("no_such_part",)))
    assert (result.status, result.version) == ("failed", "")
    assert "No module named 'no_such_part'" in result.detail
    assert result.mend == "make setup FORCE=1"


def test_check_required_broken_library_names_reinstall(broken_module):
    result = check_required(Part("numpy", (broken_module,)))
    assert result.status == "failed"
    assert "OSError: libcudart.so.13" in result.detail
    assert result.mend.endswith(f"--no-deps numpy=={version('numpy')}")


def test_check_required_dependency_absent_names_setup():
    result = check_required(Part("numpy", ("no_such_part",)))
    assert result.mend == "make setup FORCE=1"


def test_check_required_class_absent_fails_by_name():
    result = check_required(Part("numpy", ("json.NoSuchClass",)))
    assert result.detail == "ImportError: json has no NoSuchClass"


def test_check_optional_absent_does_not_fail():
    result = check_optional(Part("extra", ("no_such_part",), is_required=False))
    assert result.status == "absent"


def test_check_optional_present_is_not_imported(broken_module):
    result = check_optional(Part("extra", (broken_module,), is_required=False))
    assert result.status == "ok"


def test_check_optional_espeak_without_library_fails(tmp_path, monkeypatch):
    package = tmp_path / "espeakng_loader"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    part = next(p for p in OPTIONAL if p.name == "espeakng_loader")
    result = check_optional(part)
    assert result.status == "failed"
    assert "no espeak-ng library" in result.detail


def test_check_all_starts_with_python():
    results = check_all((Part("numpy", ("numpy",)),))
    assert [r.name for r in results] == ["python", "numpy"]


def test_parts_are_named_once_and_cover_the_needed_ones():
    names = [p.name for p in REQUIRED + OPTIONAL]
    assert len(names) == len(set(names))
    needed = {"torch", "torchaudio", "transformers", "espnet", "hazm", "kaldiio"}
    assert needed <= {p.name for p in REQUIRED}


def test_format_table_failure_shows_command_and_count():
    lines = format_table(make_results("ok", "failed", "absent")).splitlines()
    assert lines[0] == "ok      part0  1.0  note"
    assert lines[-2] == "mend part1: mend it"
    assert lines[-1] == "1 parts work, 1 failed, 1 optional absent"


@pytest.mark.parametrize(
    ("statuses", "is_ok"), [(("ok", "absent"), True), (("ok", "failed"), False)]
)
def test_to_json_status_decides_ok(statuses, is_ok):
    summary = to_json(make_results(*statuses))
    assert summary["ok"] is is_ok
    assert [p["status"] for p in summary["parts"]] == list(statuses)


def test_main_failure_returns_1_with_json_alone_on_stdout(monkeypatch, capsys):
    def check_noisily() -> list[PartResult]:
        print("a package that prints")
        return make_results("failed")

    monkeypatch.setattr(check_install, "check_all", check_noisily)
    assert check_install.main(["--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["ok"] is False
    assert captured.err == "a package that prints\n"


def test_main_success_returns_0_with_table(monkeypatch, capsys):
    monkeypatch.setattr(check_install, "check_all", lambda: make_results("ok"))
    assert check_install.main([]) == 0
    assert capsys.readouterr().out.endswith(
        "1 parts work, 0 failed, 0 optional absent\n"
    )


def test_import_faults_let_our_own_faults_through():
    assert not issubclass(ZeroDivisionError, install_check.IMPORT_FAULTS)
