"""Images and objects in the store: each result is made once while there is memory for it."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import UserError
from src.inference import Segmenter
from src.webapp.edits import (
    MOST_WINDOWS,
    Clicks,
    HistoryError,
    Mode,
    Part,
    PointedObject,
    TooManyError,
    combined,
)
from src.webapp.result_memory import ResultMemory
from src.webapp.session_store import OUTPUTS, GoneError, SessionStore
from src.webapp.uploads import Limits, TooLargeError
from tests.inference.tiny import finder
from tests.webapp.guided import LIMITS, decoded, encoded, guided, two_reds

IMAGE, LABELS = two_reds()
LEFT_CLICKS = Clicks([(40, 35)], [1], (20, 20, 59, 49))
RIGHT_CLICKS = Clicks([], None, (100, 30, 129, 79))
LEFT, RIGHT = PointedObject(LEFT_CLICKS), PointedObject(RIGHT_CLICKS)
MIDDLE = PointedObject(Clicks([], None, (60, 30, 90, 60)))
FAR_OFF = PointedObject(Clicks([(400, 35)], [1], LEFT_CLICKS.box))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files would lie if any were written."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def store() -> Iterator[SessionStore]:
    store = SessionStore(guided("refine"), LIMITS)
    yield store
    store.close()


@pytest.fixture
def key(store: SessionStore) -> str:
    return store.open(encoded(IMAGE), "street/photo.png").key


def counted(segmenter: Segmenter, name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    real = getattr(segmenter, name)

    def count(*arguments: object, **options: object) -> object:
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(segmenter, name, count)
    return calls


def test_a_picture_has_an_upright_size_a_name_and_a_key_of_its_own(store: SessionStore) -> None:
    one, other = (store.open(encoded(IMAGE), "../cat.png") for _ in range(2))
    assert (one.name, one.size, one.edits.objects) == ("cat.png", (90, 160), {})
    assert one.key != other.key
    assert np.abs(decoded(store.image(one.key)[0]).astype(int) - IMAGE).mean() < 5


def test_what_is_refused_takes_no_place(store: SessionStore, key: str, home: Path) -> None:
    with pytest.raises(TooLargeError):
        store.open(bytes(2_000_001), "a.png")
    with pytest.raises(UserError, match="not an image"):
        store.open(b"no picture", "a.png")
    assert list(home.iterdir()) == []
    assert store.memory.size == 0
    assert store.image(key)


def test_a_mask_is_made_once_for_all_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SessionStore(finder(), LIMITS)
    calls = counted(store.segmenter, "mask", monkeypatch)
    key = store.open(encoded(IMAGE), "a").key
    shapes = {output: decoded(store.result(key, output)).shape for output in OUTPUTS}
    assert shapes == {"mask": (90, 160), "rgba": (90, 160, 4), "overlay": (90, 160, 3)}
    assert store.result(key, "rgba", view=True) != b""
    assert calls == [1]
    store.close()


def test_the_mode_that_the_store_was_given_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = SessionStore(finder(), LIMITS, detail="tiles"), []

    def mask(pixels: np.ndarray, **options: object) -> np.ndarray:
        asked.append(options)
        return np.zeros(pixels.shape[:2], np.uint8)

    monkeypatch.setattr(store.segmenter, "mask", mask)
    store.result(store.open(encoded(IMAGE), "a").key, "mask")
    assert asked == [{"detail": "tiles"}]
    store.close()


def test_the_picture_is_encoded_again_only_for_another(
    store: SessionStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(store.segmenter, "set_image", monkeypatch)
    other = store.open(encoded(IMAGE), "other").key
    for image, pointed in ((key, LEFT), (key, RIGHT), (other, LEFT), (key, LEFT), (key, MIDDLE)):
        store.put_object(image, 1, pointed)
    assert calls == [1] * 3


def test_a_changed_object_has_none_of_its_old_results(store: SessionStore, key: str) -> None:
    store.put_object(key, 1, LEFT)
    before = decoded(store.object_result(key, 1, "rgba"))
    shown = decoded(store.put_object(key, 1, RIGHT))
    after = decoded(store.object_result(key, 1, "rgba"))
    assert np.array_equal(after[..., 3], shown)
    assert not np.array_equal(before[..., 3], after[..., 3])
    assert np.array_equal(decoded(store.object_result(key, 1, "mask")), shown)


def test_clicks_that_cannot_be_meant_leave_the_object_as_it_was(
    store: SessionStore, key: str
) -> None:
    before = store.put_object(key, 1, LEFT)
    with pytest.raises(UserError, match="no area"):
        store.put_object(key, 1, PointedObject(Clicks([], None, (20, 20, 20, 49))))
    assert store.object_result(key, 1, "mask", view=True) == before
    with pytest.raises(UserError):
        store.put_object(key, 2, FAR_OFF)
    with pytest.raises(GoneError):
        store.object_result(key, 2, "mask")


# pycocotools 2.0 meets numpy 2; mended on its side.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_objects_are_gathered_and_forgotten(store: SessionStore, key: str) -> None:
    pytest.importorskip("pycocotools")
    for number, clicks in ((1, LEFT), (2, RIGHT), (7, LEFT)):
        store.put_object(key, number, clicks)
    store.drop_object(key, 1)
    store.drop_object(key, 1)  # not there: no error
    assert set(np.unique(decoded(store.palette(key)))) == {0, 2, 7}
    content = store.coco(key)
    assert [one["id"] for one in content["annotations"]] == [2, 7]  # type: ignore[attr-defined]
    assert content["images"][0]["file_name"] == "photo.png"  # type: ignore[index]
    with pytest.raises(GoneError, match=r"photo\.png has no object 1\."):
        store.object_result(key, 1, "mask")


def test_a_picture_without_objects_exports_nothing(store: SessionStore, key: str) -> None:
    assert not decoded(store.palette(key)).any()
    assert store.coco(key)["annotations"] == []


@pytest.mark.parametrize("ask", ["image", "palette", "coco"])
def test_what_is_not_here_is_gone(store: SessionStore, ask: str) -> None:
    with pytest.raises(GoneError, match="only the latest are kept"):
        getattr(store, ask)("unknown")


def test_the_picture_not_used_for_longest_makes_room(home: Path) -> None:
    store = SessionStore(guided("refine"), LIMITS, keep=2)
    first, second = (store.open(encoded(IMAGE), "a") for _ in range(2))
    store.put_object(second.key, 1, LEFT)
    store.image(first.key)
    store.open(encoded(IMAGE), "a")
    with pytest.raises(GoneError):
        store.palette(second.key)
    assert store.memory.size == len(store.image(first.key)[0])
    assert store.put_object(first.key, 1, LEFT)
    assert list(home.iterdir()) == []


def test_closing_forgets_everything(store: SessionStore, key: str) -> None:
    store.put_object(key, 1, LEFT)
    store.close()
    assert store.memory.size == 0
    with pytest.raises(GoneError):
        store.image(key)


# pycocotools 2.0 meets numpy 2; mended on its side.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("most", [1, 40_000])
def test_what_memory_had_no_room_for_is_made_again_from_the_clicks(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocotools")
    roomy = SessionStore(guided("refine"), LIMITS)
    tight = SessionStore(guided("refine"), LIMITS, memory=ResultMemory(most, most))
    asked = counted(tight.segmenter, "predict", monkeypatch)
    answers = []
    for store in (roomy, tight):
        key, other = (store.open(encoded(IMAGE), "a").key for _ in range(2))
        shown = [store.put_object(key, n, clicks) for n, clicks in ((1, LEFT), (2, RIGHT))]
        store.put_object(other, 1, LEFT)
        results = [store.object_result(key, n, what) for n in (1, 2) for what in OUTPUTS]
        answers.append([shown, results, store.palette(key), store.coco(key), store.image(key)])
        assert store.memory.size <= store.memory.most
    assert answers[0] == answers[1]
    assert len(asked) > 3
    with pytest.raises(UserError):
        tight.put_object(key, 2, FAR_OFF)
    assert tight.object_result(key, 2, "mask") == answers[0][0][1]


def test_clicks_and_downloads_write_no_file(
    store: SessionStore, key: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was written or read")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    for clicks in (LEFT, RIGHT):
        store.put_object(key, 1, clicks)
    for output in OUTPUTS:
        store.object_result(key, 1, output)
    assert store.image(key)
    assert store.palette(key)
    assert list(home.iterdir()) == []


def test_a_view_of_a_large_image_is_smaller_and_of_a_small_one_the_same_file() -> None:
    store = SessionStore(finder(), Limits(megapixels=5, megabytes=2))
    small = store.open(encoded(IMAGE), "a").key
    assert store.result(small, "overlay", view=True) == store.result(small, "overlay")
    large = store.open(encoded(two_reds(40, 1700)[0]), "a").key
    for output in OUTPUTS:
        assert decoded(store.result(large, output)).shape[:2] == (40, 1700)
        assert decoded(store.result(large, output, view=True)).shape[:2] == (38, 1600)


@pytest.mark.parametrize("keep", [0, -1])
def test_a_store_holds_at_least_one_image(keep: int) -> None:
    with pytest.raises(UserError, match=f"keep is {keep}"):
        SessionStore(finder(), LIMITS, keep=keep)


@pytest.mark.parametrize(
    ("mode", "of_two"),
    [
        ("add", lambda a, b: a | b),
        ("subtract", lambda a, b: a & ~b),
        ("intersect", lambda a, b: a & b),
    ],
)
def test_masks_of_two_clicks_are_combined(
    store: SessionStore, key: str, mode: Mode, of_two: object
) -> None:
    right = LABELS == 2
    store.put_object(key, 1, PointedObject(LEFT_CLICKS))
    first = decoded(store.object_result(key, 1, "mask")) >= 128
    store.put_object(key, 2, RIGHT)
    second = decoded(store.object_result(key, 2, "mask")) >= 128
    assert (second & right).sum() > 0.8 * right.sum()
    store.put_object(key, 1, PointedObject(LEFT_CLICKS, (Part(mode, RIGHT_CLICKS),)))
    both = decoded(store.object_result(key, 1, "mask")) >= 128
    assert np.array_equal(both, of_two(first, second))  # type: ignore[operator]


def test_soft_masks_combine_as_their_halves_do() -> None:
    one, other = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    inside, also = one >= 128, other >= 128
    assert np.array_equal(combined(one, "add", other) >= 128, inside | also)
    assert np.array_equal(combined(one, "subtract", other) >= 128, inside & ~also)
    assert np.array_equal(combined(one, "intersect", other) >= 128, inside & also)


def test_every_change_of_objects_is_undone_and_done_again(store: SessionStore, key: str) -> None:
    states = [store.state(key)["objects"]]
    for change in (
        lambda: store.put_object(key, 1, LEFT),
        lambda: store.put_object(key, 1, PointedObject(LEFT_CLICKS, (Part("add", RIGHT_CLICKS),))),
        lambda: store.put_object(key, 2, PointedObject(draft=(None, Clicks([(3, 4)])))),
        lambda: store.drop_object(key, 1),
    ):
        change()
        states.append(store.state(key)["objects"])
    assert states[-1] == {"2": {"combine": [], "draft": {"mode": None, **_plain(3, 4)}}}
    for expected in states[-2::-1]:
        assert store.undo(key)["objects"] == expected
    with pytest.raises(HistoryError, match="nothing to undo"):
        store.undo(key)
    for expected in states[1:]:
        assert store.redo(key)["objects"] == expected
    store.undo(key)
    assert (store.state(key)["undo"], store.state(key)["redo"]) == (3, 1)
    store.put_object(key, 3, RIGHT)
    with pytest.raises(HistoryError, match="nothing to do again"):
        store.redo(key)


def _plain(x: int, y: int) -> dict[str, object]:
    return {"points": ((x, y),), "labels": None, "box": None}


def test_an_undone_mask_comes_from_memory(
    store: SessionStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.put_object(key, 1, LEFT)
    store.put_object(key, 1, RIGHT)
    calls = counted(store.segmenter, "predict", monkeypatch)
    store.undo(key)
    assert store.object_result(key, 1, "mask", view=True) == first
    assert calls == []


def test_clicks_that_make_no_mask_yet_are_kept_and_exported_nowhere(
    store: SessionStore, key: str
) -> None:
    draft = PointedObject(draft=(None, Clicks([(3, 4)])))
    assert store.put_object(key, 1, draft) is None
    assert not decoded(store.palette(key)).any()
    with pytest.raises(GoneError, match="has no mask yet"):
        store.object_result(key, 1, "mask")
    with pytest.raises(UserError, match="begins with clicks"):
        store.put_object(key, 1, PointedObject())


WINDOW = (10, 10, 70, 60)


def test_a_sharpened_window_changes_nothing_outside_and_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = SessionStore(finder(), LIMITS)
    key = store.open(encoded(cv2.resize(IMAGE, (640, 360))), "a").key
    before = decoded(store.result(key, "mask"))
    state = store.sharpen(key, (40, 40, 279, 239))
    assert state["windows"] == [{"window": (40, 40, 279, 239), "overrule": False}]
    after = decoded(store.result(key, "mask"))
    inside = np.zeros(before.shape, bool)
    inside[40:240, 40:280] = True
    assert np.array_equal(before[~inside], after[~inside])
    assert (before[inside] != after[inside]).any()
    calls = counted(store.segmenter, "logits", monkeypatch)
    assert store.undo(key)["windows"] == []
    assert np.array_equal(decoded(store.result(key, "mask")), before)
    store.redo(key)
    assert np.array_equal(decoded(store.result(key, "mask")), after)
    assert calls == []


def test_sharpened_masks_are_made_again_where_memory_had_no_room() -> None:
    masks = []
    for memory in (None, ResultMemory(1, 1)):
        store = SessionStore(finder(), LIMITS, memory=memory)
        key = store.open(encoded(IMAGE), "a").key
        store.sharpen(key, WINDOW)
        store.sharpen(key, (30, 20, 150, 80), overrule=True)
        masks.append(decoded(store.result(key, "mask")))
    assert np.array_equal(*masks)


def test_windows_of_an_image_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SessionStore(finder(), LIMITS)
    key = store.open(encoded(IMAGE), "a").key
    for i in range(MOST_WINDOWS):
        store.sharpen(key, (0, 0, 20 + i, 20))
    with pytest.raises(TooManyError, match="undo some first"):
        store.sharpen(key, WINDOW)
    assert len(store.state(key)["windows"]) == MOST_WINDOWS


def test_a_window_of_a_result_has_its_own_pixels() -> None:
    store = SessionStore(finder(), Limits(megapixels=5, megabytes=2))
    key = store.open(encoded(cv2.resize(IMAGE, (2000, 1125))), "a").key
    window = (500, 300, 799, 449)
    rows, columns = slice(300, 450), slice(500, 800)
    mask = decoded(store.result(key, "mask"))
    assert np.array_equal(decoded(store.result(key, "mask", True, window)), mask[rows, columns])
    assert decoded(store.result(key, "rgba", True, window)).shape == (150, 300, 4)
    assert decoded(store.image(key, window)[0]).shape == (150, 300, 3)
    wide = (0, 0, 1899, 1000)
    assert decoded(store.result(key, "mask", True, wide)).shape == (843, 1600)
