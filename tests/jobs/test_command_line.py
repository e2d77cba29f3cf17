import subprocess

import pytest

from espnet_vibevoice.jobs.command_line import parse_command_line


def test_parse_options_before_and_after_array():
    words = "--max-jobs-run 2 JOB=1:4 --gpu=1 log/x.JOB.log echo JOB --gpu 3".split()
    array = parse_command_line(words)
    assert array.options == {"max_jobs_run": "2", "gpu": "1"}
    assert list(array.numbers) == [1, 2, 3, 4]
    assert str(array.log_path(3)) == "log/x.3.log"
    assert array.shell_command(3) == "echo 3 --gpu 3"


def test_parse_single_job_leaves_the_word_job_alone():
    array = parse_command_line(["--name", "tts", "JOB.log", "echo", "JOB"])
    assert list(array.numbers) == [1]
    assert array.log_path(1).name == "JOB.log"
    assert array.shell_command(1) == "echo JOB"


def test_parse_one_number_is_that_job():
    assert list(parse_command_line(["N=3", "x.N.log", "true"]).numbers) == [3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], r"Want \[options\] \[JOB=1:N\] LOG COMMAND"),
        (["JOB=1:2", "x.JOB.log"], r"Want \[options\]"),
        (["JOB=1:2", "x.log", "true"], "Log 'x.log' must contain JOB"),
        (["JOB=2:1", "x.JOB.log", "true"], "JOB=2:1: numbers begin at 1"),
        (["JOB=0:1", "x.JOB.log", "true"], "JOB=0:1: numbers begin at 1"),
        (["--gpu"], "Option --gpu wants a value"),
    ],
)
def test_parse_malformed_raises(words, message):
    with pytest.raises(ValueError, match=message):
        parse_command_line(words)


def test_int_option_not_a_number_raises():
    array = parse_command_line(["--gpu", "two", "x.log", "true"])
    with pytest.raises(ValueError, match="--gpu wants a whole number, got 'two'"):
        array.int_option("gpu", 0)


def test_shell_command_words_arrive_as_they_are():
    words = ["a b", "$HOME", "*", "", "it's", 'say "x"', "سلام", r"\d+(?P<n>x)", "a|b"]
    array = parse_command_line(["x.log", "printf", r"%s\n", *words])
    said = subprocess.run(
        ["bash", "-c", array.shell_command(1)], capture_output=True, check=True
    )
    assert said.stdout.decode().split("\n")[:-1] == words


def test_shell_command_operators_keep_their_meaning(tmp_path):
    out = str(tmp_path / "out")
    array = parse_command_line(["x.log", "echo", "b a", "|", "tr", "a", "c", ">", out])
    subprocess.run(["bash", "-c", array.shell_command(1)], check=True)
    assert (tmp_path / "out").read_text() == "b c\n"
