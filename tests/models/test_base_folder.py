"""Finding the folder of a base."""

import pytest

from espnet_vibevoice.models.base_folder import resolve_base


def test_resolve_base_takes_folder_and_config(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}", encoding="utf-8")
    assert resolve_base(str(base)) == base
    assert resolve_base(str(base / "config.json")) == base


@pytest.mark.parametrize("name", ["./none", "/none/base", "none", "here/base", "a/b/c"])
def test_resolve_base_missing_path_raises(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(FileNotFoundError, match="no such base folder"):
        resolve_base(name)


def test_resolve_base_hub_id_asks_for_revision(monkeypatch):
    asked = []

    def download(repository, revision, allow_patterns):
        asked.append((repository, revision))
        return "/fetched"

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert str(resolve_base("owner/name@v1")) == "/fetched"
    assert str(resolve_base("owner/name")) == "/fetched"
    assert asked == [("owner/name", "v1"), ("owner/name", None)]
