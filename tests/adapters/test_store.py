import dataclasses
import logging

import pytest
import torch

from espnet_vibevoice.adapters.folder import write_adapter
from espnet_vibevoice.adapters.store import AdapterState, AdapterStore


def test_prepare_reads_a_folder_and_logs_the_report(tiny_model, tune, tmp_path, caplog):
    adapter = tune(tiny_model)[1]
    write_adapter(adapter, tmp_path / "fa")
    store = AdapterStore(tiny_model, 8, adapter.base_fingerprint)
    with caplog.at_level(logging.INFO):
        loaded = store.prepare("fa", tmp_path / "fa")
    given = store.prepare("fa", adapter).report
    assert loaded.report.num_tensors == given.num_tensors == 25
    assert loaded.report.effect.hidden == pytest.approx(given.effect.hidden, rel=1e-3)
    assert str(loaded.report) in caplog.text
    assert "fingerprint" not in caplog.text
    assert torch.equal(
        loaded.change.weights["acoustic_connector.linear_1.weight"],
        adapter.full["acoustic_connector"]["linear_1.weight"],
    )


def test_prepare_for_another_base_is_refused_with_both_fingerprints(tiny_model, tune):
    adapter = dataclasses.replace(tune(tiny_model)[1], base_fingerprint="ab12")
    with pytest.raises(ValueError, match="fingerprint ab12 .*has cd34"):
        AdapterStore(tiny_model, 8, "cd34").prepare("fa", adapter)


def test_prepare_without_fingerprint_of_the_base_warns(tiny_model, tune, caplog):
    AdapterStore(tiny_model, 8, None).prepare("fa", tune(tiny_model)[1])
    assert "fingerprint of the base was not given" in caplog.text


def test_prepare_renamed_tensor_is_refused_with_the_name(tiny_model, tune):
    adapter = tune(tiny_model)[1]
    layers = dict(adapter.lora["tts_language_model"])
    layers["layers.9.self_attn.q_proj"] = layers.pop("layers.0.self_attn.q_proj")
    adapter = dataclasses.replace(adapter, lora={"tts_language_model": layers})
    with pytest.raises(ValueError, match="adapter fa: .*layers.9.self_attn.q_proj"):
        AdapterStore(tiny_model, 8, None).prepare("fa", adapter)


def test_prepare_larger_rank_than_room_is_refused_with_the_numbers(tiny_model, tune):
    adapter = tune(tiny_model)[1]
    with pytest.raises(ValueError, match="rank 4, there is room for 3.*max_rank=4"):
        AdapterStore(tiny_model, 3, None).prepare("fa", adapter)


def test_prepare_zero_lora_is_refused(tiny_model, tune):
    adapter = tune(tiny_model)[1]
    for factors in adapter.lora["tts_language_model"].values():
        factors.b.zero_()
    with pytest.raises(ValueError, match="LoRA of tts_language_model changes nothing"):
        AdapterStore(tiny_model, 8, None).prepare("fa", adapter)


def test_add_under_a_taken_name_is_refused(tiny_model, tune):
    store = AdapterStore(tiny_model, 8, None)
    loaded = store.prepare("fa", tune(tiny_model)[1])
    store.add("fa", loaded)
    for act in (lambda: store.add("fa", loaded), lambda: store.prepare("fa", "x")):
        with pytest.raises(ValueError, match="fa is loaded already"):
            act()


@pytest.mark.parametrize("scale", [-0.1, 1.51, float("nan")])
def test_pick_scale_out_of_range_is_refused_with_the_numbers(tiny_model, tune, scale):
    store = AdapterStore(tiny_model, 8, None)
    store.add("fa", store.prepare("fa", tune(tiny_model)[1]))
    with pytest.raises(ValueError, match=f"fa: scale {scale}, wanted 0 to 1.5"):
        store.pick({"fa": scale})


def test_pick_more_ranks_than_room_is_refused_with_the_numbers(tiny_model, tune):
    store = AdapterStore(tiny_model, 6, None)
    for name in "ab":
        store.add(name, store.prepare(name, tune(tiny_model)[1]))
    assert len(store.pick({"a": 1.0})) == 1
    with pytest.raises(ValueError, match="a, b take rank 8 together.*room for 6"):
        store.pick({"a": 1.0, "b": 0.5})


def test_unknown_name_is_refused_with_those_there(tiny_model, tune):
    store = AdapterStore(tiny_model, 8, None)
    with pytest.raises(ValueError, match=r"'b' is not loaded \(loaded: none\)"):
        store.find("b")
    store.add("a", store.prepare("a", tune(tiny_model)[1]))
    with pytest.raises(ValueError, match=r"'b' is not loaded \(loaded: a\)"):
        store.unload("b")


def test_describe_lists_all_adapters(tiny_model, tune):
    store = AdapterStore(tiny_model, 8, None)
    for name, strategy in (("a", "lora"), ("b", "head_only")):
        adapter = tune(tiny_model, strategy=strategy)[1]
        store.add(name, store.prepare(name, adapter))
    parts = ("acoustic_connector", "tts_eos_classifier", "tts_language_model")
    assert store.describe({"a": 0.7}) == (
        AdapterState("a", True, 0.7, parts, 4),
        AdapterState("b", False, 0.0, ("prediction_head",), 0),
    )
    store.unload("a")
    assert [state.name for state in store.describe({})] == ["b"]
