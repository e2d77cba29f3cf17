import pytest

from espnet_vibevoice.adapters.new_folder import make_new_folder


@pytest.mark.parametrize("exists", [False, True])
def test_folder_appears_whole(tmp_path, exists):
    out = tmp_path / "deep/out"
    if exists:
        out.mkdir(parents=True)
    with make_new_folder(out) as temporary:
        (temporary / "a").touch()
        assert not out.exists() or not any(out.iterdir())
    assert [path.name for path in out.iterdir()] == ["a"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_folder_of_work_that_fails_does_not_appear(tmp_path):
    with pytest.raises(ValueError, match="halfway"), make_new_folder(tmp_path / "out"):
        raise ValueError("halfway")
    assert not any(tmp_path.iterdir())


def test_remains_of_a_killed_run_are_cleared(tmp_path):
    (tmp_path / ".out.tmp").mkdir()
    (tmp_path / ".out.tmp/old").touch()
    with make_new_folder(tmp_path / "out") as temporary:
        (temporary / "new").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


@pytest.mark.parametrize("kind", ["file", "full"])
def test_place_that_is_taken_is_refused(tmp_path, kind):
    out = tmp_path / "out"
    if kind == "full":
        out.mkdir()
        (out / "a").touch()
    else:
        out.touch()
    with pytest.raises(FileExistsError, match="not empty"), make_new_folder(out):
        pass
