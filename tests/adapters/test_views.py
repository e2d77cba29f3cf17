import pytest
import torch

from espnet_vibevoice.adapters.change import resolve_change
from espnet_vibevoice.adapters.effect import measure_effect
from espnet_vibevoice.adapters.views import ModelView, Room, SwitchableLoRA

SETTINGS = [
    {},
    {"lora_parts": {"prediction_head": None, "language_model": {"rank": 2}}},
    {"use_dora": True},
    {"strategy": "conservative"},
    {"strategy": "full"},
    {"strategy": "head_only"},
]


@pytest.fixture
def tiny_model(tiny_model):
    """Give the biases values: new ones are zero, which would hide their handling."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in tiny_model.named_parameters():
        if name.endswith("bias"):
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
    return tiny_model


def make_view(model, *changes):
    view = ModelView(model, max_rank=8)
    for change in changes:
        view.grow(Room.for_change(change))
    return view


def list_tensors(model):
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@pytest.mark.parametrize("settings", SETTINGS)
def test_view_filled_equals_the_tuned_model_and_emptied_the_base(
    tiny_model, tune, settings
):
    tuned, adapter = tune(tiny_model, **settings)
    change = resolve_change(tiny_model, adapter)
    view = make_view(tiny_model, change)
    assert measure_effect(tiny_model, view.model) == 0
    view.fill([(change, 1.0)])
    assert measure_effect(tuned, view.model) < 1e-5 < measure_effect(tiny_model, tuned)
    view.fill([])
    assert measure_effect(tiny_model, view.model) == 0


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}, {"strategy": "full"}])
def test_view_shares_all_but_what_adapters_touch(tiny_model, tune, settings):
    change = resolve_change(tiny_model, tune(tiny_model, **settings)[1])
    before = {name: (t, t.clone()) for name, t in list_tensors(tiny_model).items()}
    view = make_view(tiny_model, change)
    view.fill([(change, 1.0)])
    for name, (tensor, copied) in before.items():
        assert list_tensors(tiny_model)[name] is tensor
        assert torch.equal(tensor, copied)
    known = {id(tensor) for tensor, _ in before.values()}
    own = {n: t for n, t in list_tensors(view.model).items() if id(t) not in known}
    kinds = ("down", "up", "gain") if settings.get("use_dora") else ("down", "up")
    rooms = {f"{path}.{kind}" for path in change.layers for kind in kinds}
    assert set(own) == rooms | set(change.weights)


def test_fill_keeps_the_identity_and_shape_of_every_tensor(tiny_model, tune):
    changes = [
        resolve_change(tiny_model, tune(tiny_model, seed, **settings)[1])
        for seed, settings in enumerate([{}, {"use_dora": True}, {"strategy": "full"}])
    ]
    view = make_view(tiny_model, *changes)
    before = {n: (id(t), t.shape) for n, t in list_tensors(view.model).items()}
    for change in changes:
        view.fill([(change, 0.7)])
        after = {n: (id(t), t.shape) for n, t in list_tensors(view.model).items()}
        assert after == before


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}])
def test_strength_scales_the_change_of_every_weight(tiny_model, tune, settings):
    change = resolve_change(tiny_model, tune(tiny_model, **settings)[1])
    view = make_view(tiny_model, change)
    view.fill([(change, 0.5)])
    weight = "acoustic_connector.linear_1.weight"
    base = tiny_model.get_parameter(weight)
    half = base + 0.5 * (change.weights[weight] - base)
    assert torch.allclose(view.model.get_parameter(weight), half)
    path = next(iter(change.layers))
    inputs = torch.randn(5, 16)
    outputs = {}
    for strength in (0.0, 0.5, 1.0):
        view.fill([(change, strength)])
        outputs[strength] = view.model.get_submodule(path)(inputs)
    middle = (outputs[0.0] + outputs[1.0]) / 2
    assert torch.allclose(outputs[0.5], middle, atol=1e-5)


def test_changes_of_several_adapters_add_up(tiny_model, tune):
    first, second = (
        resolve_change(tiny_model, tune(tiny_model, seed)[1]) for seed in (1, 2)
    )
    view = make_view(tiny_model, first, second)
    path = "tts_language_model.layers.1.self_attn.v_proj"
    layer, inputs = view.model.get_submodule(path), torch.randn(3, 16)
    base = layer(inputs)
    total = base
    for change in (first, second):
        view.fill([(change, 0.5)])
        total = total + layer(inputs) - base
    view.fill([(first, 0.5), (second, 0.5)])
    assert torch.allclose(layer(inputs), total, atol=1e-5)
    name = "acoustic_connector.linear_2.weight"
    base = tiny_model.get_parameter(name)
    total = 0.5 * (first.weights[name] + second.weights[name])
    assert torch.allclose(view.model.get_parameter(name), total, atol=1e-6)


def test_lora_and_full_on_one_layer_add_up(tiny_model, tune):
    parts = {"prediction_head": {"targets": ["cond_proj"]}}
    low = resolve_change(
        tiny_model,
        tune(tiny_model, 1, strategy="custom", lora_parts=parts)[1],
    )
    full = resolve_change(tiny_model, tune(tiny_model, 2, strategy="head_only")[1])
    for order in ((low, full), (full, low)):
        view = make_view(tiny_model, *order)
        view.fill([(low, 1.0), (full, 1.0)])
        layer = view.model.prediction_head.cond_proj
        assert isinstance(layer, SwitchableLoRA)
        change = low.layers["prediction_head.cond_proj"]
        weight = full.weights["prediction_head.cond_proj.weight"]
        inputs = torch.randn(2, 16)
        wanted = inputs @ (weight + change.up @ change.down).T
        assert torch.allclose(layer(inputs), wanted, atol=1e-5)
        view.fill([])
        assert measure_effect(tiny_model, view.model) == 0


def test_room_for_a_plan_is_that_of_its_adapters(tiny_model, tune):
    for settings in SETTINGS:
        adapter = tune(tiny_model, **settings)[1]
        room = Room.for_plan(tiny_model, adapter.plan)
        assert room == Room.for_change(resolve_change(tiny_model, adapter))


def test_grow_tells_whether_room_was_missing(tiny_model, tune):
    plain, dora = (
        Room.for_change(resolve_change(tiny_model, tune(tiny_model, use_dora=use)[1]))
        for use in (False, True)
    )
    view = ModelView(tiny_model, max_rank=8)
    assert view.grow(plain)
    assert not view.grow(plain)
    assert view.grow(dora)
    assert not view.grow(plain)


def test_view_in_bfloat16_adds_the_change(tiny_model, tune):
    base = tiny_model.to(torch.bfloat16)
    tuned, adapter = tune(base)
    change = resolve_change(base, adapter)
    view = make_view(base, change)
    view.fill([(change, 1.0)])
    path = next(iter(change.layers))
    assert view.model.get_submodule(path).down.dtype == torch.bfloat16
    assert measure_effect(tuned, view.model) < 0.1 * measure_effect(base, tuned)
    view.fill([])
    assert measure_effect(base, view.model) == 0


class Quantised(torch.nn.Linear):
    """Keeps int8 weights and a state beside them, as bitsandbytes' layers do."""

    def __init__(self, layer):
        super().__init__(layer.in_features, layer.out_features, layer.bias is not None)
        scale = layer.weight.detach().abs().max() / 127
        self.weight = torch.nn.Parameter(
            (layer.weight / scale).round().to(torch.int8), requires_grad=False
        )
        self.bias = layer.bias
        self.state = {"scale": scale}

    def forward(self, inputs):
        weight = self.weight.to(inputs.dtype) * self.state["scale"]
        return torch.nn.functional.linear(inputs, weight, self.bias)


def test_view_of_a_quantised_base_shares_its_layers(tiny_model, tune):
    _, adapter = tune(tiny_model)
    for path in adapter.lora["tts_language_model"]:
        layer = tiny_model.tts_language_model.get_submodule(path)
        tiny_model.tts_language_model.set_submodule(path, Quantised(layer))
    change = resolve_change(tiny_model, adapter)
    view = make_view(tiny_model, change)
    for path, own in change.layers.items():
        layer, wrapped = (m.get_submodule(path) for m in (tiny_model, view.model))
        assert wrapped.base is layer
        inputs = torch.randn(2, layer.in_features)
        assert torch.equal(wrapped(inputs), layer(inputs))
        view.fill([(change, 1.0)])
        wanted = layer(inputs) + inputs @ (own.up @ own.down).T
        assert torch.allclose(wrapped(inputs), wanted, atol=1e-5)
        view.fill([])
