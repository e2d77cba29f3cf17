import pytest

from espnet_vibevoice.jobs.slurm_config import load_slurm_config


def make_tiny_config(tmp_path, extra=""):
    path = tmp_path / "slurm.conf"
    path.write_text(
        "# Default configuration\n"
        "command sbatch --export=PATH\n"
        "option time=* --time $0\n"
        "option mem=0\n"
        "option mem=* --mem-per-cpu $0\n"
        "default gpu=0\n"
        "option gpu=0 -p cpu\n"
        "option gpu=* -p gpu --gres=gpu:$0 -c $0  # one core each\n" + extra
    )
    return load_slurm_config(str(path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "-p cpu"),
        ({"gpu": "2"}, "-p gpu --gres=gpu:2 -c 2"),
        ({"mem": "0"}, "-p cpu"),
        ({"mem": "4G", "time": "1:00"}, "-p cpu --mem-per-cpu 4G --time 1:00"),
    ],
)
def test_build_command_follows_the_file(tmp_path, options, words):
    command = make_tiny_config(tmp_path).build_command(options)
    assert command == ["sbatch", "--export=PATH", *words.split()]


def test_build_command_option_without_line_raises(tmp_path):
    message = r"slurm.conf: no line for --num_threads 4. Add one, e.g. 'option num_th"
    with pytest.raises(ValueError, match=message):
        make_tiny_config(tmp_path).build_command({"num_threads": "4"})


def test_load_slurm_config_bad_line_raises_with_its_number(tmp_path):
    with pytest.raises(ValueError, match=r"slurm.conf:9: want 'command ...', 'opt"):
        make_tiny_config(tmp_path, "opt gpu\n")


def test_load_slurm_config_without_command_raises(tmp_path):
    (tmp_path / "c").write_text("default gpu=0\n")
    with pytest.raises(ValueError, match="no 'command' line"):
        load_slurm_config(str(tmp_path / "c"))


def test_load_slurm_config_missing_file_raises_only_if_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="none.conf"):
        load_slurm_config("none.conf")
    command = load_slurm_config(None).build_command({"gpu": "1", "num_threads": "2"})
    assert command[0] == "sbatch"
    assert command[2:] == ["--gres=gpu:1", "--cpus-per-task", "2"]
