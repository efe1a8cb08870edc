"""What `preprocess=` says of an ONNX file of others: how it wants its image, and what it gives."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from omegaconf import DictConfig
from pydantic import BeforeValidator, Field

from src.settings.parse import parse, plain
from src.settings.schema import Allowed, Flag, Name, Settings, Size, setting

Numbers = Annotated[
    list[float],
    BeforeValidator(lambda value: [float(n) for n in value] if _are_numbers(value) else value),
    Field(min_length=3, max_length=3),
    Allowed("three numbers, [red,green,blue]"),
]
Scale = Annotated[
    Literal["255", "per_image_max", "none"],
    BeforeValidator(lambda value: "255" if value == 255 and value is not True else value),
]


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in value
    )


class PreprocessSettings(Settings):
    """Each null is what the file's model does, or ImageNet's mean and std where it has none."""

    size: Size | None = setting("of the input, where the file leaves it free", default=None)
    mean: Numbers | None = setting("subtracted, after scaling", default=None)
    std: Numbers | None = setting("divides", default=None)
    scale: Scale | None = setting("what divides the 8-bit image first", default=None)
    kernel: Literal["opencv", "opencv_cubic", "pillow", "area"] | None = setting(
        "how the image is resized; pillow: antialiased", default=None
    )
    layout: Literal["nchw", "nhwc"] | None = setting(
        "order of the input's axes; null: as its shape says", default=None
    )
    channels: Literal["rgb", "bgr"] | None = setting("order of the colors", default=None)
    output: Name | None = setting("the output that is the mask; null: the first", default=None)
    values: Literal["probabilities", "logits"] | None = setting(
        "what the output holds; null: probabilities where the graph ends in a sigmoid", default=None
    )
    min_max: Flag | None = setting("stretch each mask to the full range", default=None)

    def given(self) -> dict[str, Any]:
        """The keys that say something."""
        return self.model_dump(exclude_none=True)


def parse_preprocess(given: DictConfig | Mapping[str, Any] | None) -> dict[str, Any]:
    """The keys of `preprocess` that say something, checked.

    Raises:
        CommandError: A line for each that is unknown, or has a value it cannot take.
    """
    return parse(_Keys, {"preprocess": plain(given)}).preprocess.given() if given else {}


class _Keys(Settings):
    """So that messages name the keys as they are typed."""

    preprocess: PreprocessSettings
