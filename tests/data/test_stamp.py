import os
import re

import pytest

from espnet_vibevoice.data import stamp as stamp_module
from espnet_vibevoice.data.stamp import find_changes, fingerprint_path, write_stamp


@pytest.fixture
def work(tmp_path):
    """Stamp of work with one option, a file and a folder as inputs."""
    (tmp_path / "text").write_text("a x\n")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "wav.scp").write_text("a 1.wav\n")
    inputs = [tmp_path / "text", folder]
    write_stamp(folder / "done", {"fs": "24000"}, inputs)
    return folder / "done", inputs


def test_find_changes_nothing_changed_gives_none(work):
    stamp, inputs = work
    os.utime(inputs[0], ns=(1, 1))  # small files count by content alone
    assert find_changes(stamp, {"fs": "24000"}, inputs) == []


def test_find_changes_without_stamp_says_so(tmp_path):
    assert find_changes(tmp_path / "none", {}, []) == ["not done yet"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}'])
def test_find_changes_other_file_says_so(work, content):
    stamp, inputs = work
    stamp.write_text(content)
    (reason,) = find_changes(stamp, {"fs": "24000"}, inputs)
    assert re.search("is not a stamp|is of another version", reason)


def test_find_changes_option_names_both_values(work):
    stamp, inputs = work
    assert find_changes(stamp, {"fs": "16000", "x": "1"}, inputs) == [
        "option fs: was '24000', is '16000'",
        "option x: was 'not set', is '1'",
    ]


def test_find_changes_input_content_is_noticed(work):
    stamp, inputs = work
    inputs[0].write_text("a y\n")
    (inputs[1] / "wav.scp").write_text("a 2.wav\n")
    changes = find_changes(stamp, {"fs": "24000"}, inputs)
    assert changes == [f"input {p} changed" for p in sorted(map(str, inputs))]


def test_find_changes_inputs_added_removed_and_lost_are_named(work, tmp_path):
    stamp, (text, folder) = work
    (tmp_path / "new").write_text("")
    options = {"fs": "24000"}
    assert find_changes(stamp, options, [text, folder, tmp_path / "new"]) == [
        f"input {tmp_path / 'new'} is new"
    ]
    assert find_changes(stamp, options, [folder]) == [f"input {text} is no longer used"]
    text.unlink()
    assert find_changes(stamp, options, [text, folder]) == [f"input {text} is missing"]


def test_find_changes_lost_output_is_named(work, tmp_path):
    stamp, inputs = work
    changes = find_changes(stamp, {"fs": "24000"}, inputs, [tmp_path / "gone"])
    assert changes == [f"output {tmp_path / 'gone'} is gone"]


def test_write_stamp_missing_input_raises(tmp_path):
    with pytest.raises(FileNotFoundError, match="input .*none does not exist"):
        write_stamp(tmp_path / "done", {}, [tmp_path / "none"])
    assert not (tmp_path / "done").exists()


def test_fingerprint_path_large_file_counts_by_time(tmp_path, monkeypatch):
    monkeypatch.setattr(stamp_module, "_MAX_HASHED_BYTES", 4)
    path = tmp_path / "f"
    path.write_text("12345")
    first = fingerprint_path(path)
    assert first.startswith("stat:5:")
    os.utime(path, ns=(1, 1))
    assert fingerprint_path(path) != first


def test_fingerprint_path_folder_ignores_hidden_files_and_folders(work):
    _, (_, folder) = work
    first = fingerprint_path(folder)
    (folder / ".done").write_text("x")
    (folder / "logs").mkdir()
    assert fingerprint_path(folder) == first
    (folder / "text").write_text("x")
    assert fingerprint_path(folder) != first
