"""The page in a real browser: the system's Chromium, without a window.

Skipped only where no Chromium is installed; .ci/run installs it.
"""

import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from pycocotools import mask as coco_masks

from src.inference import Segmenter
from src.webapp.object_files import voc_colors
from src.webapp.server import create_app
from src.webapp.session_store import SessionStore
from tests.inference.tiny import finder
from tests.webapp.guided import LIMITS, decoded, encoded, guided, iou, two_reds

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    # pycocotools 2.0 meets numpy 2; mended on its side.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

expect.set_options(timeout=30_000)  # a loaded machine, not a slow page
IMAGE, LABELS = two_reds(270, 480)  # the objects of `two_reds` lie at fixed pixels


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, segmenter: Segmenter) -> Iterator[Page]:
    """The page of a model; scripts may not fail on it, and nothing may be loaded from elsewhere."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(SessionStore(segmenter, LIMITS))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(30_000)
        trouble: list[str] = []
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.extend(_foreign(request.url, address)))
        try:
            page.goto(address)
            yield page
            assert trouble == []
        finally:
            page.close()
            server.should_exit = True
            thread.join(30)


def _foreign(url: str, address: str) -> list[str]:
    return [] if url.startswith((address, "blob:", "data:")) else [url]


def drop(page: Page, data: bytes, name: str, zeros: int = 0) -> None:
    """Drop a file anywhere on the page, as a browser reports it; `zeros` follow the data."""
    transfer = page.evaluate_handle(
        """([bytes, zeros, name]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes), new Uint8Array(zeros)], name));
            return transfer;
        }""",
        [list(data), zeros, name],
    )
    page.locator("body").dispatch_event("drop", {"dataTransfer": transfer})


def downloaded(page: Page, button: str) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    path = download.value.path()
    assert path.is_file()
    return path


def colour_at(element: Locator, x: float, y: float) -> np.ndarray:
    """The color on the screen at shares of an element's width and height."""
    pixels = decoded(element.screenshot(animations="disabled"))
    return pixels[int(y * pixels.shape[0]), int(x * pixels.shape[1]), :3].astype(int)


def click_at(page: Page, *points: tuple[float, float], right: bool = False) -> None:
    """Click into the middle of pixels of the picture."""
    for point in points:
        page.mouse.click(*on_screen(page, point), button="right" if right else "left")


def drag_box(page: Page, box: tuple[int, int, int, int]) -> None:
    page.mouse.move(*on_screen(page, box[:2]))
    page.mouse.down()
    page.mouse.move(*on_screen(page, box[2:]), steps=3)
    page.mouse.up()


def on_screen(page: Page, point: tuple[float, ...]) -> tuple[float, float]:
    bounds = page.locator("#marks").bounding_box()
    assert bounds is not None
    zoom = bounds["width"] / IMAGE.shape[1]
    return bounds["x"] + (point[0] + 0.5) * zoom, bounds["y"] + (point[1] + 0.5) * zoom


def choose(page: Page) -> None:
    """Choose the picture in the file dialogue and wait until it can be clicked at."""
    file = {"name": "two reds.png", "mimeType": "image/png", "buffer": encoded(IMAGE)}
    page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
    expect(page.locator("#pointed")).to_have_js_property("naturalWidth", IMAGE.shape[1])


def objects(page: Page) -> Locator:
    return page.locator("#objects .pick")


def check_exports(page: Page) -> None:
    """Both objects, as COCO's JSON and as a palette PNG."""
    content = json.loads(downloaded(page, "All: COCO JSON").read_text(encoding="utf-8"))
    assert content["images"][0]["file_name"] == "two reds.png"
    with Image.open(downloaded(page, "All: palette PNG")) as image:
        labels = np.array(image)
        colors = np.array(image.convert("RGB"))
    assert [one["id"] for one in content["annotations"]] == [1, 2]
    for one in content["annotations"]:
        found = coco_masks.decode(one["segmentation"])
        assert iou(found > 0, one["id"] == LABELS) > 0.85
        assert np.array_equal(found > 0, labels == one["id"])
    assert np.array_equal(colors, voc_colors()[labels])


