"""The page's routes as a browser uses them, around a network whose masks are known."""

import asyncio
import errno
import os
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_masks

from src.webapp.uploads import Limits
from tests.inference.tiny import finder
from tests.webapp.guided import (
    CorrectedRedObject,
    decoded,
    encoded,
    guided,
    iou,
    sent,
    serving,
    two_reds,
)

# pycocotools 2.0 meets numpy 2; mended on its side.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

IMAGE, LABELS = two_reds()
LEFT = {"points": [[20, 35], [59, 35], [40, 20], [40, 49]]}  # extreme points
LEFT_BOX = {"box": [20, 20, 59, 49], "points": [[40, 35]], "labels": [1]}
RIGHT_BOX = {"box": [100, 30, 129, 79]}


def test_a_picture_becomes_a_mask_a_cut_out_and_an_overlay() -> None:
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE))
        mask = decoded(client.get(f"{place}/mask").content)
        cut = decoded(client.get(f"{place}/rgba").content)
        overlay = decoded(client.get(f"{place}/overlay").content)
        shown = decoded(client.get(f"{place}/picture").content)
    assert np.array_equal(mask, finder().mask(IMAGE))
    assert iou(mask >= 128, LABELS > 0) > 0.9
    assert cut.shape == (90, 160, 4)
    assert np.array_equal(cut[..., 3], mask)
    assert overlay.shape == shown.shape == IMAGE.shape


def test_results_have_the_size_of_the_upright_picture_and_views_are_small() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    large = cv2.resize(IMAGE, (1800, 300))
    with serving(finder()) as client:
        place = sent(client, encoded(large, "JPEG", exif=exif))
        assert decoded(client.get(f"{place}/picture").content).shape[:2] == (1800, 300)
        assert decoded(client.get(f"{place}/rgba").content).shape == (1800, 300, 4)
        assert decoded(client.get(f"{place}/rgba?view=true").content).shape == (1600, 267, 4)


def test_sixteen_bits_stay() -> None:
    deep = cv2.imencode(".png", IMAGE[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    with serving(finder()) as client:
        data = client.get(f"{sent(client, deep)}/rgba").content
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_a_mask_of_grey_levels_comes_back_as_it_was_made() -> None:
    """Values of 0 and 1 are no mask of zeros and ones."""
    faint = finder()
    faint.mask = lambda *_, **__: np.ones((90, 160), np.uint8)  # type: ignore[method-assign]
    with serving(faint) as client:
        cut = decoded(client.get(f"{sent(client, encoded(IMAGE))}/rgba").content)
    assert set(np.unique(cut[..., 3])) == {1}


def test_what_the_page_says_of_its_model() -> None:
    with serving(finder(name="u2netp"), license="mine") as client:
        said = client.get("/api/model").json()
    assert said["model"] == "u2netp"
    assert said["clicks"] is None
    assert said["license"] == "mine"
    assert said["parameters"] == 3
    assert (said["max_megapixels"], said["max_upload_mb"]) == (1, 2)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"no picture", 400, "not an image"),
        (encoded(IMAGE, "JPEG")[:800], 400, "damaged"),
        (bytes(2_000_001), 413, "larger than 2 MB"),
        (encoded(np.zeros((1001, 1000), np.uint8)), 413, "1 megapixels"),
    ],
)
def test_a_bad_upload_gets_a_sentence(data: bytes, status: int, words: str) -> None:
    with serving(finder()) as client:
        response = client.post("/api/pictures?name=cat.jpg", content=data)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert words in response.json()["error"]


def test_an_upload_of_unknown_length_is_cut_off() -> None:
    taken = []

    def endless():  # type: ignore[no-untyped-def]
        for i in range(1000):
            taken.append(i)
            yield bytes(100_000)

    with serving(finder()) as client:
        response = client.post("/api/pictures", content=endless())
    assert response.status_code == 413


def test_an_upload_that_is_broken_off_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    parts = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    answers: list[Any] = []

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/pictures",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    with serving(finder()) as client:
        asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]
    assert answers[0]["status"] == 400
    assert caplog.records == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/pictures/unknown/mask", 404),
        ("GET", "/api/pictures/unknown/picture", 404),
        ("GET", "/api/pictures/unknown/coco", 404),
        ("GET", "/api/pictures/unknown", 404),
        ("POST", "/api/pictures/unknown/undo", 404),
        ("PUT", "/api/pictures/unknown/objects/1", 404),
        ("GET", "/api/pictures/..%2F..%2Fetc/mask", 404),
        ("GET", f"/api/pictures/{'x' * 65}/mask", 422),
        ("GET", "/static/..%2Fserver.py", 404),
        ("GET", "/nothing", 404),
        ("DELETE", "/api/pictures", 405),
    ],
)
def test_what_is_not_there_is_said(method: str, path: str, status: int) -> None:
    with serving(guided("refine")) as client:
        response = client.request(method, path, json=LEFT_BOX if method == "PUT" else None)
    assert response.status_code == status
    assert response.json()["error"]


