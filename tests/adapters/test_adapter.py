import torch

from espnet_vibevoice.adapters.adapter import extract_adapter


def test_extract_takes_what_is_trained_and_copies_it(make_adapted, tiny_base):
    options = {"lora_parts": {"prediction_head": {"rank": 2}}, "lora_rank": 4}
    model, adapter = make_adapted(**options)
    assert adapter.model_type == "vibevoice_streaming"
    assert adapter.base == str(tiny_base) and len(adapter.base_fingerprint) == 64
    assert adapter.parts == tuple(sorted(adapter.plan.parts))
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert adapter.count_tensors() == len(trained)
    for part, layers in adapter.lora.items():
        for path, factors in layers.items():
            a = trained[f"{part}.{path}.lora_A.default.weight"]
            assert torch.equal(factors.a, a) and factors.magnitude is None
            assert factors.b.shape[1] == adapter.plan.lora[part].rank
            assert factors.a.data_ptr() != a.data_ptr()
    for part, weights in adapter.full.items():
        for name, weight in weights.items():
            assert torch.equal(weight, trained[f"{part}.{name}"])


def test_extract_of_dora_takes_the_lengths_of_rows(make_adapted):
    model, adapter = make_adapted(use_dora=True)
    path = "layers.0.self_attn.k_proj"
    factors = adapter.lora["tts_language_model"][path]
    layer = model.tts_language_model.get_submodule(path)
    assert torch.equal(factors.magnitude, layer.lora_magnitude_vector["default"].weight)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert adapter.count_tensors() == len(trained)


def test_extract_leaves_frozen_layers_of_the_head_out(make_adapted):
    model, adapter = make_adapted(strategy="head_only", freeze_head_layers=[0])
    names = adapter.full["prediction_head"]
    assert names and not any(name.startswith("layers.0.") for name in names)
    again = extract_adapter(model, adapter.plan, "other", None)
    assert again.base == "other" and again.base_fingerprint is None
