"""`scene studio` in a real browser: paint, draw, walk, resample, segment, and refuse."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from inference.runs.places import DEMO
from inference.studio.models import IMAGENET, Models, all_runs, named_runs
from scene.images.io import write_image, write_mask
from scene.labels import Labels

ROOT = Path(__file__).parents[2]
WAIT = 60
"""Seconds that the browser waits for an answer at most."""

REMOTE = re.compile(r"https?://(?!127\.0\.0\.1)[\w.-]+")
NAMESPACE = "http://www.w3.org"
"""Not an address that is asked, but the name of SVG."""


def _browser():
    """Return the programs that make a browser; None without one."""
    found = [
        next(filter(None, map(shutil.which, names)), None)
        for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
    ]
    return found if all(found) else None


@pytest.fixture(scope="module")
def studio(_trained, tmp_path_factory):
    """Serve the page over tiny runs, in a process of its own; give its address."""
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inference.segmentation.imagenet.packaged_weights", lambda name: None)
        runs = [_trained(name) for name in ("telbo", "classifier", "sec")]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "SCENE_RUNS": str(folder / "runs")}
    env |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    words = [sys.executable, "-m", "cli", "studio", *map(str, runs), "--no-open"]
    with (folder / "errors").open("w") as errors:
        server = subprocess.Popen(
            [*words, "--device", "cpu"],
            stdout=subprocess.PIPE, stderr=errors, text=True, env=env, cwd=folder,
        )  # fmt: skip
    try:
        line = server.stdout.readline()
        assert line.startswith("scene studio: http://127.0.0.1:"), (folder / "errors").read_text()
        yield line.split()[2]
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="module")
def browser():
    """Open a browser that can reach this machine alone."""
    programs = _browser()
    if programs is None:
        pytest.skip("NO BROWSER: install chromium and chromedriver to test scene studio's page")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for word in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--window-size=1280,1600", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):  # fmt: skip
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    yield driver
    driver.quit()


class Page:
    """The page in a browser, with what a person does on it."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get(address)
        self.until(lambda: self.all("#paint canvas"))

    def all(self, selector):
        return [one for one in self.browser.find_elements("css selector", selector)]

    def until(self, happened):
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(
            self.browser, WAIT, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        with suppress(TimeoutException):
            return wait.until(lambda _: happened())
        raise AssertionError(
            f"the page says: {self.browser.find_element('tag name', 'body').text}"
        )

    def click(self, selector, number=0):
        one = self.until(lambda: self.all(selector)[number:])[0]
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", one)
        one.click()

    def tab(self, title):
        (button,) = [b for b in self.all("button[role=tab]") if b.text == title]
        button.click()

    def paint(self, label):
        from selenium.webdriver.common.action_chains import ActionChains

        names = [button.text for button in self.all("#paint .swatches button")]
        self.click("#paint .swatches button", names.index(label))
        (canvas,) = self.all("#paint canvas")
        stroke = ActionChains(self.browser).move_to_element_with_offset(canvas, -60, -60)
        stroke.click_and_hold().move_by_offset(50, 40).move_by_offset(40, 0).release().perform()

    def drag(self, tile, end):
        from selenium.webdriver.common.action_chains import ActionChains

        one, place = self.all("#walk .tiles figure")[tile], self.all("#walk .end")[end]
        ActionChains(self.browser).drag_and_drop(one, place).perform()

    def upload(self, selector, path):
        self.until(lambda: self.all(f"{selector} input[type=file]"))[0].send_keys(str(path))

    @property
    def refusals(self):
        return [one.text for one in self.all(".refusal") if one.is_displayed()]

    @property
    def notes(self):
        return " ".join(one.text for one in self.all(".note") if one.is_displayed())

    def set(self, selector, value):
        self.browser.execute_script(
            "arguments[0].value = arguments[1];"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            self.all(selector)[0],
            value,
        )

    def requests(self):
        """Return the addresses that the browser asked since the last call."""
        messages = [
            json.loads(entry["message"])["message"]
            for entry in self.browser.get_log("performance")
        ]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture
def page(browser, studio):
    return Page(browser, studio)


def test_a_painted_mask_becomes_scenes(page):
    page.click("#draw-mask")
    assert page.until(lambda: page.refusals) == [
        "Nothing is painted yet; choose a class and paint it on the canvas."
    ]
    page.paint("ring")
    page.click("#draw-mask")
    page.until(lambda: len(page.all("#mask-scenes figure")) == 8)
    assert not page.refusals
    assert page.notes.startswith("8 scenes in ")
    for picture in page.all("#mask-scenes img"):
        assert picture.get_property("naturalWidth") == 16
        assert picture.size["width"] > 60


def test_a_mask_of_the_data_is_painted_on_and_undone(page):
    def ids():
        return page.browser.execute_script(
            "const c = document.querySelector('#paint canvas');"
            "return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
        )

    blank = ids()
    next(one for one in page.all("button") if one.text == "Mask of the data").click()
    page.until(lambda: ids() != blank)
    given = ids()
    page.paint("cross")
    painted = ids()
    assert painted != given
    page.click("#paint .undo")
    assert ids() == given
    page.click("#paint .clear")
    assert ids() == blank


def test_ticked_classes_become_scenes(page):
    page.tab("Draw from classes")
    page.click("#classes input[type=checkbox]", 1)
    page.click("#draw-classes")
    page.until(lambda: len(page.all("#classes-scenes figure")) == 8)
    (title,) = page.all("#classes-scenes h3")
    assert title.text == "Scenes drawn given circle, square"


def test_two_scenes_are_dragged_and_walked_between(page):
    page.tab("Walk")
    page.click("#draw-tiles")
    page.until(lambda: len(page.all("#walk .tiles figure")) == 8)
    sources = [one.get_attribute("src") for one in page.all("#walk .tiles figure img")]
    page.drag(1, 0)
    page.drag(4, 1)
    page.until(lambda: len(page.all("#walk-scenes figure")) == 10)
    way = [one.get_attribute("src") for one in page.all("#walk-scenes img")]
    assert (way[:2], way[-2:]) == (sources[2:4], sources[8:10])


def test_one_view_is_drawn_anew(page):
    page.tab("Resample")
    page.click("#resample")
    assert page.until(lambda: page.refusals) == [
        "There is no scene yet; draw one, or take one of the data."
    ]
    page.click("#new-scene")
    page.until(lambda: page.all("#held img"))
    page.click("#resample")
    page.until(lambda: len(page.all("#resampled img")) == 8)
    (title,) = page.all("#resampled h3")
    assert title.text == "Image drawn anew, given classes and mask"


def test_a_photograph_is_segmented_stage_by_stage(page, tmp_path):
    write_image(tmp_path / "photo.jpg", torch.rand(3, 30, 40))
    page.tab("Photograph")
    page.upload("#photo", tmp_path / "photo.jpg")
    names = page.until(lambda: [one.text for one in page.all("#stages .names button")])
    assert names == ["Grad-CAM", "Grad-CAM + CRF", "SEC", "SEC + CRF"]
    assert "40×30 pixels" in page.notes

    def opacities():
        return [
            round(float(page.all(f"#stages .{name}")[0].value_of_css_property("opacity")), 2)
            for name in ("lower", "upper")
        ]

    page.set("#stages .opacity", 0.8)
    page.set("#stages .stage", 0)
    assert opacities() == [0.8, 0]
    page.set("#stages .stage", 2.25)
    assert opacities() == [0.6, 0.2]
    mask = page.all("#stages .lower")[0].get_attribute("src")
    page.click("#stages .uncertain")
    assert page.all("#stages .lower")[0].get_attribute("src") != mask
    page.click("#crf button")
    page.until(lambda: page.all("#crf input[type=range]"))
    page.set("#crf input[type=range]", 20)
    page.until(lambda: page.notes.startswith("The CRF took "))


def test_bad_files_are_refused_with_a_sentence(page, tmp_path):
    (tmp_path / "words.png").write_text("no picture")
    write_mask(tmp_path / "strange.png", torch.full((8, 8), 40), Labels(("a", "b")))
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(33 * 2**20)
    for name, sentence in {
        "strange.png": "strange.png has the label id 40, but there are 7 labels",
        "words.png": "words.png cannot be read as a picture, it may be damaged",
    }.items():
        page.all("#paint ~ * input[type=file], input[type=file]")[0].send_keys(
            str(tmp_path / name)
        )
        page.until(lambda s=sentence: any(s in one for one in page.refusals))
    page.tab("Photograph")
    page.upload("#photo", tmp_path / "words.png")
    page.until(lambda: any("words.png cannot be read" in one for one in page.refusals))
    page.click("#photo button[aria-label*=lear], #photo button[aria-label*=emove]")
    page.upload("#photo", tmp_path / "large.jpg")
    body = page.browser.find_element("tag name", "body")
    page.until(lambda: "exceed the maximum allowed size of 32" in body.text)


def test_the_browser_asks_no_other_host(page, studio):
    page.requests()
    page.browser.get(studio)
    page.until(lambda: page.all("#paint canvas"))
    page.tab("Photograph")
    asked = page.requests()
    assert len(asked) > 10
    assert not [one for one in asked if not one.startswith((studio, "data:", "blob:"))]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window(page, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        wide = page.browser.execute_script("return document.scrollingElement.scrollWidth")
        (canvas,) = page.all("#paint canvas")
        assert wide <= width
        assert canvas.size["width"] >= 280
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def _text(address):
    with urllib.request.urlopen(address) as answer:
        return answer.read().decode(), answer.headers


def test_the_page_and_its_styles_name_no_other_host(studio):
    html, headers = _text(studio)
    assert not REMOTE.findall(html)
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    sheets = {"theme.css", *re.findall(r'href="([^"]+\.css[^"]*)"', html)}
    assert len(sheets) > 1
    for sheet in sheets:
        css, _ = _text(sheet if sheet.startswith("http") else studio + sheet.lstrip("./"))
        assert set(REMOTE.findall(css)) <= {NAMESPACE}


def test_the_page_is_for_this_machine_alone(studio):
    """No other address of this machine answers, nor does the page to another name."""
    port = int(studio.rstrip("/").rpartition(":")[2])
    if sys.platform == "linux":
        with pytest.raises(ConnectionRefusedError), socket.socket() as other:
            other.connect(("127.0.0.2", port))
    stranger = urllib.request.Request(studio, headers={"Host": "a.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(stranger).close()


def test_a_file_that_is_too_large_is_not_taken(studio):
    body = b"--b\r\nContent-Disposition: form-data; name=files; filename=a.jpg\r\n\r\n"
    body += bytes(33 * 2**20) + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    request = urllib.request.Request(f"{studio}gradio_api/upload", data=body, headers=headers)
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request).close()


def test_without_gradio_the_command_says_how_to_install_it(refused, monkeypatch):
    monkeypatch.setattr("inference.studio.page.find_spec", lambda name: None)
    assert refused("studio") == (
        "scene studio needs Gradio, of the extra studio; install it with `uv sync --extra "
        "studio`, or `pip install '.[studio]'` in the project's folder."
    )


def test_what_is_no_run_is_refused(refused, trained):
    assert "nowhere" in refused("studio", "nowhere")
    folder = trained()
    (folder / "weights.safetensors").unlink()
    assert "is not complete; continue it with scene train --resume" in refused("studio", folder)


def test_runs_are_offered_by_what_they_can_do(trained):
    folders = [trained(name) for name in ("segmenter", "sec", "classifier", "telbo")]
    models = Models(named_runs(folders), "cpu")
    assert models.drawing == ["telbo"]
    assert models.segmenting == ["classifier", "sec", "segmenter", "telbo"]
    assert models.chain == ["classifier", "sec"]
    assert models.title("telbo") == "telbo (telbo, 16×16)"
    assert Models(named_runs(folders[:1]), "cpu").chain == ["segmenter"]
    with pytest.raises(LookupError, match="Did you mean 'telbo'"):
        models.fitted("tebo")


def test_runs_of_one_name_are_told_apart(trained, tmp_path):
    first = trained("segmenter")
    second = shutil.copytree(first, tmp_path / "other" / first.name)
    assert Models(named_runs([first, second]), "cpu").segmenting == [str(first), str(second)]


def test_imagenet_answers_where_its_weights_are(monkeypatch):
    monkeypatch.setattr("inference.studio.models.is_installed", lambda: True)
    assert Models([]).chain == [IMAGENET]


def test_the_demo_draws_where_no_run_does(trained):
    assert [run.folder for run in all_runs()] == [DEMO]
    models = Models(all_runs(), "cpu")
    assert models.drawing == ["demo"]
    assert models.segmenting in ([], [IMAGENET])
    trained("segmenter")
    assert [run.folder.name for run in all_runs()] == ["segmenter", "demo"]
    trained("telbo")
    assert DEMO not in [run.folder for run in all_runs()]


def test_a_page_without_runs_says_what_to_train(tmp_path):
    """In a process of its own, where Gradio may leave an event loop open."""
    code = (
        "import inference.studio.models as m; m.is_installed = lambda: False\n"
        "from inference.studio.page import build\n"
        "page = build(m.Models([]))\n"
        "print(*(getattr(one, 'value', '') for one in page.blocks.values()))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code]
    text = subprocess.run(words, check=True, capture_output=True, text=True, env=env).stdout
    assert text.count("scene train telbo --particles 5") == 4
    assert text.count("scene train classifier") == 1
