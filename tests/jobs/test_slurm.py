"""The scheduler is a stand-in: ``sbatch`` runs the tasks of the array right away."""

import os

import pytest

from espnet_vibevoice.jobs.command_line import parse_command_line
from espnet_vibevoice.jobs.slurm import LOST_STATUS, run_slurm

SBATCH = """#!/usr/bin/env bash
printf '%s\\n' "$@" > sbatch.args
first=1; last=0
for arg in "$@"; do
    case "${arg}" in
        --array=*) range="${arg#--array=}"; range="${range%\\%*}"
                   first="${range%-*}"; last="${range#*-}" ;;
        --output=*) out="${arg#--output=}" ;;
    esac
    script="${arg}"
done
if [ "${last}" = 0 ]; then
    bash "${script}" >> "${out}" 2>&1 &
fi
for ((task = first; task <= last; task++)); do
    SLURM_ARRAY_TASK_ID=${task} bash "${script}" >> "${out}" 2>&1 &
done
echo "Submitted batch job 4711"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Working folder with a fake sbatch, squeue and scancel on the PATH."""
    make_tool(tmp_path, "sbatch", SBATCH)
    make_tool(tmp_path, "squeue", "#!/bin/sh\necho 4711\n")
    make_tool(tmp_path, "scancel", '#!/bin/sh\necho "$1" > cancelled\n')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_tool(folder, name, content):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)


def run(*words, **options):
    options = {"poll_sec": 0.02, "queue_check_sec": 0.05} | options
    return run_slurm(parse_command_line(list(words)), **options)


def test_run_slurm_success_runs_each_task_with_its_log(cluster):
    words = ("--max_jobs_run", "2", "--time", "1:00", "JOB=2:4", "log/x.JOB.log")
    assert run(*words, "echo", "it's JOB") == {}
    for number in (2, 3, 4):
        lines = (cluster / "log" / f"x.{number}.log").read_text().splitlines()
        assert lines[3] == f"it's {number}"
        assert lines[-1].startswith("# Ended (code 0)")
    args = (cluster / "sbatch.args").read_text().splitlines()
    assert "--array=2-4%2" in args
    assert args[args.index("--time") + 1] == "1:00"
    assert args[args.index("--job-name") + 1] == "x"
    assert not (cluster / "cancelled").exists()


def test_run_slurm_single_job_gets_the_environment_of_path_sh(cluster):
    (cluster / "path.sh").write_text("export FROM_PATH_SH=yes\n")
    assert run("train.log", "bash", "-c", "echo $FROM_PATH_SH") == {}
    assert (cluster / "train.log").read_text().splitlines()[3] == "yes"
    assert "--array" not in (cluster / "sbatch.args").read_text()


def test_run_slurm_failure_cancels_the_rest(cluster):
    script = "[ JOB != 2 ] || exit 5; sleep 0.5"
    assert run("JOB=1:3", "log/x.JOB.log", "bash", "-c", script) == {2: 5}
    assert (cluster / "cancelled").read_text() == "4711\n"


def test_run_slurm_job_that_vanished_is_a_failure(cluster):
    make_tool(cluster, "sbatch", "#!/bin/sh\necho Submitted batch job 12\n")
    make_tool(cluster, "squeue", "#!/bin/sh\nexit 0\n")
    assert run("JOB=1:2", "log/x.JOB.log", "true") == {1: LOST_STATUS}


def test_run_slurm_status_of_an_earlier_run_does_not_count(cluster):
    assert run("JOB=1:2", "log/x.JOB.log", "true") == {}
    assert run("JOB=1:2", "log/x.JOB.log", "false") in ({1: 1}, {2: 1})


def test_run_slurm_refused_jobs_raise_with_the_reason(cluster):
    make_tool(cluster, "sbatch", "#!/bin/sh\necho invalid partition >&2; exit 1\n")
    with pytest.raises(RuntimeError, match=r"refused the jobs \(status 1\): invalid p"):
        run("x.log", "true")


def test_run_slurm_task_out_of_time_is_a_failure_at_once(cluster):
    # Slurm ends a task with SIGTERM; the parent of the job is the task.
    script = "kill -TERM $PPID; sleep 90"
    assert run("x.log", "bash", "-c", f"{script}; true") == {1: 143}
    assert "# Ended (code 143)" in (cluster / "x.log").read_text()
