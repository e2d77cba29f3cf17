import pytest

from espnet_vibevoice.models.builtin import BUILTIN_NAMES, build_parts, load_builtin
from espnet_vibevoice.models.inspection import PART_ORDER, inspect_model


def count(parts):
    return sum(p.numel() for part in parts.values() for p in part.parameters())


# Counted once from the published sizes: a change of any of them shows here.
@pytest.mark.parametrize(
    "name,has_encoder,total",
    [
        ("realtime-0.5b", False, 881_492_066),
        ("1.5b", True, 2_704_021_985),
        ("7b", True, 9_343_355_361),
    ],
)
def test_builtin_has_the_released_size_and_no_values(name, has_encoder, total):
    parts = build_parts(load_builtin(name), has_encoder)
    assert count(parts) == total
    assert {p.device.type for m in parts.values() for p in m.parameters()} == {"meta"}
    assert set(parts) <= set(PART_ORDER)
    assert ("acoustic_tokenizer.encoder" in parts) is has_encoder


def test_realtime_decoder_has_as_many_weights_as_the_release():
    parts = build_parts(load_builtin("realtime-0.5b"), has_encoder=False)
    assert len(parts["acoustic_tokenizer.decoder"].state_dict()) == 276


def test_realtime_splits_24_layers_into_4_and_20():
    parts = build_parts(load_builtin("realtime-0.5b"))
    assert len(parts["language_model"].layers) == 4
    assert len(parts["tts_language_model"].layers) == 20


def test_classes_in_the_table_are_those_that_are_built():
    for name in BUILTIN_NAMES:
        parts = build_parts(load_builtin(name), has_encoder=False)
        report = inspect_model(name, strategy="lora")
        built = {part: type(module).__name__ for part, module in parts.items()}
        assert {part.name: part.class_name for part in report.parts} == built


def test_default_strategy_is_below_2_percent_of_the_realtime_base():
    report = inspect_model("realtime-0.5b", strategy="lora")
    # 20 layers of q and o (896, 896), k and v (128, 896), both factors of rank 16
    lora = 20 * 16 * 2 * ((896 + 896) + (128 + 896))
    connector = 64 * 896 + 896 + 896 + 896 * 896 + 896
    classifier = 896 * 896 + 896 + 896 + 1
    assert report.trainable == lora + connector + classifier
    assert report.trainable_share < 0.02


def test_load_builtin_unknown_name_raises():
    with pytest.raises(ValueError, match="choose one of realtime-0.5b, 1.5b, 7b"):
        load_builtin("3b")
