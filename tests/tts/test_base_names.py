"""Names of bases in config.yaml: commits of the hub, files of local folders."""

from espnet_vibevoice.tts.base_names import name_revision, portable_base


def test_name_revision_names_the_commit_of_the_snapshot(tiny_base, monkeypatch):
    commits = {"owner/name": "c0ffee", "owner/name@main": "c0ffee"}
    monkeypatch.setattr("espnet_vibevoice.tts.base_names.find_revision", commits.get)
    assert name_revision(f"{tiny_base}/config.json") == f"{tiny_base}/config.json"
    assert name_revision("owner/name") == "owner/name@c0ffee"
    assert name_revision("owner/name@main") == "owner/name@c0ffee"


def test_portable_base_names_the_configuration_of_a_folder(tiny_base):
    wanted = f"{tiny_base}/config.json"
    assert portable_base(str(tiny_base)) == wanted
    assert portable_base(wanted) == wanted
    assert portable_base("owner/name@main") == "owner/name@main"
