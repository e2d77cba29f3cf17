import pytest

from espnet_vibevoice.data.quality import QualityLimit


@pytest.mark.parametrize(
    ("limit", "value", "passes"),
    [
        ("quality>=0.8", "0.8", True),
        ("quality>=0.8", "0.79", False),
        ("cer<=0.1", "0.1", True),
        ("cer<=0.1", "0.11", False),
        ("cer<=0.1", "-", True),
        ("up_votes>=2", "nan", False),
    ],
)
def test_quality_limit_is_inclusive(limit, value, passes):
    assert QualityLimit.parse(limit).accepts(value) is passes


@pytest.mark.parametrize("text", ["quality", "quality>0.8", "cer<=", "a b>=1"])
def test_parse_other_syntax_raises(text):
    with pytest.raises(ValueError, match="wanted e.g. quality>=0.8"):
        QualityLimit.parse(text)


def test_parse_word_for_a_number_raises():
    with pytest.raises(ValueError, match="cer<=low: wanted a number, got 'low'"):
        QualityLimit.parse("cer<=low")


def test_accepts_word_raises_with_table():
    with pytest.raises(ValueError, match="utt2cer: wanted a number, got 'HIGH'"):
        QualityLimit.parse("cer<=1").accepts("HIGH")


def test_find_value_missing_table_raises_with_those_there_are():
    tables = {"text": {}, "utt2cer": {"a": "1"}}
    assert QualityLimit.parse("cer<=1").find_value(tables, "a") == "1"
    with pytest.raises(ValueError, match="needs a table utt2mos; there are utt2cer"):
        QualityLimit.parse("mos>=3").find_value(tables, "a")
