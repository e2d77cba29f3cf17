"""Scored sets of tones, the pages made of them, and a browser to open these in."""

import shutil

import numpy as np
import pytest

from espnet_vibevoice.data.audio import write_wav
from espnet_vibevoice.score.columns import SYSTEMS
from espnet_vibevoice.score.error_rates import score_text
from espnet_vibevoice.score.stored import read_scores, write_scores
from espnet_vibevoice.score.summary import MeasureList

FS = 24000
# Persian with ZERO WIDTH NON-JOINER; the last one tries to be a script.
TEXTS = {
    "u1": "سلام دنیا می\u200cروم",
    "u2": "هوا خوب است",
    "u3": "کتاب\u200cها روی میز است",
    "u4": "<script>window.hit=1</script> آب",
}
# What was heard in the synthesis; u2 as it should be, u3 nothing.
HEARD = {
    "u1": "سلام میروم باز",
    "u2": "هوا خوب است",
    "u3": "",
    "u4": "<img src=x onerror=window.hit=1> آب",
}
FAULTS = {"u1": "cut,repeated", "u3": "empty"}
SECONDS = {"u1": 0.8, "u2": 1.6, "u3": 1.5, "u4": 0.6}
EXPERIMENT = "tts_<b>bold</b>"


def make_tone(seconds, hertz):
    """Give a tone with a click each quarter of a second."""
    times = np.arange(round(seconds * FS)) / FS
    return 0.3 * np.sin(2 * np.pi * hertz * times) * (times % 0.25 > 0.01)


def make_row(folder, utterance, system, hertz=300):
    """Give a row of a scored set, its recording written."""
    wav = folder / f"{utterance}_{system}.wav"
    write_wav(wav, make_tone(SECONDS[utterance], hertz), FS)
    reference = TEXTS[utterance]
    is_synthesis = system == "synthesis"
    hypothesis = HEARD[utterance] if is_synthesis else reference
    score = score_text(reference, hypothesis)
    return {
        "utterance": utterance,
        "speaker": "s1",
        "system": system,
        "status": "ok",
        "wav": str(wav),
        "seconds": f"{SECONDS[utterance]:.3f}",
        # not prepared: the page has to stand any text
        "reference": reference,
        "hypothesis": hypothesis,
        "cer": repr(score.characters.rate),
        "wer": repr(score.words.rate),
        "faults": FAULTS.get(utterance, "") if is_synthesis else "",
    }


def make_summary(cer):
    """Give a summary with one measure that has no value."""
    summary = {
        measure: {
            system: {"value": cer, "low": cer / 2, "high": cer * 1.5, "n": 4}
            for system in SYSTEMS
        }
        for measure in MeasureList().names
    }
    reason = "no speaker model <given>"
    summary["speaker_similarity"] = {
        system: {"value": None, "low": None, "high": None, "n": 0, "reason": reason}
        for system in SYSTEMS
    }
    return summary


FAILED = ("u3", "synthesis")
META = {
    "set": "test",
    "decoding": "decode",
    "experiment": EXPERIMENT,
    "utterances": len(TEXTS),
    "recognizers": [{"name": "ctc", "kind": "espnet", "model": "asr.pth"}],
    "command": 'score --set "test" <x',
    "date": "2026-01-01 00:00:00 UTC",
    "git_commit": None,
}


def drop_recording(row):
    """Give what a row is like whose utterance could not be decoded."""
    if (row["utterance"], row["system"]) != FAILED:
        return {}
    reason = "no end <found>"
    return {"wav": "", "status": "failed", "reason": reason, "seconds": ""}


@pytest.fixture(scope="session")
def make_scores(tmp_path_factory):
    """Give a function that writes a scored set of tones; returns its folder."""

    def make(change=None, cer=0.25, hertz=300):
        folder = tmp_path_factory.mktemp("scores")
        rows = [make_row(folder, u, s, hertz) for u in TEXTS for s in SYSTEMS]
        for row in rows:
            if change:
                row |= change(row)
        summary = make_summary(cer)
        write_scores(folder / "score", meta=META, summary=summary, rows=rows)
        return folder / "score"

    return make


@pytest.fixture(scope="session")
def report(make_scores):
    """Write the listening report of four utterances; one has no synthesis."""
    from espnet_vibevoice.score.report.listening import write_report

    score_dir = make_scores(drop_recording)
    out = score_dir / "report.html"
    write_report(score_dir, out, max_utts=10)
    return out


@pytest.fixture(scope="session")
def compared(make_scores):
    """Give names and scores of two systems; the second one lacks a recording."""
    second = make_scores(drop_recording, hertz=500)
    return [("first", read_scores(make_scores())), ("other", read_scores(second))]


@pytest.fixture(scope="session")
def comparison(compared, tmp_path_factory):
    """Write the page of two systems."""
    from espnet_vibevoice.score.report.comparison import write_comparison_page

    out = tmp_path_factory.mktemp("comparison") / "compare.html"
    table = [["measure", "other - first"], ["CER (%)", "-1.00 (p < 0.05)"]]
    write_comparison_page(compared, out, max_utts=10, table=table, seed=3)
    return out


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """Start Chromium without a window and without a network."""
    from selenium import webdriver

    downloads = tmp_path_factory.mktemp("downloads")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",  # tests may run as root, e.g. in a container
        "--disable-dev-shm-usage",
        "--mute-audio",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    options.set_capability(
        "goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"}
    )
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(60)
    driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(downloads)},
    )
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Give the browser at the size of a desk, light, its logs and stores emptied."""
    set_view(chromium, 1200, 900)
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    yield chromium
    chromium.execute_script("localStorage.clear()")
    chromium.get("about:blank")


def set_view(driver, width, height, scheme="light"):
    """Set the size of the window and whether it is dark."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


@pytest.fixture
def set_size(browser):
    """Give a function that sets width, height and light or dark."""
    return lambda *words: set_view(browser, *words)
