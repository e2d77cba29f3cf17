"""The pages in Chromium: what a reader sees, hears and does."""

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from espnet_vibevoice.score.comparison_votes import read_votes

pytestmark = pytest.mark.browser

CONTRAST = """
const parse = (color) => color.match(/[0-9.]+/g).slice(0, 3).map(Number);
const light = (color) => {
  const [r, g, b] = parse(color).map((c) => {
    const s = c / 255;
    return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = light(getComputedStyle(document.body).backgroundColor);
return arguments[0].map((selector) => {
  const text = light(getComputedStyle(document.querySelector(selector)).color);
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
});
"""
LETTERS = """
const walker = document.createTreeWalker(arguments[0], NodeFilter.SHOW_TEXT);
const boxes = [];
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  for (let at = 0; at < node.length; at += 1) {
    const range = document.createRange();
    range.setStart(node, at);
    range.setEnd(node, at + 1);
    const box = range.getBoundingClientRect();
    boxes.push([node.data[at], box.left, box.width]);
  }
}
return boxes;
"""


def open_page(browser, path):
    browser.get(path.as_uri())


def list_ids(browser):
    script = (
        "return [...document.querySelectorAll('#list article:not([hidden])')]"
        ".map((a) => a.dataset.id)"
    )
    return browser.execute_script(script)


def find_clip(browser, utterance, name):
    selector = f'article[data-id="{utterance}"] .clip[data-name="{name}"]'
    return browser.find_element(By.CSS_SELECTOR, selector)


def read_audio(browser, clip):
    script = """
    const audio = arguments[0].querySelector("audio");
    return [audio.duration, audio.currentTime, audio.paused];
    """
    return browser.execute_script(script, clip)


def wait_until(condition):
    WebDriverWait(None, 60, poll_frequency=0.05).until(lambda _: condition())


def play_without_end(browser):
    """Have recordings begin anew at their end: none is over before a test looks."""
    browser.execute_script(
        "document.querySelectorAll('audio').forEach((audio) => { audio.loop = true; })"
    )


def press(browser, key):
    browser.switch_to.active_element.send_keys(key)


def choose(browser, name, value):
    Select(browser.find_element(By.ID, name)).select_by_value(value)


def test_report_shows_table_and_utterances_without_complaint(browser, report):
    open_page(browser, report)
    tiles = [e.text for e in browser.find_elements(By.CSS_SELECTOR, ".tile .value")]
    assert tiles == ["25.00 %"] * 3
    assert sorted(list_ids(browser)) == ["u1", "u2", "u3", "u4"]
    assert browser.find_element(By.ID, "count").text == "4 of 4"
    pictures = browser.execute_script(
        "return [...document.images].map((i) => [i.loading = 'eager', i])[0] && "
        "Promise.all([...document.images].map((i) => i.decode()))"
        ".then(() => [...document.images].map((i) => i.naturalHeight))"
    )
    assert pictures == [80] * 11
    assert browser.get_log("browser") == []


def test_report_sorts_and_filters(browser, report):
    open_page(browser, report)
    assert list_ids(browser) == ["u3", "u1", "u2", "u4"]  # the highest rate first
    choose(browser, "order", "id")
    assert list_ids(browser) == ["u1", "u2", "u3", "u4"]
    browser.find_element(By.ID, "direction").click()
    assert list_ids(browser) == ["u4", "u3", "u2", "u1"]
    choose(browser, "order", "seconds")  # u3 has no duration: last
    assert list_ids(browser) == ["u2", "u1", "u4", "u3"]
    choose(browser, "order", "faults")
    assert list_ids(browser)[:2] == ["u1", "u3"]
    choose(browser, "filter", "repeated")
    assert list_ids(browser) == ["u1"]
    choose(browser, "filter", "any")
    assert list_ids(browser) == ["u1", "u3"]
    choose(browser, "filter", "endless")
    assert list_ids(browser) == []
    assert browser.find_element(By.ID, "none").is_displayed()


