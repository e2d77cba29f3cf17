import dataclasses

import pytest
import yaml

from espnet_vibevoice.adapters.card import CardText, write_card


def read_front(card):
    return yaml.safe_load(card.split("---\n")[1])


def test_card_of_a_base_on_the_hub_names_it_and_its_revision(make_adapted):
    adapter = dataclasses.replace(
        make_adapted(use_dora=True, use_rslora=True)[1],
        base="some/base@main",
        base_revision="ab12",
    )
    card = write_card(adapter, CardText(), "community", None, None)
    assert read_front(card)["base_model"] == "some/base"
    assert "for `some/base` at revision `ab12`, which" in card
    assert "--base some/base\n" in card
    assert "DoRA, rank-stabilised, rank 16" in card
    assert "Its figures are not known." in card
    assert card.count("license") == 0 and "have not stated a licence" in card


@pytest.mark.parametrize(
    ("licence", "identifier"),
    [("mit", "mit"), ("For research only, no voices of others.", "other")],
)
def test_card_gives_the_hub_an_identifier_of_the_licence(
    make_adapted, licence, identifier
):
    text = CardText("T", licence)
    card = write_card(make_adapted()[1], text, "peft", {"seed": 3}, "12 epochs.")
    assert read_front(card)["license"] == identifier
    assert f"Licence of this adapter: {licence.rstrip('.')}." in card
    assert "12 epochs." in card and "- seed: 3" in card


def test_card_without_lora_is_for_espnet(make_adapted):
    adapter = make_adapted(strategy="conservative", freeze_head_layers=[0])[1]
    card = write_card(adapter, CardText(), "peft", None, None)
    assert read_front(card)["library_name"] == "espnet"
    assert "Layers 0 of the diffusion head stayed frozen." in card