def test_a_dropped_picture_is_cut_out_compared_and_saved(browser: Browser) -> None:
    with opened(browser, finder()) as page:
        drop(page, encoded(IMAGE), "two reds.png")  # before the page knows its model, perhaps
        compare, split = page.locator("#compare"), page.locator("#split")
        expect(compare).to_have_attribute("data-shown", "rgba")
        expect(page.locator("#model")).to_contain_text("64 × 64")

        split.fill("100")  # all picture: blue at the lower left
        assert np.abs(colour_at(compare, 0.1, 0.9) - (20, 60, 220)).max() < 30
        split.fill("0")  # all result: nothing is left of the blue
        assert np.ptp(colour_at(compare, 0.1, 0.9)) < 20
        split.focus()
        page.keyboard.press("ArrowRight")
        expect(split).to_have_value("0.5")

        page.get_by_text("Mask", exact=True).click()
        expect(compare).to_have_attribute("data-shown", "mask")
        assert colour_at(compare, 40 / 480, 35 / 270).min() > 230
        assert colour_at(compare, 0.1, 0.9).max() < 20

        cut = decoded(downloaded(page, "Cut-out (PNG)").read_bytes())
        assert cut.shape == (*IMAGE.shape[:2], 4)
        assert np.array_equal(cut[..., 3], finder().mask(IMAGE))
        assert iou(cut[..., 3] >= 128, LABELS > 0) > 0.8


def test_the_magnifier_shows_the_pixels_of_the_result(browser: Browser) -> None:
    with opened(browser, finder()) as page:
        drop(page, encoded(IMAGE), "two reds.png")
        compare, lens = page.locator("#compare"), page.locator("#lens")
        expect(compare).to_have_attribute("data-shown", "rgba")
        page.get_by_text("White", exact=True).click()
        page.keyboard.press("m")
        expect(lens).to_have_attribute("data-ready", "true")
        bounds = compare.bounding_box()
        assert bounds is not None
        zoom = bounds["width"] / IMAGE.shape[1]
        edge = (bounds["x"] + 60 * zoom, bounds["y"] + 35 * zoom)  # the right edge of the left red
        page.mouse.move(*edge)
        expect(lens).to_be_visible()
        red, white = colour_at(lens, 0.3, 0.5), colour_at(lens, 0.85, 0.5)
        assert red[0] - red[2] > 120
        assert white.min() > 240
        page.get_by_role("button", name="Magnifier").click()
        expect(lens).to_be_hidden()
        page.mouse.move(*edge)
        expect(lens).to_be_hidden()


def test_a_bad_file_gets_a_message_and_the_picture_stays(browser: Browser) -> None:
    with opened(browser, finder()) as page:
        drop(page, encoded(IMAGE), "good.png")
        expect(page.locator("#compare")).to_have_attribute("data-shown", "rgba")
        for data, zeros, name, words in (
            (b"hello", 0, "notes.txt", "notes.txt: not an image"),
            (encoded(IMAGE, "JPEG")[:1500], 0, "half.jpg", "half.jpg: damaged"),
            (b"BM", 2_000_000, "large.bmp", "large.bmp is larger than 2 MB"),
        ):
            drop(page, data, name, zeros)
            expect(page.get_by_role("alert")).to_contain_text(words)
            page.get_by_role("button", name="Close message").click()
            expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#compare")).to_be_visible()


def test_four_points_undo_and_the_next_object(browser: Browser) -> None:
    left = [(20, 35), (59, 35), (40, 20), (40, 49)]
    with opened(browser, guided("extreme_points")) as page:
        choose(page)
        expect(page.locator("#hint")).to_contain_text("0 of 4")
        click_at(page, *left[:3])
        expect(page.locator("#hint")).to_contain_text("3 of 4")
        expect(objects(page)).to_contain_text("no mask yet")
        click_at(page, left[3])
        expect(objects(page)).to_contain_text("0.9 %")
        page.keyboard.press("z")
        expect(objects(page)).to_contain_text("no mask yet")
        click_at(page, left[3])
        expect(objects(page)).to_contain_text("0.9 %")
        page.keyboard.press("n")
        expect(objects(page)).to_have_count(2)
        click_at(page, (100, 50), (129, 50), (115, 30), (115, 79))
        expect(objects(page).nth(1)).to_contain_text(re.compile(r"1\.[12] %"))
        check_exports(page)


def test_a_box_corrections_and_a_refused_click(browser: Browser) -> None:
    with opened(browser, guided("refine")) as page:
        choose(page)
        drag_box(page, (20, 20, 59, 49))
        expect(objects(page)).to_contain_text("0.9 %")
        click_at(page, (40, 35))
        click_at(page, (25, 45), right=True)  # outside: takes a disc away
        expect(objects(page)).not_to_contain_text("0.9 %")
        page.get_by_role("button", name="Undo").click()
        expect(objects(page)).to_contain_text("0.9 %")

        click_at(page, (400, 250))  # far from the box
        expect(page.get_by_role("alert")).to_contain_text("larger box")
        expect(objects(page)).to_contain_text("0.9 %")

        page.get_by_role("button", name="Next object").click()
        page.locator("#marks").focus()
        for key in _keys_to_box():
            page.keyboard.press(key)
        expect(objects(page).nth(1)).to_contain_text("%")
        page.get_by_role("button", name="Remove object 2").click()
        expect(objects(page)).to_have_count(1)