def test_report_plays_one_recording_at_a_time(browser, report):
    open_page(browser, report)
    play_without_end(browser)
    clip = find_clip(browser, "u2", "natural")
    other = find_clip(browser, "u1", "synthesis")
    assert read_audio(browser, clip)[0] is None  # nothing is loaded before it is asked
    clip.find_element(By.CSS_SELECTOR, ".play").click()
    wait_until(lambda: read_audio(browser, clip)[1] > 0.2)
    duration, _, _ = read_audio(browser, clip)
    assert duration == pytest.approx(1.6, abs=0.1)
    place = "return parseFloat(arguments[0].querySelector('.place').style.left)"
    wait_until(lambda: 0 < (browser.execute_script(place, clip) or 0) < 100)
    other.find_element(By.CSS_SELECTOR, ".play").click()
    wait_until(lambda: read_audio(browser, other)[1] > 0.1)
    assert read_audio(browser, clip)[2] is True
    assert read_audio(browser, other)[0] == pytest.approx(0.8, abs=0.1)


def test_report_click_into_picture_plays_from_there(browser, report):
    open_page(browser, report)
    clip = find_clip(browser, "u2", "natural")
    clip.find_element(By.CSS_SELECTOR, ".strip").click()  # into its middle
    wait_until(lambda: read_audio(browser, clip)[1] > 0)
    assert 0.75 < read_audio(browser, clip)[1] < 1.7


def test_report_keys_play_and_go_on(browser, report):
    open_page(browser, report)
    play_without_end(browser)
    choose(browser, "order", "id")
    browser.execute_script("document.activeElement.blur()")
    press(browser, " ")
    first = find_clip(browser, "u1", "natural")
    wait_until(lambda: read_audio(browser, first)[1] > 0)
    press(browser, Keys.ARROW_RIGHT)  # goes on playing
    second = find_clip(browser, "u1", "resynthesis")
    wait_until(lambda: read_audio(browser, second)[1] > 0)
    assert read_audio(browser, first)[2] is True
    press(browser, " ")
    assert read_audio(browser, second)[2] is True
    press(browser, Keys.ARROW_DOWN)
    current = browser.find_element(By.CSS_SELECTOR, ".current")
    assert current == find_clip(browser, "u2", "resynthesis")
    assert read_audio(browser, current)[2] is True  # paused stays paused
    press(browser, Keys.ARROW_UP)
    assert browser.find_element(By.CSS_SELECTOR, ".current") == second


@pytest.mark.parametrize("part", [".reference", ".heard"])
def test_report_persian_runs_from_right_to_left(browser, report, part):
    open_page(browser, report)
    article = browser.find_element(By.CSS_SELECTOR, 'article[data-id="u1"]')
    text = article.find_element(By.CSS_SELECTOR, part)
    assert text.value_of_css_property("direction") == "rtl"
    assert text.get_attribute("lang") == "fa"
    boxes = browser.execute_script(LETTERS, text)
    assert (boxes[0][0], boxes[-1][0]) == ("س", "م")
    lefts = [left for letter, left, width in boxes if width > 0]
    assert len(lefts) > 8 and lefts == sorted(lefts, reverse=True)


def test_report_letters_of_a_marked_word_stay_joined(browser, report):
    open_page(browser, report)
    script = """
    const measure = (html) => {
      const line = document.createElement("p");
      line.className = "heard";
      line.style.display = "inline-block";
      line.innerHTML = html;
      document.body.append(line);
      return line.getBoundingClientRect().width;
    };
    return [measure("بیس"), measure("ب<b>ی</b>س"), measure("ب ی س")];
    """
    whole, marked, apart = browser.execute_script(script)
    assert marked == pytest.approx(whole, rel=0.1)
    assert apart > 1.2 * whole


def test_report_text_that_looks_like_a_script_stays_text(browser, report):
    open_page(browser, report)
    article = browser.find_element(By.CSS_SELECTOR, 'article[data-id="u4"]')
    assert "<script>window.hit=1</script>" in article.text
    assert browser.execute_script("return window.hit === undefined")
    assert browser.find_element(By.TAG_NAME, "h1").text == "tts_<b>bold</b>"
    assert browser.execute_script("return document.scripts.length") == 1


