"""Pictures in, masks out: sizes, kinds of image, detail modes, checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.inference import Segmenter
from src.inference.model_spec import named
from src.processing import Processor
from src.weights.loading import create, to_official
from tests.inference.tiny import PROCESSOR, RedFinder, finder, red_on_blue


def test_mask_has_the_size_of_the_picture_and_finds_what_is_red() -> None:
    image, target = red_on_blue(91, 133)
    mask = finder().mask(image)
    assert mask.shape == (91, 133)
    assert mask.dtype == np.uint8
    assert np.abs(mask.astype(int) - target).mean() < 8


def test_is_what_evaluation_computes() -> None:
    """The same processor in the same order as `SegmentationModule.predictions`."""
    image, _ = red_on_blue()
    resized = torch.tensor(PROCESSOR.resize_image(image)).permute(2, 0, 1)[None]
    logits = RedFinder()(PROCESSOR.normalize(resized)).masks[0][0, 0]
    assert np.array_equal(
        finder().mask(image), PROCESSOR.postprocess(logits, image.shape[:2]).numpy()
    )


def test_batches_do_not_change_a_mask() -> None:
    images = [red_on_blue(50 + 7 * i, 60)[0] for i in range(5)]
    together = finder(batch_size=3).masks(images)
    assert all(np.array_equal(m, finder().mask(p)) for m, p in zip(together, images, strict=True))


def test_flip_is_the_mean_of_both_sides() -> None:
    image, _ = red_on_blue()
    mask = finder().mask(image, flip=True)
    mirrored = finder().mask(np.ascontiguousarray(image[:, ::-1]), flip=True)
    assert np.abs(mask.astype(int) - mirrored[:, ::-1]).max() <= 1


@pytest.mark.parametrize("scale", ["255", "per_image_max"])
def test_tiles_see_more_than_the_whole(scale: str) -> None:
    processor = Processor((64, 64), scale=scale, mean=(0, 0, 0), std=(1, 1, 1))  # type: ignore[arg-type]
    image, target = red_on_blue(300, 400)
    image[250:260] = (255, 255, 255)
    image[10:12, 5:395], target[10:12, 5:395] = (230, 40, 20), 255
    errors = {
        detail: np.abs(finder(processor).mask(image, detail=detail).astype(int) - target).mean()  # type: ignore[arg-type]
        for detail in ("whole", "tiles")
    }
    assert errors["tiles"] < 0.7 * errors["whole"]


def test_tiles_of_a_small_picture_are_the_picture() -> None:
    image, target = red_on_blue(40, 30)
    assert np.abs(finder().mask(image, detail="tiles").astype(int) - target).mean() < 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"detail": "huge"}, "whole, blended, tiles"),
        ({"detail": "blended"}, "InSPyReNet"),
        ({"overlap": 1.0}, "overlap"),
    ],
)
def test_options_that_do_not_exist(options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        finder().mask(red_on_blue()[0], **options)  # type: ignore[arg-type]


def test_a_network_that_needs_clicks_says_so() -> None:
    with pytest.raises(UserError, match="image and prompt"):
        finder(inputs=("image", "prompt")).mask(red_on_blue()[0])


@pytest.mark.parametrize(("key", "value"), [("device", "cuda:99"), ("precision", "fp8")])
def test_devices_and_precisions_that_do_not_exist(key: str, value: str) -> None:
    with pytest.raises(UserError, match=value):
        Segmenter(RedFinder(), PROCESSOR, **{"device": "cpu", key: value})  # type: ignore[arg-type]


def test_bf16_stays_close() -> None:
    image, _ = red_on_blue()
    masks = [finder(precision=p).mask(image).astype(int) for p in ("fp32", "bf16")]
    assert np.abs(masks[0] - masks[1]).mean() < 3


class Memory(RedFinder):
    """Has room for two images."""

    def forward(self, x: torch.Tensor):  # type: ignore[no-untyped-def]
        if len(x) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().forward(x)

    room = 2


def test_a_batch_that_does_not_fit_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    images = [red_on_blue()[0]] * 5
    segmenter = Segmenter(Memory(), PROCESSOR, device="cpu", batch_size=5)
    assert len(segmenter.masks(images)) == 5
    assert segmenter.batch_size == 2
    assert "out of memory" in caplog.text


def test_a_picture_that_does_not_fit_gets_advice() -> None:
    network = Memory()
    network.room = 0
    with pytest.raises(UserError, match="precision=bf16"):
        Segmenter(network, PROCESSOR, device="cpu").mask(red_on_blue()[0])


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file under its authors' names, called as it was released."""
    path = tmp_path_factory.mktemp("weights") / "u2netp.pth"
    torch.save(to_official(create("u2netp")), path)
    return path


def test_a_released_file_is_known_by_its_name(released: Path) -> None:
    segmenter = Segmenter.from_checkpoint(released, device="cpu", size=64)
    assert segmenter.name == "u2netp"
    assert segmenter.processor.scale == "per_image_max"
    assert segmenter.processor.size == (64, 64)
    assert segmenter.mask(red_on_blue(70, 50)[0]).shape == (70, 50)


def test_any_other_file_needs_its_model(released: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.pth"
    path.write_bytes(released.read_bytes())
    with pytest.raises(UserError, match="model=NAME"):
        Segmenter.from_checkpoint(path)
    assert Segmenter.from_checkpoint(path, "u2netp", "cpu").name == "u2netp"
    with pytest.raises(UserError, match="isnet"):
        Segmenter.from_checkpoint(path, "u3net")


def test_a_size_that_is_none(released: Path) -> None:
    with pytest.raises(UserError, match="positive"):
        Segmenter.from_checkpoint(released, size=-3)


def own_checkpoint(path: Path, target: str) -> Path:
    recipe = named("u2netp")
    said = {
        "model": "u2netp",
        "network": {"_target_": target, "small": True},
        "processor": {**recipe.processor.to_dict(), "size": (48, 48)},
        "inputs": ["image"],
    }
    state = {f"network.{k}": v for k, v in recipe.build().state_dict().items()}
    torch.save({"state_dict": state, "finecut": said}, path)
    return path


def test_a_checkpoint_of_ours_says_all_itself(tmp_path: Path) -> None:
    path = own_checkpoint(tmp_path / "best.ckpt", "src.networks.u2net.U2Net")
    segmenter = Segmenter.from_checkpoint(path, device="cpu")
    assert segmenter.processor.size == (48, 48)
    with pytest.raises(UserError, match="of u2netp, not of isnet"):
        Segmenter.from_checkpoint(path, "isnet")


@pytest.mark.parametrize(
    "target", ["os.system", "src.weights.loading.torch.load", "src.weights.loading.Path"]
)
def test_a_checkpoint_cannot_name_code_to_run(tmp_path: Path, target: str) -> None:
    path = own_checkpoint(tmp_path / "bad.ckpt", target)
    with pytest.raises(UserError, match=r"no network|only src\.networks"):
        Segmenter.from_checkpoint(path)