def test_only_the_latest_pictures_are_kept() -> None:
    with serving(finder(), keep=2) as client:
        first, second = (sent(client, encoded(IMAGE)) for _ in range(2))
        assert client.get(f"{first}/mask").status_code == 200  # used now, so not the oldest
        third = sent(client, encoded(IMAGE))
        assert client.get(f"{second}/mask").status_code == 404
        assert "send it again" in client.get(f"{second}/mask").json()["error"]
        assert client.get(f"{first}/mask").status_code == 200
        assert client.get(f"{third}/mask").status_code == 200


def test_a_failure_of_the_server_shows_no_traceback() -> None:
    broken = finder()

    def fail(*_: object, **__: object) -> np.ndarray:
        raise RuntimeError("secret inner thing")

    broken.mask = fail  # type: ignore[method-assign]
    with serving(broken) as client:
        response = client.get(f"{sent(client, encoded(IMAGE))}/mask")
    assert response.status_code == 500
    assert "its log" in response.json()["error"]
    assert "secret" not in response.text


def test_the_model_sees_one_request_at_a_time_and_the_server_answers_meanwhile() -> None:
    slow = finder()
    going, finish, together = threading.Event(), threading.Event(), []
    inner, running = slow.mask, []

    def mask(*arguments: object, **options: object) -> np.ndarray:
        running.append(1)
        together.append(len(running))
        going.set()
        assert finish.wait(20)
        time.sleep(0.01)
        running.pop()
        return inner(*arguments, **options)  # type: ignore[arg-type]

    with serving(slow) as client, ThreadPoolExecutor(3) as pool:
        places = [sent(client, encoded(IMAGE)) for _ in range(3)]
        slow.mask = mask  # type: ignore[method-assign]
        answers = [pool.submit(client.get, f"{place}/mask") for place in places]
        assert going.wait(20)
        assert client.get("/api/model").status_code == 200
        assert client.get("/").status_code == 200
        assert not any(answer.done() for answer in answers)
        finish.set()
        assert [answer.result().status_code for answer in answers] == [200] * 3
    assert together == [1, 1, 1]


def test_four_extreme_points_make_an_object() -> None:
    with serving(guided("extreme_points")) as client:
        assert client.get("/api/model").json()["clicks"] == "extreme_points"
        place = sent(client, encoded(IMAGE))
        mask = decoded(client.put(f"{place}/objects/1", json=LEFT).content)
    assert mask.shape == LABELS.shape
    assert iou(mask >= 128, LABELS == 1) > 0.9


def test_objects_of_a_picture_are_exported_together() -> None:
    with serving(guided("inside_outside")) as client:
        place = sent(client, encoded(IMAGE), "street/photo.png")
        for number, clicks in ((1, LEFT_BOX), (2, LEFT_BOX), (3, RIGHT_BOX)):
            assert client.put(f"{place}/objects/{number}", json=clicks).status_code == 200
        assert client.delete(f"{place}/objects/2").status_code == 204
        with Image.open(BytesIO(client.get(f"{place}/palette").content)) as image:
            assert image.mode == "P"
            labels = np.asarray(image)
        content = client.get(f"{place}/coco").json()
        cut = decoded(client.get(f"{place}/objects/3/rgba").content)
        assert client.get(f"{place}/objects/2/mask").status_code == 404
    assert set(np.unique(labels)) == {0, 1, 3}
    assert iou(labels == 1, LABELS == 1) > 0.9
    assert iou(labels == 3, LABELS == 2) > 0.9
    assert content["images"][0]["file_name"] == "photo.png"
    assert [one["id"] for one in content["annotations"]] == [1, 3]
    for one in content["annotations"]:
        assert np.array_equal(coco_masks.decode(one["segmentation"]), labels == one["id"])
    assert np.array_equal(cut[..., 3] >= 128, labels == 3)


def test_corrections_use_one_encoding_and_undo_brings_the_mask_back() -> None:
    segmenter = guided("refine")
    network = segmenter.network
    assert isinstance(network, CorrectedRedObject)
    corrected = {**LEFT_BOX, "points": [[40, 35], [24, 45]], "labels": [1, 0]}
    with serving(segmenter) as client:
        place = sent(client, encoded(IMAGE))
        first = client.put(f"{place}/objects/1", json=LEFT_BOX).content
        second = client.put(f"{place}/objects/1", json=corrected).content
        again = client.put(f"{place}/objects/1", json=LEFT_BOX).content
        assert network.encoded == 1
        assert decoded(client.get(f"{place}/objects/1/mask").content).tolist() == (
            decoded(again).tolist()
        )
    assert first == again
    assert decoded(first)[45, 24] > 200
    assert decoded(second)[45, 24] < 50


