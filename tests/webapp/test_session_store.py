"""Pictures and objects on the desk: each result made once, each file gone in the end."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from src.errors import UserError
from src.inference import Segmenter
from src.webapp.session_store import OUTPUTS, Clicks, GoneError, SessionStore
from src.webapp.uploads import TooLargeError
from tests.inference.tiny import finder
from tests.webapp.guided import LIMITS, decoded, encoded, guided, two_reds

IMAGE, LABELS = two_reds()
LEFT = Clicks([(40, 35)], [1], (20, 20, 59, 49))
RIGHT = Clicks([], None, (100, 30, 129, 79))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where desks put their files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def desk() -> Iterator[SessionStore]:
    desk = SessionStore(guided("refine"), LIMITS)
    yield desk
    desk.close()


@pytest.fixture
def key(desk: SessionStore) -> str:
    return desk.open(encoded(IMAGE), "street/photo.png").key


def counted(segmenter: Segmenter, name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    real = getattr(segmenter, name)

    def count(*arguments: object, **options: object) -> object:
        calls.append(1)
        return real(*arguments, **options)

    monkeypatch.setattr(segmenter, name, count)
    return calls


def test_a_picture_has_an_upright_size_a_name_and_a_key_of_its_own(desk: SessionStore) -> None:
    one, other = (desk.open(encoded(IMAGE), "../cat.png") for _ in range(2))
    assert (one.name, one.size, one.objects) == ("cat.png", (90, 160), set())
    assert one.key != other.key
    assert one.key not in str(one.folder)
    assert np.abs(decoded(desk.image(one.key)[0]).astype(int) - IMAGE).mean() < 5


def test_what_is_refused_takes_no_place(desk: SessionStore, home: Path) -> None:
    before = len(list(home.rglob("*")))
    with pytest.raises(TooLargeError):
        desk.open(bytes(2_000_001), "a.png")
    with pytest.raises(UserError, match="not a picture"):
        desk.open(b"no picture", "a.png")
    assert len(list(home.rglob("*"))) == before


def test_a_mask_is_made_once_for_all_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = SessionStore(finder(), LIMITS)
    calls = counted(desk.segmenter, "mask", monkeypatch)
    key = desk.open(encoded(IMAGE), "a").key
    shapes = {output: decoded(desk.result(key, output)).shape for output in OUTPUTS}
    assert shapes == {"mask": (90, 160), "rgba": (90, 160, 4), "overlay": (90, 160, 3)}
    assert desk.result(key, "rgba", view=True) != b""
    assert calls == [1]
    desk.close()


def test_the_mode_that_the_desk_was_given_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, asked = SessionStore(finder(), LIMITS, detail="tiles"), []

    def mask(pixels: np.ndarray, **options: object) -> np.ndarray:
        asked.append(options)
        return np.zeros(pixels.shape[:2], np.uint8)

    monkeypatch.setattr(desk.segmenter, "mask", mask)
    desk.result(desk.open(encoded(IMAGE), "a").key, "mask")
    assert asked == [{"detail": "tiles"}]
    desk.close()


def test_the_picture_is_encoded_again_only_for_another(
    desk: SessionStore, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted(desk.segmenter, "set_image", monkeypatch)
    other = desk.open(encoded(IMAGE), "other").key
    for image, number in ((key, 1), (key, 2), (other, 1), (key, 1)):
        desk.put_object(image, number, LEFT)
    assert calls == [1] * 3


def test_a_changed_object_has_none_of_its_old_results(desk: SessionStore, key: str) -> None:
    desk.put_object(key, 1, LEFT)
    before = decoded(desk.object_result(key, 1, "rgba"))
    shown = decoded(desk.put_object(key, 1, RIGHT))
    after = decoded(desk.object_result(key, 1, "rgba"))
    assert np.array_equal(after[..., 3], shown)
    assert not np.array_equal(before[..., 3], after[..., 3])
    assert np.array_equal(decoded(desk.object_result(key, 1, "mask")), shown)


def test_clicks_that_cannot_be_meant_leave_the_object_as_it_was(
    desk: SessionStore, key: str
) -> None:
    before = desk.put_object(key, 1, LEFT)
    with pytest.raises(UserError, match="no area"):
        desk.put_object(key, 1, Clicks([], None, (20, 20, 20, 49)))
    assert desk.object_result(key, 1, "mask", view=True) == before
    with pytest.raises(UserError):
        desk.put_object(key, 2, Clicks([(400, 35)], [1], LEFT.box))
    with pytest.raises(GoneError):
        desk.object_result(key, 2, "mask")


# pycocotools 2.0 meets numpy 2; mended on its side.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_objects_are_gathered_and_forgotten(desk: SessionStore, key: str) -> None:
    pytest.importorskip("pycocotools")
    for number, clicks in ((1, LEFT), (2, RIGHT), (7, LEFT)):
        desk.put_object(key, number, clicks)
    desk.drop_object(key, 1)
    desk.drop_object(key, 1)  # not there: no error
    assert set(np.unique(decoded(desk.palette(key)))) == {0, 2, 7}
    content = desk.coco(key)
    assert [one["id"] for one in content["annotations"]] == [2, 7]  # type: ignore[attr-defined]
    assert content["images"][0]["file_name"] == "photo.png"  # type: ignore[index]
    with pytest.raises(GoneError, match=r"photo\.png has no object 1\."):
        desk.object_result(key, 1, "mask")


def test_a_picture_without_objects_exports_nothing(desk: SessionStore, key: str) -> None:
    assert not decoded(desk.palette(key)).any()
    assert desk.coco(key)["annotations"] == []


@pytest.mark.parametrize("ask", ["image", "palette", "coco"])
def test_what_is_not_here_is_gone(desk: SessionStore, ask: str) -> None:
    with pytest.raises(GoneError, match="only the latest are kept"):
        getattr(desk, ask)("unknown")


def test_the_picture_not_used_for_longest_makes_room(home: Path) -> None:
    desk = SessionStore(guided("refine"), LIMITS, keep=2)
    first, second = (desk.open(encoded(IMAGE), "a") for _ in range(2))
    desk.put_object(second.key, 1, LEFT)
    desk.image(first.key)
    desk.open(encoded(IMAGE), "a")
    with pytest.raises(GoneError):
        desk.palette(second.key)
    assert not second.folder.exists()
    assert desk.put_object(first.key, 1, LEFT)
    desk.close()
    assert list(home.iterdir()) == []


def test_closing_forgets_everything(desk: SessionStore, key: str, home: Path) -> None:
    desk.put_object(key, 1, LEFT)
    desk.close()
    assert list(home.iterdir()) == []
    with pytest.raises(GoneError):
        desk.image(key)


@pytest.mark.parametrize("keep", [0, -1])
def test_a_desk_holds_at_least_one_picture(keep: int) -> None:
    with pytest.raises(UserError, match=f"keep is {keep}"):
        SessionStore(finder(), LIMITS, keep=keep)
