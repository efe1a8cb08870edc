"""A card for each released checkpoint: `python -m src.inference.model_cards > docs/models.md`.

Facts of the weights are `weights/registry.yaml`, facts of the input conf/model; what a family can
not do is here.
"""

from collections.abc import Iterator
from typing import NamedTuple

from src.inference.model_spec import ModelSpec, named
from src.processing import Processor
from src.render import Markdown, markdown_table
from src.weights.registry import Released, released


class Family(NamedTuple):
    """The weights of one network: the paper, and what holds for all of them."""

    title: str
    paper: str
    limits: tuple[str, ...]


_DECIDES = (
    "Decides by itself what is foreground: where several things compete, nobody can tell it which."
)
_STRETCHED = (
    "Each mask is stretched to the full range, as the authors do: an image without foreground "
    "gets a mask as well."
)
_ONE = "One object at a time; it must be pointed at."
_CROP = "Sees the object's surroundings only, resized to 512²: large objects lose fine detail."

FAMILIES = {
    "ISNet": Family(
        "IS-Net",
        "Qin et al., Highly Accurate Dichotomous Image Segmentation, ECCV 2022",
        (_DECIDES, _STRETCHED, "Slow without a GPU: 1024² pixels whatever the image."),
    ),
    "U2Net": Family(
        "U²-Net",
        "Qin et al., U²-Net, Pattern Recognition 2020",
        (
            _DECIDES,
            _STRETCHED,
            "Sees the whole image at the input size: what is thinner than a pixel there is lost.",
        ),
    ),
    "InSPyReNet": Family(
        "InSPyReNet",
        "Kim et al., Revisiting Image Pyramid Structure for High Resolution Salient Object "
        "Detection, ACCV 2022",
        (
            _DECIDES,
            _STRETCHED,
            "`detail=blended` adds detail from up to 1280 pixels, for several times the time and "
            "memory; made for the weights trained at 384².",
        ),
    ),
    "DEXTR": Family(
        "DEXTR",
        "Maninis et al., Deep Extreme Cut, CVPR 2018",
        (_ONE, _CROP, "Points that are not extreme cut the object off: nothing outside survives."),
    ),
    "IOG": Family(
        "IOG",
        "Zhang et al., Interactive Object Segmentation With Inside-Outside Guidance, CVPR 2020",
        (_ONE, _CROP, "The box must be tight; a box alone takes its center for a point inside."),
    ),
    "IOGRefine": Family(
        "IOG with refinement",
        "Zhang et al., Interactive Object Segmentation With Inside-Outside Guidance, CVPR 2020",
        (_ONE, _CROP, "The box must be tight; corrections count within it and 30 pixels around."),
    ),
}

_SCALES = {
    "255": "divided by 255",
    "per_image_max": "divided by the image's own maximum",
    "none": "0 to 255 as they are",
}


def cards() -> str:
    """The page, as Markdown."""
    lines = [
        "# Model cards",
        "",
        "The weights that the authors released, as `python -m src.inference.model_cards` writes "
        "them down from `src/weights/registry.yaml` and `conf/model`. None of them is part of this "
        "project; each has its own license. *Not stated* means: in no source that we found.",
        "",
        "`weights=NAME` downloads a file that has a plain link into `~/.cache/finecut` "
        "(`FINECUT_WEIGHTS`) and checks it. What lies on Google Drive only is fetched with a "
        "browser; then give its path, or put it there under its name.",
    ]
    recipes = {model: named(model) for model in {entry.model for entry in released().values()}}
    before = None
    for entry in released().values():
        recipe = recipes[entry.model]
        name = str(recipe.network["_target_"]).rsplit(".", 1)[1]
        if name != before:
            lines += _introduced(FAMILIES[name])
            before = name
        facts = [[key, Markdown(value)] for key, value in _facts(entry, recipe)]
        lines += ["", f"### {entry.name}", "", entry.purpose, ""]
        lines += [markdown_table(["", ""], facts, "l")]
        lines += ["```sh", _command(entry, recipe), "```"]
    return "\n".join(lines) + "\n"


def _introduced(family: Family) -> list[str]:
    return ["", f"## {family.title}", "", f"{family.paper}.", "", "Limits:", ""] + [
        f"- {limit}" for limit in family.limits
    ]


def _facts(entry: Released, recipe: ModelSpec) -> Iterator[tuple[str, str]]:
    height, width = recipe.processor.size
    yield "model", f"`{entry.model}`"
    yield "input", f"{height} × {width}, {_input(recipe)}"
    yield "normalisation", _normalization(recipe.processor)
    yield "trained on", ", ".join(entry.trained_on) if entry.trained_on else "not stated"
    yield "license", entry.license or "not stated"
    yield "file", f"`{entry.file}`" + (f", {entry.size / 1e6:.1f} MB" if entry.size else "")
    yield "checksum", _checksum(entry)
    yield "from", _places(entry)


def _input(recipe: ModelSpec) -> str:
    resized = f"resized as `{recipe.processor.image_kernel}`"
    if "prompt" not in recipe.inputs:
        return f"the whole image, {resized}"
    return f"a crop of the image around the object, {resized}, and heat maps of the clicks"


def _normalization(processor: Processor) -> str:
    text = f"RGB, {_SCALES[processor.scale]}"
    if processor.scale == "none":
        return text
    mean, std = (", ".join(f"{v:g}" for v in values) for values in (processor.mean, processor.std))
    return f"{text}, mean {mean}, std {std}"


def _checksum(entry: Released) -> str:
    check = entry.checksum
    if check is None:
        return "none published; noted when the file is first used, and compared from then on"
    return f"{check.algorithm} `{check.digest}`, {entry.source}"


def _places(entry: Released) -> str:
    links = [f"[the authors' page]({entry.page})"]
    links += [f"[their Drive]({entry.drive})"] if entry.drive else []
    links += [f"[link]({url})" for url in entry.urls]
    return ", ".join(links)


def _command(entry: Released, recipe: ModelSpec) -> str:
    """The command that uses the weights; by name where they can be downloaded."""
    weights = f"weights={entry.name if entry.urls else entry.file}"
    if "prompt" in recipe.inputs:
        if entry.model == "dextr":
            return f"python app.py {weights}"
        return f"python annotate.py {weights} boxes=boxes.json images=photos output=masks.json"
    if entry.model == "u2net_portrait":
        return f"python predict.py {weights} input=photos crop=face type=[mask,composite]"
    return f"python predict.py {weights} input=photos type=rgba output=cutouts"


if __name__ == "__main__":
    print(cards(), end="")