@pytest.mark.parametrize(
    ("number", "clicks", "status", "words"),
    [
        (1, {"points": [[40, 35]], "labels": [1]}, 400, "where is the object"),
        (1, {**LEFT_BOX, "points": [[400, 35]]}, 400, "outside the image"),
        (1, {"box": [20, 20, 20, 49]}, 400, "no area"),
        (1, {**LEFT_BOX, "labels": [2]}, 422, "labels"),
        (1, {"points": [["a", 1]]}, 422, "points"),
        (1, {"points": [[1, 1]] * 201}, 422, "points"),
        (1, {"box": [1, 2, 3]}, 422, "box"),
        (1, {"file": "/etc/passwd"}, 422, "file"),
        (1, {}, 400, "begins with clicks"),
        (1, {**LEFT_BOX, "combine": [{"mode": "xor"}]}, 422, "mode"),
        (1, {**LEFT_BOX, "combine": [{"mode": "add", "box": [1, 1, 1, 5]}]}, 400, "no area"),
        (1, {"combine": [{"mode": "add", **RIGHT_BOX}]}, 400, "begins with clicks"),
        (255, LEFT_BOX, 422, "number"),
        (0, LEFT_BOX, 422, "number"),
    ],
)
def test_clicks_that_cannot_be_meant_change_nothing(
    number: int, clicks: dict[str, object], status: int, words: str
) -> None:
    with serving(guided("refine")) as client:
        place = sent(client, encoded(IMAGE))
        before = client.put(f"{place}/objects/1", json=LEFT_BOX).content
        response = client.put(f"{place}/objects/{number}", json=clicks)
        assert response.status_code == status
        assert words in response.json()["error"]
        after = client.get(f"{place}/objects/1/mask").content
    assert np.array_equal(decoded(before), decoded(after))


def test_the_wrong_kind_of_model_says_so() -> None:
    with serving(guided("refine")) as client:
        response = client.get(f"{sent(client, encoded(IMAGE))}/mask")
        assert (response.status_code, "clicks" in response.json()["error"]) == (400, True)
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE))
        response = client.put(f"{place}/objects/1", json=LEFT_BOX)
        assert (response.status_code, "without clicks" in response.json()["error"]) == (400, True)


def test_an_upload_and_its_results_leave_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(finder(), Limits(1, 1)) as client:
        client.get(f"{sent(client, encoded(IMAGE))}/rgba")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(4, 70_000), (70_000, 4)])
def test_a_picture_too_wide_for_a_jpeg_is_shown_as_a_png(size: tuple[int, int]) -> None:
    with serving(finder()) as client:
        place = sent(client, encoded(np.zeros((*size, 3), np.uint8)))
        shown = client.get(f"{place}/picture")
        assert shown.headers["content-type"] == "image/png"
        assert decoded(shown.content).shape == (*size, 3)
        assert decoded(client.get(f"{place}/rgba").content).shape == (*size, 4)


def test_a_large_exif_block_stays_in_results_and_spoils_nothing() -> None:
    exif = Image.Exif()
    exif[0x9286] = b"x" * 100_000  # a JPEG's block ends at 64 kB
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE, exif=exif))
        assert client.get(f"{place}/picture").status_code == 200
        assert len(client.get(f"{place}/rgba").content) > 100_000


