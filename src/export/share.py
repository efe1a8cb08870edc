"""Writes a model as the folder that Hugging Face's tools expect, to share it or to keep it."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from torch import Tensor

from src import __version__
from src.datamodules.clicks import to_dict
from src.errors import UserError
from src.export.scores import ScoringData
from src.hashing import file_hash
from src.inference import Segmenter, model_spec
from src.inference.model_cards import limits_of, normalization_in_words
from src.inference.model_spec import ModelSpec
from src.metrics import describe
from src.networks.network import Network
from src.processing import Processor
from src.render import Markdown, markdown_table
from src.results.folder import ResultsFolder, read_results_folder
from src.weights.licenses import TrainingSet, shared, training_sets
from src.weights.metadata import MetadataError, metadata_of
from src.weights.model_folder import CARD, CONFIG, ENTRY, PREPROCESSOR, WEIGHTS, as_json
from src.weights.registry import identify

_FILES = (WEIGHTS, PREPROCESSOR, CARD, CONFIG)  # in this order: without a config there is no model
# Those of Hugging Face's list that such weights come with; others are `other` there.
_LICENSES = (
    *("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "cc0-1.0", "openrail"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
)
_RESAMPLING = {"pillow": 2, "opencv": 2, "opencv_cubic": 3, "area": 2}  # Pillow's numbers


@dataclass(frozen=True)
class Scored:
    """Numbers of a model on one data set.

    Attributes:
        set: Name of the data set.
        values: `{metric: value}`.
        protocol: How each was computed, in words.
        images: How many were scored; None where that is not noted.
    """

    set: str
    values: Mapping[str, float]
    protocol: Mapping[str, str]
    images: int | None = None


@dataclass(frozen=True)
class ShareRequest:
    """What to write, and where.

    Attributes:
        weights, model, size: As `finecut predict` takes them.
        output: The folder.
        license: Of the weights, where the registry does not know it.
        scores: Folders of results of these weights, for the card.
        verify_on: Data to score the written folder on, for the card; see `ScoringData`.
    """

    weights: str
    output: Path
    model: str | DictConfig | None = None
    size: int | Sequence[int] | None = None
    license: str | None = None
    scores: Sequence[Path] = field(default=())
    verify_on: str | None = None


def share(request: ShareRequest) -> Path:
    """Write config.json, model.safetensors, preprocessor_config.json and README.md; the folder.

    What was written is read back and compared before it takes its place.

    Raises:
        UserError: A model that only others' code builds, a folder with other files in it, or
            scores of other weights.
    """
    _require_own(request.output)
    network, spec, file = model_spec.load(request.weights, request.model, request.size)
    if network.runs_file:
        raise UserError(f"{file} is an ONNX file; share the checkpoint that it was exported from")
    data = ScoringData(request.verify_on) if request.verify_on else None
    digest = file_hash(file)
    sets = _training_sets(file, digest)
    license = request.license or _license(file, digest)
    scored = list(_scored(file, digest, request.scores))
    config = _config(network, spec, file, digest, license, sets)
    folder = request.output
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        made = Path(name)
        _write_weights(network.state_dict(), made / WEIGHTS)
        (made / CONFIG).write_text(as_json(config), encoding="utf-8")
        preprocessor = as_json(_preprocessor(spec.processor))
        (made / PREPROCESSOR).write_text(preprocessor, encoding="utf-8")
        _require_same(made, network)
        if data is not None:
            masks = Segmenter.from_checkpoint(made, device="cpu").mask
            found = data.scores({"model": masks})["model"]
            scored += [_of_now(name, values, data) for name, values in found.items()]
        card = _card(folder, network, spec, license, sets, scored)
        (made / CARD).write_text(card, encoding="utf-8")
        _take_places(made, folder)
    return folder


def _require_own(folder: Path) -> None:
    """Refuse a folder in which other things lie: only a model's is written over."""
    if folder.is_file():
        raise UserError(f"output={folder} is a file; format=safetensors writes a folder")
    others = (
        [p.name for p in folder.iterdir() if p.name not in _FILES and not p.name.startswith(".")]
        if folder.is_dir()
        else []
    )
    if others:
        raise UserError(
            f"output={folder} holds other files ({', '.join(sorted(others)[:3])}); name a folder "
            "for the model alone, output=models/NAME"
        )


