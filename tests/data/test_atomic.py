import builtins
import errno

import pytest

from espnet_vibevoice.data.atomic import (
    explain_full_disk,
    open_atomic,
    write_bytes_atomic,
)


class FullDiskFile:
    """File that takes nothing."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.file.close()

    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_write_bytes_atomic_makes_folder_and_leaves_no_other_file(tmp_path):
    write_bytes_atomic(tmp_path / "a" / "b", b"x")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_write_bytes_atomic_full_disk_raises_and_keeps_old_file(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_bytes_atomic(path, b"old")
    real_open = open
    monkeypatch.setattr(
        builtins, "open", lambda *args, **kw: FullDiskFile(real_open(*args, **kw))
    )
    message = r"no space left while writing .*/f \([0-9.]+ MiB free.*finished files are"
    with pytest.raises(OSError, match=message) as caught:
        write_bytes_atomic(path, b"new")
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_explain_full_disk_quota_raises_with_its_name(tmp_path):
    with pytest.raises(OSError, match="quota used up while writing"):
        with explain_full_disk(tmp_path / "no" / "f"):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_explain_full_disk_other_error_stays_as_it_is(tmp_path):
    with pytest.raises(PermissionError, match="Permission denied"):
        with explain_full_disk(tmp_path / "f"):
            raise OSError(errno.EACCES, "Permission denied")


def test_open_atomic_failure_in_the_block_keeps_the_old_file(tmp_path):
    write_bytes_atomic(tmp_path / "f", b"old")
    with pytest.raises(ZeroDivisionError):
        with open_atomic(tmp_path / "f") as file:
            file.write(b"new")
            raise ZeroDivisionError
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("content", [b"old", b"new", b"longer"])
def test_open_atomic_keep_equal_touches_only_what_differs(tmp_path, content):
    path = tmp_path / "f"
    write_bytes_atomic(path, b"old")
    before = path.stat().st_ino
    with open_atomic(path, keep_equal=True) as file:
        file.write(content)
    assert path.read_bytes() == content
    assert (path.stat().st_ino == before) == (content == b"old")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
