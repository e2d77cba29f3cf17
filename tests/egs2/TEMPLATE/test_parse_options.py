import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PARSE_OPTIONS = ROOT / "egs2" / "TEMPLATE" / "asr1" / "utils" / "parse_options.sh"
SCRIPT = f"""#!/usr/bin/env bash
set -euo pipefail
help_message="Usage: run.sh
  --nj <n>"
nj=4
stop_stage=9
skip_eval=false
tag=
Upper=1
. {PARSE_OPTIONS}
printf '%s\\n' "${{nj}}" "${{stop_stage}}" "${{skip_eval}}" "${{tag}}" "$@"
"""
DEFAULTS = ["4", "9", "false", ""]


def run(folder, *words):
    """Run a script with options; return status, lines and standard error."""
    (folder / "run.sh").write_text(SCRIPT)
    result = subprocess.run(
        ["bash", "run.sh", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout.split("\n")[:-1], result.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], DEFAULTS),
        (["--nj", "8"], ["8", "9", "false", ""]),
        (["--nj=8", "--stop-stage", "3"], ["8", "3", "false", ""]),
        (["--stop_stage=3", "--skip-eval=true"], ["4", "3", "true", ""]),
        (["--tag", "--max_epoch 1 $x"], ["4", "9", "false", "--max_epoch 1 $x"]),
        (["--tag=a=b", "--tag", ""], DEFAULTS),
        (["--nj", "8", "x", "--nj", "9"], ["8", "9", "false", "", "x", "--nj", "9"]),
        (["--", "--nj", "9"], [*DEFAULTS, "--nj", "9"]),
        (["", "x y"], [*DEFAULTS, "", "x y"]),
    ],
)
def test_parse_options_sets_variables_and_leaves_the_rest(tmp_path, words, expected):
    assert run(tmp_path, *words) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo", "1"], "unknown option --foo (see --help)"),
        (["--foo"], "unknown option --foo (see --help)"),
        (["--foo=1"], "unknown option --foo (see --help)"),
        (["--Upper", "2"], "unknown option --Upper (see --help)"),
        (["--a$(id)", "2"], "unknown option --a$(id) (see --help)"),
        (["-n", "2"], "unknown option -n (see --help)"),
        (["--nj"], "option --nj wants a value"),
        (["--config"], "option --config wants a value"),
        (["--config", "no.conf"], "option --config: no such file: no.conf"),
        (["--skip_eval", "1"], "option --skip_eval wants true or false, got '1'"),
        (["--skip-eval=True"], "option --skip-eval wants true or false, got 'True'"),
    ],
)
def test_parse_options_mistake_is_one_line_and_status_2(tmp_path, words, message):
    assert run(tmp_path, *words) == (2, [], f"run.sh: {message}\n")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--nj", "8", "--help"]])
def test_parse_options_help_prints_message(tmp_path, words):
    assert run(tmp_path, *words) == (0, ["Usage: run.sh", "  --nj <n>"], "")


@pytest.mark.parametrize("option", [["--config", "o.conf"], ["--config=o.conf"]])
def test_parse_options_config_gives_way_to_command_line(tmp_path, option):
    (tmp_path / "o.conf").write_text("# mine\n\nnj=2\nstop-stage=5\ntag=\"a 'b'\"\n")
    expected = ["8", "5", "false", "a 'b'"]
    assert run(tmp_path, "--nj", "8", *option) == (0, expected, "")
    assert run(tmp_path, *option, "--nj", "8") == (0, expected, "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("foo=1", "unknown option --foo (o.conf:2) (see --help)"),
        ("skip_eval=1", "option --skip_eval (o.conf:2) wants true or false, got '1'"),
        ("rm -rf x", "o.conf:2: want name=value, got 'rm -rf x'"),
    ],
)
def test_parse_options_bad_config_line_is_named(tmp_path, line, message):
    (tmp_path / "o.conf").write_text(f"nj=2\n{line}\n")
    assert run(tmp_path, "--config", "o.conf") == (2, [], f"run.sh: {message}\n")