@pytest.mark.parametrize("page", ["report", "comparison"])
def test_page_asks_nothing_of_a_network(browser, page, request):
    open_page(browser, request.getfixturevalue(page))
    clip = find_clip(browser, "u2", "natural")
    clip.find_element(By.CSS_SELECTOR, ".play").click()
    wait_until(lambda: read_audio(browser, clip)[1] > 0)
    asked = [json.loads(e["message"]) for e in browser.get_log("performance")]
    urls = [
        event["message"]["params"]["request"]["url"]
        for event in asked
        if event["message"]["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.startswith("blob:") for url in urls)
    schemes = {url.split(":")[0] for url in urls}
    assert schemes <= {"file", "data", "blob"}


def test_report_policy_refuses_requests_and_other_scripts(browser, report):
    open_page(browser, report)
    script = """
    const done = arguments[0];
    const refused = [];
    document.addEventListener("securitypolicyviolation", (event) => {
      refused.push(event.effectiveDirective);
      if (refused.length === 2) done(refused.sort());
    });
    const image = document.createElement("img");
    image.src = "http://example.invalid/x.png";
    const other = document.createElement("script");
    other.textContent = "window.hit = 2";
    document.body.append(image, other);
    """
    assert browser.execute_async_script(script) == ["img-src", "script-src-elem"]
    assert browser.execute_script("return window.hit === undefined")


@pytest.mark.parametrize("page", ["report", "comparison"])
def test_page_fits_a_phone(browser, set_size, page, request):
    set_size(360, 740)
    open_page(browser, request.getfixturevalue(page))
    script = "return [innerWidth, document.documentElement.scrollWidth <= innerWidth]"
    assert browser.execute_script(script) == [360, True]
    wide = browser.execute_script(
        "return [...document.querySelectorAll('main *, .top *')].filter((e) => "
        "!e.closest('.scroll') && e.getBoundingClientRect().right > 361).length"
    )
    assert wide == 0
    heights = browser.execute_script(
        "return [...document.querySelectorAll('.utterance .play')]"
        ".map((e) => e.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44  # large enough for a thumb


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_text_stands_out_from_its_ground(browser, set_size, report, scheme):
    set_size(1200, 900, scheme)
    open_page(browser, report)
    strong, soft, kicker = browser.execute_script(
        CONTRAST, ["body", ".small", ".kicker"]
    )
    assert strong > 10
    assert soft > 4.5 and kicker > 4.5
    ground = browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor"
    )
    assert ("251" in ground) == (scheme == "light")


def start_blind(browser, listener="x y"):
    field = browser.find_element(By.ID, "listener")
    field.clear()
    field.send_keys(listener, Keys.ENTER)


def read_trial(browser):
    """Give the sentence and the system on each side, as their blobs tell."""
    script = """
    const audioOf = (clip) => clip.querySelector("audio").src;
    const on = {};
    for (const side of document.querySelectorAll("[data-side]")) {
      for (const clip of document.querySelectorAll("#list .clip:not(.missing)")) {
        if (audioOf(clip) === audioOf(side)) {
          on[side.dataset.side] = clip.dataset.name;
          on.utterance = clip.closest("article").dataset.id;
        }
      }
    }
    return on;
    """
    return browser.execute_script(script)


def listen(browser):
    """Press space until both sides were heard; tell which buttons are disabled."""
    for side in "AB":
        browser.find_element(By.TAG_NAME, "body").send_keys(" ")
        clip = browser.find_element(By.CSS_SELECTOR, f"[data-side={side}]")
        enough = min(1.0, float(clip.get_attribute("data-seconds")) / 2)
        wait_until(lambda: read_audio(browser, clip)[1] > enough + 0.05)  # noqa: B023
        browser.execute_script("player.pause()")
    votes = browser.find_elements(By.CSS_SELECTOR, "[data-vote]")
    return [not vote.is_enabled() for vote in votes]


def save_votes(browser):
    """Download the votes; give their file."""
    for old in browser.downloads.iterdir():
        old.unlink()
    (button,) = [
        b for b in browser.find_elements(By.CLASS_NAME, "save") if b.is_displayed()
    ]
    button.click()
    files = browser.downloads.iterdir  # while it is written it is no .tsv
    wait_until(lambda: [path.suffix for path in files()] == [".tsv"])
    (path,) = files()
    return path


def test_comparison_votes_are_blind_go_on_and_are_saved(browser, comparison):
    open_page(browser, comparison)
    start_blind(browser)
    seen, keys = [], {"1": "A", "2": "B", "0": "same"}
    for number, key in enumerate("102", start=1):
        assert browser.find_element(By.ID, "progress").text == f"{number} of 3"
        shown = browser.find_element(By.TAG_NAME, "body").text
        assert "first" not in shown and "other" not in shown
        body = browser.find_element(By.TAG_NAME, "body")
        body.send_keys(key)  # counts for nothing before both were heard
        assert browser.find_element(By.ID, "progress").text == f"{number} of 3"
        assert listen(browser) == [False] * 3
        seen.append((read_trial(browser), keys[key]))
        body.send_keys(key)
        if number == 1:  # interrupted
            open_page(browser, comparison)
            start_blind(browser)
    assert "Which was which" in browser.find_element(By.ID, "end").text
    revealed = browser.find_elements(By.CSS_SELECTOR, "#reveal tbody tr")
    assert [row.text.split()[:3] for row in revealed] == [
        [trial["utterance"], trial["A"], trial["B"]] for trial, _ in seen
    ]
    path = save_votes(browser)
    assert path.name == "votes_first_other_x-y.tsv"
    assert len(read_votes([path], ["first", "other"])) == 3
    text = path.read_text(encoding="utf-8")
    head, *rows = [line.split("\t") for line in text.splitlines()]
    assert head == (
        "utterance system_a system_b side_a vote listener seconds_listened time".split()
    )
    assert {row[0] for row in rows} == {"u1", "u2", "u4"}  # u3 lacks a recording
    for row, (trial, choice) in zip(rows, seen, strict=True):
        side = "A" if trial["A"] == "first" else "B"
        votes = {side: "system_a", "same": "same"}
        assert row[:6] == [
            trial["utterance"],
            "first",
            "other",
            side,
            votes.get(choice, "system_b"),
            "x y",
        ]
        assert 0.6 < float(row[6]) < 5
        assert row[7].endswith("Z")
    assert any(row[3] == "B" and row[4] != "same" for row in rows)  # sides count


def test_comparison_order_and_sides_follow_seed_and_listener(browser, comparison):
    script = "return JSON.stringify(arguments[0])"
    found = {}
    for listener in ("a", "b", "c", "d", "a"):
        open_page(browser, comparison)
        start_blind(browser, listener)
        trial = browser.execute_script(script, read_trial(browser))
        found.setdefault(listener, set()).add(trial)
    assert all(len(trials) == 1 for trials in found.values())
    assert len(set.union(*found.values())) > 1


def test_comparison_undo_stop_and_wrong_choices(browser, comparison):
    open_page(browser, comparison)
    start_blind(browser, " ")
    assert "Give a name" in browser.find_element(By.ID, "trouble").text
    choose(browser, "system_b", "first")
    start_blind(browser, "z")
    assert "two different" in browser.find_element(By.ID, "trouble").text
    choose(browser, "system_b", "natural")
    start_blind(browser, "z")
    assert browser.find_element(By.ID, "progress").text == "1 of 4"
    listen(browser)
    browser.find_element(By.CSS_SELECTOR, "[data-vote=same]").click()
    assert browser.find_element(By.ID, "progress").text == "2 of 4"
    browser.find_element(By.ID, "undo").click()
    assert browser.find_element(By.ID, "progress").text == "1 of 4"
    browser.find_element(By.CSS_SELECTOR, "#trial .stop").click()
    assert browser.find_element(By.ID, "list").is_displayed()
    assert not browser.find_element(By.ID, "trial").is_displayed()
