import re

import pytest

from espnet_vibevoice.score.report.markup import element
from espnet_vibevoice.score.report.page import (
    hash_script,
    iterate_page,
    make_data_url,
    read_static,
    write_page,
)

STATIC = ("page.css", "player.js", "listening.js", "comparison.js")


def test_iterate_page_allows_its_own_script_alone():
    text = "\n".join(iterate_page("a < b", ["player.js"], [element("p", "x")]))
    assert "<title>a &lt; b</title>" in text
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert script == read_static("player.js")
    assert f"script-src '{hash_script(script)}'" in text
    assert "default-src 'none'" in text


def test_hash_script_is_sha256_in_base64():
    assert hash_script("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize("name", STATIC)
def test_static_parts_name_no_address_and_end_no_element(name):
    text = read_static(name)
    assert "//www" not in text and "http" not in text and "@import" not in text
    assert "</" not in text and "url(" not in text


def test_write_page_is_whole_or_not_there(tmp_path):
    def body():
        yield element("p", "x")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_page(tmp_path / "x.html", "t", ["player.js"], body())
    assert list(tmp_path.iterdir()) == []


def test_make_data_url_holds_the_bytes():
    assert make_data_url("image/png", b"\x00\xff") == "data:image/png;base64,AP8="