def test_pages_of_a_tiff_are_not_counted() -> None:
    """A chain of directories costs seconds by the megabyte; only the first is of interest."""
    count, rows = 20_000, bytes(4)
    entries = {256: 2, 257: 2, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 2, 279: 4}
    size = 6 + 12 * len(entries)
    entries[273] = 8 + size * count
    page = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items()
    )
    pages = (page + struct.pack("<I", 8 + size * (i + 1)) for i in range(count))
    data = b"II*\0" + struct.pack("<I", 8) + b"".join(pages)[:-4] + bytes(4) + rows
    with serving(finder(), Limits(1, 4)) as client:
        begun = time.monotonic()
        sent(client, data)
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_sentence_and_clicks_go_on(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    real = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        raise OSError(number, os.strerror(number), str(path))

    with serving(guided("refine")) as client:
        place = sent(client, encoded(IMAGE))
        client.put(f"{place}/objects/1", json=LEFT_BOX)
        monkeypatch.setattr(Path, "write_bytes", full)
        refused = client.post("/api/pictures", content=encoded(IMAGE))
        assert refused.status_code == 507
        assert "no room" in refused.json()["error"]
        changed = client.put(f"{place}/objects/1", json=RIGHT_BOX).content
        assert np.array_equal(
            decoded(client.get(f"{place}/objects/1/mask").content), decoded(changed)
        )
        assert client.get(f"{place}/objects/1/rgba").status_code == 200
        monkeypatch.setattr(Path, "write_bytes", real)
        sent(client, encoded(IMAGE))
    assert list(tmp_path.iterdir()) == []


def test_the_server_says_that_it_is_there() -> None:
    with serving(finder()) as client:
        response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_page_that_is_loaded_again_finds_everything_as_it_was() -> None:
    more = {**RIGHT_BOX, "mode": "add", "points": [[110, 50]], "labels": [1]}
    with serving(guided("refine")) as client:
        place = sent(client, encoded(IMAGE), "street/photo.png")
        client.put(f"{place}/objects/1", json={**LEFT_BOX, "combine": [more]})
        kept = client.put(f"{place}/objects/4", json={"draft": {"points": [[3, 4]]}})
        assert (kept.status_code, kept.content) == (204, b"")
        state = client.get(place).json()
        assert client.get(f"{place}/objects/4/mask").status_code == 404
        again = client.put(f"{place}/objects/2", json=state["objects"]["1"])  # as it was said
        assert again.content == client.get(f"{place}/objects/1/mask?view=true").content
    assert (state["name"], state["width"], state["height"]) == ("photo.png", 160, 90)
    assert state["objects"]["1"]["combine"][0]["mode"] == "add"
    assert state["objects"]["1"]["box"] == LEFT_BOX["box"]
    assert state["objects"]["4"]["draft"]["points"] == [[3, 4]]
    assert (state["undo"], state["redo"]) == (2, 0)


def test_sharpening_undoing_and_redoing_answer_with_the_state() -> None:
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE))
        before = client.get(f"{place}/mask").content
        state = client.post(f"{place}/windows", json={"window": [10, 10, 90, 70]}).json()
        assert state["windows"] == [{"window": [10, 10, 90, 70], "overrule": False}]
        assert client.post(f"{place}/undo").json()["windows"] == []
        assert client.get(f"{place}/mask").content == before
        assert client.post(f"{place}/redo").json() == state
        refused = client.post(f"{place}/redo")
        assert (refused.status_code, refused.json()["error"]) == (
            409,
            "There is nothing to do again.",
        )


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"window": [200, 10, 300, 50]}, 400, "no pixel in an image of 160 × 90"),
        ({"window": [-20, 10, -1, 50]}, 400, "no pixel"),
        ({"window": [10, 10, 10, 50]}, 400, "no area"),
        ({"window": [10, 50, 40, 10]}, 400, "no area"),
        ({"window": [10, 10, 40]}, 422, "window"),
        ({"window": ["a", 10, 40, 50]}, 422, "window"),
        ({"window": [10, 10, 40, 50], "feather": 3}, 422, "feather"),
        ({"window": [0] * 70_000}, 413, "at most 65536 bytes"),
    ],
)
def test_a_window_that_cannot_be_meant_changes_nothing(
    body: dict[str, object], status: int, words: str
) -> None:
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE))
        response = client.post(f"{place}/windows", json=body)
        assert (response.status_code, words in response.json()["error"]) == (status, True)
        assert client.get(place).json()["undo"] == 0


@pytest.mark.parametrize("query", ["1,2,3", "a,b,c,d", "1,2,3,4,5", "1,2,3,99999999999"])
def test_a_window_to_look_at_is_four_numbers(query: str) -> None:
    with serving(finder()) as client:
        place = sent(client, encoded(IMAGE))
        response = client.get(f"{place}/mask?window={query}")
        assert (response.status_code, "window" in response.json()["error"]) == (422, True)
        assert client.get(f"{place}/mask?window=500,500,600,600").status_code == 400
        seen = decoded(client.get(f"{place}/mask?window=20,20,59,49").content)
        assert seen.shape == (30, 40)


def test_an_expired_picture_is_said_to_be_gone_by_every_route() -> None:
    with serving(finder(), keep=1) as client:
        place = sent(client, encoded(IMAGE))
        sent(client, encoded(IMAGE))
        answers = [
            client.get(place),
            client.post(f"{place}/windows", json={"window": [1, 1, 9, 9]}),
            client.post(f"{place}/undo"),
            client.post(f"{place}/redo"),
        ]
    for answer in answers:
        assert (answer.status_code, "send it again" in answer.json()["error"]) == (404, True)
