"""A card for each released checkpoint: `python -m src.inference.model_cards > docs/models.md`.

Facts of the weights are `weights/registry.yaml`, those of the input conf/model; what a network is
called, and what it cannot do, its class says.
"""

import pkgutil
from collections.abc import Iterator

from src.datamodules.clicks import InsideOutsidePoints
from src.inference.model_spec import ModelSpec, named
from src.networks.network import Network
from src.processing import Processor
from src.render import Markdown, markdown_table
from src.weights.cli import sets_table
from src.weights.licenses import commercial_use
from src.weights.registry import Released, released

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
        "`weights=NAME` downloads a file into `~/.cache/finecut` (`FINECUT_WEIGHTS`) and checks "
        "it, from links, the Hugging Face Hub or Google Drive; `finecut models get NAME` does no "
        "more than that. Where Drive refuses, since too many asked for the file that day, the "
        "error says where to get it with a browser and where to put it. `commercial=true` refuses "
        "weights that may not be used commercially, or of which nothing says that they may.",
    ]
    lines += ["", "## Terms of the training sets", "", sets_table([*released().values()]).rstrip()]
    recipes = {model: named(model) for model in {entry.model for entry in released().values()}}
    before = None
    for entry in released().values():
        recipe = recipes[entry.model]
        network: type[Network] = pkgutil.resolve_name(str(recipe.network["_target_"]))
        if network is not before:
            lines += _introduced(network, recipe)
            before = network
        facts = [[key, Markdown(value)] for key, value in _facts(entry, recipe)]
        lines += ["", f"### {entry.name}", "", entry.purpose, ""]
        lines += [markdown_table(["", ""], facts, "l")]
        lines += ["```sh", _command(entry, recipe), "```"]
    return "\n".join(lines) + "\n"


def _introduced(network: type[Network], recipe: ModelSpec) -> list[str]:
    lines = ["", f"## {network.title or network.__name__}", ""]
    lines += [f"{network.paper}.", ""] if network.paper else []
    limits = [*limits_of(recipe), *network.limits]
    return lines + ["Limits:", ""] + [f"- {limit}" for limit in limits]


def limits_of(recipe: ModelSpec) -> Iterator[str]:
    """What follows from how an image becomes an input, and logits a mask."""
    if "prompt" in recipe.inputs:
        yield "One object at a time; it must be pointed at."
        yield (
            "Sees the object's surroundings only, resized to "
            f"{recipe.processor.size[0]}²: large objects lose fine detail."
        )
        return
    yield (
        "Decides by itself what is foreground: where several things compete, nobody can tell it "
        "which."
    )
    if "min_max" in recipe.processor.restore_steps:
        yield (
            "Each mask is stretched to the full range, as the authors do: an image without "
            "foreground gets a mask as well."
        )


def _facts(entry: Released, recipe: ModelSpec) -> Iterator[tuple[str, str]]:
    height, width = recipe.processor.size
    yield "model", f"`{entry.model}`"
    yield "input", f"{height} × {width}, {_input(recipe)}"
    yield "normalisation", normalization_in_words(recipe.processor)
    yield "trained on", ", ".join(entry.trained_on) if entry.trained_on else "not stated"
    if entry.made_with:
        made_with = ", ".join(f"`{key}={value}`" for key, value in entry.made_with)
        yield "trained with", f"{made_with}, which loading knows"
    yield "license of the code", entry.code_license or "not stated"
    yield "license of the weights", entry.weights_license or "not stated"
    answer, reasons = commercial_use(entry)
    yield "commercial use", f"{answer}: {'; '.join(reasons)}" if reasons else answer
    yield "file", f"`{entry.file}`" + (f", {entry.size / 1e6:.1f} MB" if entry.size else "")
    yield "checksum", _checksum(entry)
    yield "from", _places(entry)


def _input(recipe: ModelSpec) -> str:
    resized = f"resized as `{recipe.processor.image_kernel}`"
    if "prompt" not in recipe.inputs:
        return f"the whole image, {resized}"
    return f"a crop of the image around the object, {resized}, and heat maps of the clicks"


def normalization_in_words(processor: Processor) -> str:
    """How an image becomes floats: `RGB, divided by 255, mean …, std …`."""
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
    """The command that uses the weights, by name: they come by themselves."""
    weights = f"weights={entry.name}"
    if "prompt" in recipe.inputs:
        if not isinstance(recipe.prompts, InsideOutsidePoints):  # a box does not say enough
            return f"python app.py {weights}"
        return f"python annotate.py {weights} boxes=boxes.json images=photos output=masks.json"
    if "invert" in recipe.processor.restore_steps:  # dark lines instead of a mask
        return f"python predict.py {weights} input=photos crop=face type=[mask,composite]"
    return f"python predict.py {weights} input=photos type=rgba output=cutouts"


if __name__ == "__main__":
    print(cards(), end="")
