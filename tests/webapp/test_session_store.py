"""Images and objects in the store: each result is made once while there is memory for it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.inference import Segmenter
from src.webapp.result_memory import ResultMemory
from src.webapp.session_store import OUTPUTS, Clicks, GoneError, SessionStore
from src.webapp.uploads import Limits, TooLargeError
from tests.inference.tiny import finder
from tests.webapp.guided import LIMITS, decoded, encoded, guided, two_reds

IMAGE, LABELS = two_reds()
LEFT = Clicks([(40, 35)], [1], (20, 20, 59, 49))
RIGHT = Clicks([], None, (100, 30, 129, 79))


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
    assert (one.name, one.size, one.objects) == ("cat.png", (90, 160), {})
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
    for image, number in ((key, 1), (key, 2), (other, 1), (key, 1)):
        store.put_object(image, number, LEFT)
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
        store.put_object(key, 1, Clicks([], None, (20, 20, 20, 49)))
    assert store.object_result(key, 1, "mask", view=True) == before
    with pytest.raises(UserError):
        store.put_object(key, 2, Clicks([(400, 35)], [1], LEFT.box))
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
        tight.put_object(key, 2, Clicks([(400, 35)], [1], LEFT.box))
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