def _take_places(made: Path, folder: Path) -> None:
    """Each file whole, the config last: in between there is no model, and never half of one."""
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    for name in _FILES:
        (made / name).replace(folder / name)


def _write_weights(state: Mapping[str, Tensor], path: Path) -> None:
    from safetensors.torch import save

    # It refuses tensors that share memory; its own file would be for its owner's eyes alone.
    apart = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
    path.write_bytes(save(apart, {"format": "pt"}))


def _require_same(folder: Path, network: Network) -> None:
    """Read the model as others will, and compare its weights with what was to be written."""
    read, *_ = model_spec.load(folder)
    ours, theirs = network.state_dict(), read.state_dict()
    if ours.keys() != theirs.keys() or any(not _same(ours[key], theirs[key]) for key in ours):
        raise UserError(f"{folder} does not hold the weights that were to be written")


def _same(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and bool((a == b).all())


def _config(
    network: Network,
    spec: ModelSpec,
    file: Path,
    digest: str,
    license: str | None,
    sets: Sequence[str] | None,
) -> dict[str, Any]:
    built = dict(spec.network)
    if "pretrained" in built:  # all weights are in the folder
        built["pretrained"] = False
    said: dict[str, Any] = {
        "model": spec.name,
        "network": built,
        "processor": spec.processor.to_dict(),
        "inputs": list(spec.inputs),
        "prompts": None if spec.prompts is None else to_dict(spec.prompts),
    }
    try:
        checked = metadata_of({ENTRY: json.loads(json.dumps(said))})
        assert checked is not None
        checked.network_class()
    except (MetadataError, TypeError) as error:
        raise UserError(
            f"{spec.name} cannot be shared: nobody could read the folder, which {error}"
        ) from None
    return {
        "architectures": [type(network).__name__],
        "library_name": "finecut",
        "finecut_version": __version__,
        ENTRY: said,
        "license": license,
        "trained_on": None if sets is None else list(sets),
        "source": {"file": file.name, "sha256": digest},
    }


def _preprocessor(processor: Processor) -> dict[str, Any]:
    """The processing in the names that Hugging Face's image processors have for it.

    What they have no name for, U²-Net's division by the image's maximum, is named as ours.
    """
    height, width = processor.size
    scale = {"255": 1 / 255, "none": 1.0}.get(processor.scale)
    return {
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": _RESAMPLING.get(processor.image_kernel, 2),
        "do_rescale": processor.scale != "none",
        "rescale_factor": scale,
        "do_normalize": True,
        "image_mean": list(processor.mean),
        "image_std": list(processor.std),
        ENTRY: processor.to_dict(),
    }


def _license(file: Path, digest: str) -> str | None:
    entry = shared(file) or identify(file, digest)
    return entry.license if entry else None


def _training_sets(file: Path, digest: str) -> tuple[str, ...] | None:
    """What the weights learned from; None where nothing says it."""
    if (entry := shared(file) or identify(file, digest)) is not None:
        return entry.trained_on
    run = _run_of(file)
    part = run.provenance.data.get("train") if run else None
    return tuple(part.sets) if part is not None and part.sets else None


def _run_of(checkpoint: Path) -> ResultsFolder | None:
    """The results of the run that wrote a checkpoint, if they are there."""
    if checkpoint.parent.name != "checkpoints":
        return None
    try:
        return read_results_folder(checkpoint.parent.parent)
    except UserError:
        return None


def _scored(file: Path, digest: str, folders: Sequence[Path]) -> Iterator[Scored]:
    """The scores of a run's own test, where it tested this checkpoint, and of the given folders."""
    given = [read_results_folder(folder) for folder in folders]
    for found in given:
        if _tested(found) != digest:
            raise UserError(f"scores={found.path} are of other weights than {file}")
    run = _run_of(file)
    for found in [run, *given] if run is not None and _tested(run) == digest else given:
        for name, values in found.values.items():
            images = found.provenance.images.get(name)
            yield Scored(name, values, found.protocol, images)


def _tested(found: ResultsFolder) -> str | None:
    checkpoint = found.provenance.checkpoint
    return checkpoint.sha256 if checkpoint else None


def _of_now(name: str, values: Mapping[str, float], data: ScoringData) -> Scored:
    protocol = {metric: describe(metric) for metric in values}
    return Scored(name, values, protocol, data.images[name])


def _card(
    folder: Path,
    network: Network,
    spec: ModelSpec,
    license: str | None,
    sets: Sequence[str] | None,
    scored: Sequence[Scored],
) -> str:
    """README.md: what the Hub reads as YAML, and the same in words."""
    title = network.title or type(network).__name__
    lines = [f"# {folder.name}", ""]
    lines += [f"{title}, a network that cuts the foreground out of an image", ""]
    lines[-2] += f" ({network.paper})." if network.paper else "."
    lines += ["## Use", "", *_use(folder, spec), ""]
    height, width = spec.processor.size
    lines += ["## Input", "", f"{height} × {width}, {normalization_in_words(spec.processor)}.", ""]
    lines += ["## Limits", "", *(f"- {limit}" for limit in (*limits_of(spec), *network.limits)), ""]
    lines += ["## Trained on", "", _sets_in_words(sets), ""]
    lines += ["## License", "", f"Of the weights: {license or 'not stated'}.", ""]
    lines += ["## Scores", "", *_scores_in_words(scored)]
    return f"---\n{_front_matter(folder, spec, license, sets, scored)}\n---\n\n" + "\n".join(lines)


def _use(folder: Path, spec: ModelSpec) -> list[str]:
    """How the model is run from its folder; from the Hub its name is `hf:user/name`."""
    if "prompt" in spec.inputs:
        return ["```sh", f"finecut app weights={folder.name}  # or hf:user/{folder.name}", "```"]
    return [
        *("```sh", f"finecut predict photo.jpg weights={folder.name}  # or hf:user/{folder.name}"),
        *("```", "", "```python", "from src import load", ""),
        f'mask = load("{folder.name}").mask("photo.jpg")  # uint8 (H, W), 255 = foreground',
        "```",
    ]


def _sets_in_words(sets: Sequence[str] | None) -> str:
    if not sets:
        return "Not stated."
    known = training_sets()
    rows: dict[TrainingSet | str, list[str]] = {}
    for part in sets:
        rows.setdefault(known.get(part, part), []).append(part)
    table = [
        [", ".join(parts), "not known here", "", ""]
        if isinstance(one, str)
        else [
            ", ".join(parts),
            one.commercial,
            one.terms or "none that we found",
            Markdown(f"[page]({one.page})"),
        ]
        for one, parts in rows.items()
    ]
    return markdown_table(["set", "commercial use", "terms", "authors"], table, "llll").rstrip()


def _scores_in_words(scored: Sequence[Scored]) -> list[str]:
    if not scored:
        return ["None are known.", ""]
    rows = [
        [one.set, str(one.images or "–"), metric, f"{value:.4f}"]
        for one in scored
        for metric, value in one.values.items()
    ]
    lines = [markdown_table(["data", "images", "metric", "value"], rows, "lrlr")]
    protocols = {m: text for one in scored for m, text in one.protocol.items() if m in one.values}
    lines += ["How they are computed (8-bit masks at the images' own sizes):", ""]
    return [*lines, *(f"- `{metric}`: {text}" for metric, text in protocols.items()), ""]


def _front_matter(
    folder: Path,
    spec: ModelSpec,
    license: str | None,
    sets: Sequence[str] | None,
    scored: Sequence[Scored],
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    task = "image-segmentation"
    results = [
        EvalResult(
            task_type=task,
            dataset_type=one.set,
            dataset_name=one.set,
            metric_type=metric,
            metric_name=metric,
            metric_value=float(value),
        )
        for one in scored
        for metric, value in one.values.items()
        if value == value  # NaN where a metric is undefined
    ]
    data = ModelCardData(
        **_license_keys(license),
        library_name="finecut",
        pipeline_tag=task,
        tags=[task, "background-removal", spec.name],
        datasets=list(sets) if sets else None,
        metrics=list(dict.fromkeys(m for one in scored for m in one.values)) or None,
        model_name=folder.name,
        eval_results=results or None,
    )
    return data.to_yaml()


def _license_keys(license: str | None) -> dict[str, Any]:
    """The license as the Hub names it: one of its list, else `other` with its name."""
    word = (license or "").partition(" ")[0].lower()
    if word in _LICENSES:
        return {"license": word}
    return {"license": "other", "license_name": license} if license else {"license": "unknown"}
