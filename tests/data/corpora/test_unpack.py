"""Archives are unpacked whole and only below their folder."""

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from espnet_vibevoice.data.corpora import unpack
from espnet_vibevoice.data.corpora.unpack import unpack_archive

CONTENT = {"a/1.txt": b"one", "a/b/2.txt": b"two" * 1000}


def make_tar(path: Path, mode: str = "w:gz", **changes: object) -> Path:
    """Pack CONTENT and, with changes, one more member with these attributes."""
    with tarfile.open(path, mode) as tar:
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if changes:
            info = tarfile.TarInfo("bad")
            for key, value in changes.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def make_zip(path: Path, name: str = "", mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in CONTENT.items():
            archive.writestr(member, content)
        if name:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, b"target")
    return path


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".unpacked")
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_unpack_tar_gives_its_files_once(tmp_path, mode):
    archive = make_tar(tmp_path / "x.tar", mode)
    assert unpack_archive(archive, tmp_path / "out") is True
    assert read_tree(tmp_path / "out") == CONTENT
    os.utime(tmp_path / "out/a/1.txt", ns=(1, 1))
    assert unpack_archive(archive, tmp_path / "out") is False
    archive.unlink()
    assert unpack_archive(archive, tmp_path / "out") is False
    assert (tmp_path / "out/a/1.txt").stat().st_mtime_ns == 1


def test_unpack_zip_gives_its_files_and_folders(tmp_path):
    archive = make_zip(tmp_path / "x.zip", "empty/", stat.S_IFDIR | 0o755)
    assert unpack_archive(archive, tmp_path / "out")
    assert read_tree(tmp_path / "out") == CONTENT
    assert (tmp_path / "out/empty").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.zip"]


@pytest.mark.parametrize(
    "name",
    ["/etc/x", "../x", "a/../../x", "a/..", "..", "a\\..\\..\\x", "C:/x", "a//x"],
)
def test_unpack_name_that_leads_out_is_refused(tmp_path, name):
    for archive in (
        make_tar(tmp_path / "x.tar.gz", name=name, size=1),
        make_zip(tmp_path / "x.zip", name),
    ):
        with pytest.raises(ValueError, match="would leave the folder") as refused:
            unpack_archive(archive, tmp_path / "in" / "out")
        assert name.split("\\")[0] in str(refused.value)
        assert list((tmp_path / "in").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "../../etc"}, "a link to '../../etc'"),
        ({"type": tarfile.SYMTYPE, "linkname": "a/1.txt"}, "a link to 'a/1.txt'"),
        ({"type": tarfile.LNKTYPE, "linkname": "a/1.txt"}, "a link to 'a/1.txt'"),
        ({"type": tarfile.CHRTYPE}, "a device or pipe"),
        ({"type": tarfile.BLKTYPE}, "a device or pipe"),
        ({"type": tarfile.FIFOTYPE}, "a device or pipe"),
    ],
)
def test_unpack_tar_member_that_is_no_file_is_refused(tmp_path, changes, kind):
    archive = make_tar(tmp_path / "x.tar.gz", **changes)
    with pytest.raises(ValueError, match="only plain files and folders") as refused:
        unpack_archive(archive, tmp_path / "out")
    assert f"member 'bad' is {kind};" in str(refused.value)
    assert [p.name for p in tmp_path.iterdir()] == ["x.tar.gz"]


@pytest.mark.parametrize(
    ("mode", "kind"), [(stat.S_IFLNK, "a link"), (stat.S_IFCHR, "a device or pipe")]
)
def test_unpack_zip_member_that_is_no_file_is_refused(tmp_path, mode, kind):
    archive = make_zip(tmp_path / "x.zip", "bad", mode | 0o777)
    with pytest.raises(ValueError, match=f"member 'bad' is {kind};"):
        unpack_archive(archive, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]


def test_unpack_more_than_allowed_is_refused(tmp_path):
    archive = make_tar(tmp_path / "x.tar.gz")
    with pytest.raises(ValueError, match="becomes larger than 3002 bytes at member"):
        unpack_archive(archive, tmp_path / "out", max_bytes=3002)
    assert not (tmp_path / "out").exists()
    assert unpack_archive(archive, tmp_path / "out", max_bytes=3003)


def test_unpack_zip_that_lies_about_a_size_is_refused(tmp_path):
    path = make_zip(tmp_path / "x.zip")
    content = path.read_bytes()
    lie = content.replace((3000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != content
    path.write_bytes(lie)
    with pytest.raises(ValueError, match=r"x\.zip: (member|broken)"):
        unpack_archive(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_unpack_broken_archive_is_refused(tmp_path, name):
    path = tmp_path / name
    make_zip(path) if name.endswith("zip") else make_tar(path)
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(ValueError, match="Download it again"):
        unpack_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a", "a/1.txt/x", "."])
def test_unpack_file_in_the_place_of_another_leaves_nothing(tmp_path, name):
    path = make_tar(tmp_path / "x.tar", "w", name=name, size=3)
    with pytest.raises(ValueError, match=r"x\.tar: (broken|member '\.' would)"):
        unpack_archive(path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_unpack_gzip_with_a_wrong_checksum_is_refused(tmp_path):
    path = make_tar(tmp_path / "x.tar.gz")
    content = bytearray(path.read_bytes())
    content[-8] ^= 1  # the checksum: tar itself finds no fault
    path.write_bytes(content)
    with pytest.raises(ValueError, match="CRC check failed"):
        unpack_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unpack_zip_of_unknown_compression_is_refused(tmp_path):
    path = make_zip(tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\1\2") + 10] = 98
    path.write_bytes(content)
    with pytest.raises(ValueError, match="compression method is not supported"):
        unpack_archive(path, tmp_path / "out")


def test_unpack_continues_where_it_was_killed(tmp_path, monkeypatch):
    archive = make_tar(tmp_path / "x.tar.gz")
    write = unpack._write_member

    def die(archive, member, path):
        if member.name == "a/b/2.txt":
            raise KeyboardInterrupt
        write(archive, member, path)

    monkeypatch.setattr(unpack, "_write_member", die)
    with pytest.raises(KeyboardInterrupt):
        unpack_archive(archive, tmp_path / "out")
    kept = tmp_path / ".out.unpacking/a/1.txt"
    os.utime(kept, ns=(1, 1))
    monkeypatch.setattr(unpack, "_write_member", write)
    assert unpack_archive(archive, tmp_path / "out")
    assert (tmp_path / "out/a/1.txt").stat().st_mtime_ns == 1
    assert read_tree(tmp_path / "out") == CONTENT


def test_unpack_remains_of_another_archive_are_removed(tmp_path):
    remains = tmp_path / ".out.unpacking/a/1.txt"
    remains.parent.mkdir(parents=True)
    remains.write_bytes(b"old")
    assert unpack_archive(make_tar(tmp_path / "x.tar.gz"), tmp_path / "out")
    assert read_tree(tmp_path / "out") == CONTENT


def test_unpack_folder_of_someone_else_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("x")
    with pytest.raises(FileExistsError, match="Move it away"):
        unpack_archive(make_tar(tmp_path / "x.tar.gz"), tmp_path / "out")
    assert read_tree(tmp_path / "out") == {"mine": b"x"}


def test_unpack_missing_archive_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such archive. Download it"):
        unpack_archive(tmp_path / "x.zip", tmp_path / "out")
