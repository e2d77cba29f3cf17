import pytest
import torch

from espnet_vibevoice.errors import (
    UtteranceError,
    is_out_of_memory,
    run_command,
    summarize_faults,
)


def raise_error(error):
    raise error


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a main function as a command; return exit status, output and errors."""
    monkeypatch.delenv("VIBEVOICE_DEBUG", raising=False)

    def run_one(main):
        with pytest.raises(SystemExit) as ended:
            run_command(main)
        return ended.value.code, *capsys.readouterr()

    return run_one


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_run_command_passes_the_status_on(run, returned, status):
    assert run(lambda: returned) == (status, "", "")


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, FileNotFoundError])
def test_run_command_error_is_one_line(run, kind):
    status, out, err = run(lambda: raise_error(kind("a\n  wrong\tvalue")))
    assert (status, out, err) == (1, "", "error: a wrong value\n")


def test_run_command_error_without_message_shows_its_kind(run):
    assert run(lambda: raise_error(RuntimeError())) == (1, "", "error: RuntimeError\n")


def test_run_command_debug_keeps_the_trace(run, monkeypatch):
    monkeypatch.setenv("VIBEVOICE_DEBUG", "1")
    with pytest.raises(ValueError, match="a wrong value"):
        run_command(lambda: raise_error(ValueError("a wrong value")))


def test_run_command_fault_of_ours_keeps_the_trace():
    with pytest.raises(KeyError, match="name"):
        run_command(lambda: raise_error(KeyError("name")))


def test_run_command_interrupted_exits_130(run):
    status, _, err = run(lambda: raise_error(KeyboardInterrupt()))
    assert (status, err) == (130, "error: interrupted\n")


def test_utterance_error_tells_utterance_reason_and_detail():
    error = UtteranceError("fa_0001", "unreadable", "no header")
    assert str(error) == "fa_0001: unreadable: no header"
    assert (error.utt_id, error.reason, error.detail) == (
        "fa_0001",
        "unreadable",
        "no header",
    )


def test_summarize_faults_shows_the_first_ones_and_counts_the_rest():
    assert summarize_faults(["a", "b", "c"], limit=2) == "a; b; and 1 more"
    assert summarize_faults(["a", "b"], limit=2) == "a; b"


@pytest.mark.parametrize(
    ("err", "wanted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes do not fit"), False),
    ],
)
def test_is_out_of_memory_knows_torchs_ways(err, wanted):
    assert is_out_of_memory(err) is wanted