def test_masks_are_combined_undone_and_there_again_after_a_reload(browser: Browser) -> None:
    with opened(browser, guided("extreme_points")) as page:
        choose(page)
        for point in ((20, 35), (59, 35), (40, 20), (40, 49)):
            click_at(page, point)
        expect(objects(page)).to_contain_text("0.9 %")
        page.get_by_text("Add", exact=True).click()
        click_at(page, (100, 50), (129, 50), (115, 30), (115, 79))
        expect(objects(page)).to_contain_text(re.compile(r"2\.[0-9] %"))
        page.keyboard.press("s")  # what follows is taken away
        click_at(page, (100, 30), (129, 30))
        expect(page.locator("#hint")).to_contain_text("2 of 4")

        page.reload()
        expect(objects(page)).to_contain_text(re.compile(r"2\.[0-9] %"))
        expect(page.locator("#hint")).to_contain_text("2 of 4")
        expect(page.get_by_role("radio", name="Subtract")).to_be_checked()
        for _ in range(6):  # two clicks, and the four that made the second part
            page.keyboard.press("z")
        expect(objects(page)).to_contain_text("0.9 %")
        for _ in range(4):
            page.keyboard.press("y")
        expect(objects(page)).to_contain_text(re.compile(r"2\.[0-9] %"))
        expect(page.get_by_role("button", name="Undo")).to_be_enabled()


def test_a_part_is_sharpened_by_keyboard_alone_and_survives_a_reload(browser: Browser) -> None:
    image = two_reds(400, 2000)[0]
    with opened(browser, finder()) as page:
        drop(page, encoded(image), "wide.png")
        compare = page.locator("#compare")
        expect(compare).to_have_attribute("data-shown", "rgba")
        expect(compare).to_be_focused()
        expect(page.get_by_role("button", name="Sharpen here")).to_be_disabled()
        for key in ("+", "+", "+", "+", *["ArrowLeft"] * 10, *["ArrowUp"] * 10):
            page.keyboard.press(key)
        expect(page.locator("#zoom-fit")).to_have_text("244 %")
        near = page.locator("#after-near")
        expect(near).to_be_visible()
        window = [int(part) for part in str(near.get_attribute("data-window")).split(",")]
        assert window == [0, 0, 819, 163]

        page.keyboard.press("s")
        expect(compare).to_have_attribute("data-windows", "1")
        sharpened = decoded(downloaded(page, "Mask (PNG)").read_bytes())
        whole = finder().mask(image)
        assert np.array_equal(sharpened, finder().sharpen(image, whole, window))
        assert not np.array_equal(sharpened, whole)

        page.reload()
        expect(compare).to_have_attribute("data-windows", "1")
        expect(page.locator("#zoom-fit")).to_have_text("244 %")
        page.keyboard.press("Control+z")
        expect(compare).to_have_attribute("data-windows", "0")
        assert np.array_equal(decoded(downloaded(page, "Mask (PNG)").read_bytes()), whole)
        page.keyboard.press("y")
        expect(compare).to_have_attribute("data-windows", "1")

        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_contain_text("sharpen what is seen")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_picture_that_the_server_forgot_is_asked_for_again(browser: Browser) -> None:
    with opened(browser, finder()) as page:
        page.evaluate("""() => {
            sessionStorage.setItem("finecut", JSON.stringify({ id: "longgone" }));
            localStorage.setItem("finecut-latest", JSON.stringify({ id: "longgone", name: "a" }));
        }""")
        page.reload()
        expect(page.get_by_role("alert")).to_contain_text("Please send it again")
        page.reload()
        expect(page.locator("#limits")).to_contain_text("megapixels")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator("#continue")).to_be_hidden()
        drop(page, encoded(IMAGE), "two reds.png")
        expect(page.locator("#compare")).to_have_attribute("data-shown", "rgba")


def _keys_to_box() -> list[str]:
    """A box by keyboard: from the middle to the left and up."""
    return ["ArrowLeft", "b", *["Shift+ArrowLeft"] * 3, *["Shift+ArrowUp"] * 2, "b"]
