from espnet_vibevoice.jobs.failure import describe_failure


def test_describe_failure_shows_error_line_and_last_twenty(tmp_path):
    log = tmp_path / "x.3.log"
    lines = ["error: first", "error: the cause", *(f"line {i}" for i in range(40))]
    log.write_text("\n".join(lines) + "\n")
    report = describe_failure("run.pl", 3, 1, log).splitlines()
    assert report[0] == f"run.pl: job 3 failed with status 1, log: {log}"
    assert report[1] == "error: the cause"
    assert report[3:-1] == [f"line {i}" for i in range(20, 40)]


def test_describe_failure_finds_the_error_line_of_argparse(tmp_path):
    log = tmp_path / "x.1.log"
    error = "tts_train.py: error: unrecognized arguments: max_epochs"
    log.write_text("\n".join([error, *(f"line {i}" for i in range(20))]) + "\n")
    assert describe_failure("run.pl", 1, 2, log).splitlines()[1] == error


def test_describe_failure_without_log_says_so(tmp_path):
    report = describe_failure("slurm.pl", 1, 255, tmp_path / "x.log")
    assert "there is no log" in report
