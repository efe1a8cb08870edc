"""The schemas of all commands but training, whose config is made of groups (`training.py`)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from src.settings.preprocess import PreprocessSettings
from src.settings.schema import (
    Allowed,
    FilePath,
    Flag,
    Group,
    Name,
    Names,
    OpenSettings,
    Paths,
    ResultFormats,
    Seed,
    Settings,
    Size,
    TableFormats,
    TableLayout,
    Text,
    Whole,
    Words,
    parse_flag,
    setting,
)
from src.settings.training import BackgroundSettings, Sizes

Precision = Literal["fp32", "bf16", "fp16"]
Detail = Literal["whole", "blended", "tiles"]
Engine = Literal["torch", "onnxruntime", "openvino", "auto"]

_WEIGHTS = "a checkpoint of ours, a released file, or a name of the registry"
_MODEL = "only where the weights do not say it themselves"
_DEVICE = "auto, cpu, cuda, cuda:1 or mps"
_COMMERCIAL = "refuse released weights that may not be used so, or nothing says that they may"
_SIZE = "another input size than the model's"
_ENGINE = "what runs the network on a CPU; auto: the fastest, measured once; null: torch"
_PREPROCESS = "how an ONNX file of others wants its image: {size:320,mean:[…],std:[…]}, predict.md"


def _check_device(value: Any) -> Any:
    if not isinstance(value, str) or value.split(":")[0] not in (
        "auto",
        "cpu",
        "cuda",
        "mps",
        "xpu",
    ):
        raise ValueError("no device")
    return value


Preprocess = Annotated[PreprocessSettings, Allowed("keys and their values")]
Device = Annotated[str, BeforeValidator(_check_device), Allowed("auto, cpu, cuda, cuda:1 or mps")]


def _parse_foreground(value: Any) -> Any:
    """A flag says whether our own form is used."""
    if value in ("fast", "blur_fusion", "birefnet", "none"):
        return value
    return "fast" if parse_flag(value) else "none"


Foreground = Annotated[
    Literal["none", "fast", "blur_fusion", "birefnet"],
    BeforeValidator(_parse_foreground),
    Allowed("true, false, blur_fusion or birefnet"),
]


def _check_blended(engine: Engine | None, detail: Detail) -> None:
    if engine in ("onnxruntime", "openvino") and detail == "blended":
        raise ValueError("detail=blended runs at the image's own size: it needs engine=torch")


class PredictSettings(Settings):
    """Masks and cut-outs of images and videos."""

    weights: FilePath = setting(_WEIGHTS)
    input: Paths = setting(
        "file, folder, glob pattern or video, or a list of them; - is the standard input"
    )
    type: Names = setting(
        "what is made: mask, rgba, white, green, #rrggbb, blur, overlay, composite (portrait) or "
        "an image's path as background; or a list of them"
    )
    output: FilePath = setting(
        "folder of the results; mirrors the tree of the input; - is the standard output"
    )
    format: ResultFormats | None = setting(
        "of the results, [webp,webm] for images and videos; null: as the input, see docs/predict.md"
    )
    model: Group = setting(_MODEL)
    preprocess: Preprocess = setting(_PREPROCESS, default=PreprocessSettings())

    device: Device = setting(_DEVICE)
    precision: Precision = setting("of the network's numbers")
    engine: Engine | None = setting(_ENGINE)
    processes: Whole = setting(
        "at once, each with a GPU of its own, or with its share of the cores", ge=1, le=256
    )
    batch_size: Whole = setting("images, frames or tiles at once", ge=1, le=4096)
    size: Size | None = setting(_SIZE)
    detail: Detail = setting("blended: InSPyReNet at high resolution; tiles: overlapping parts")
    overlap: float = setting("of neighboring tiles, as a share of one", ge=0, lt=1)
    flip: Flag = setting("average with the mirrored image; twice the time")

    threshold: float | None = setting(
        "level from which a pixel belongs to the mask, which has two levels then", gt=0, lt=1
    )
    invert: Flag = setting("keep the background in place of the foreground")
    foreground: Foreground = setting(
        "estimate the foreground's own colors at soft edges: no halo; blur_fusion and birefnet are "
        "the authors' forms of it, to the digit"
    )
    crop: Literal["face"] | None = setting("face: cut each photo to its largest face first")
    sigma: float = setting("composite: blur of the photo under the drawing", ge=0, le=1000)
    opacity: float = setting("composite: of the blurred photo", ge=0, le=1)
    smoothing: float = setting("video: share of the mask before, 0.5 to steady flicker", ge=0, lt=1)
    recursive: Flag = setting("also folders within the input folder")
    skip_existing: Flag = setting("go on where an interrupted call stopped")
    watch: Flag = setting("go on with files that arrive in the folder, until Ctrl-C")
    watch_seconds: float = setting(
        "from one look into the folder to the next; a file is complete that is the same in two",
        ge=0.1,
        le=3600,
    )
    commercial: Flag = setting(_COMMERCIAL)

    @model_validator(mode="after")
    def _check(self) -> "PredictSettings":
        _check_blended(self.engine, self.detail)
        if "-" in self.input and len(self.input) > 1:
            raise ValueError("input=- is the standard input: it is read alone")
        if self.watch and ("-" in self.input or self.output == "-"):
            raise ValueError("watch=true is for folders, not for a pipe")
        if self.watch and self.processes > 1:
            raise ValueError("watch=true runs in one process: leave out processes=")
        if self.output == "-" and len(self.type) > 1:
            raise ValueError("output=- writes one result: give one type=")
        return self


class MetricSettings(OpenSettings):
    """The part of `metrics` that a folder of maps is scored by."""

    test: Names = setting("metrics, metrics.test=[mae,s_measure]", min_length=1)
    extra: dict[str, Any] | None = setting(
        "metrics of torchmetrics by name: {dice: {_target_: torchmetrics.…, …}}", default=None
    )


class EvaluateSettings(Settings):
    """Numbers for a folder of maps."""

    maps: FilePath | None = setting(
        "folder of predicted maps, or of METHOD/SET folders, or a YAML file that names them"
    )
    results: Paths | None = setting(
        "instead of maps: folders that hold results, of one or several methods; the table is made "
        "from them, nothing is scored"
    )
    ground_truth: FilePath | None = setting("folder of ground-truth masks, under the same names")
    map_prefix: Text | None = setting("what maps carry before the name")
    map_suffix: Text | None = setting(
        "what maps carry after the name: _pred pairs cat_pred.png with cat.png"
    )
    mask_prefix: Text | None = setting("what ground-truth masks carry before the name")
    mask_suffix: Text | None = setting(
        "what ground-truth masks carry after the name: _mask pairs cat.png with cat_mask.png"
    )
    trimaps: FilePath | None = setting(
        "folder of trimaps (0, 128 unknown, 255), under the names of the ground truth, for "
        "metrics=matting_trimap"
    )
    trimap_prefix: Text | None = setting("what trimaps carry before the name")
    trimap_suffix: Text | None = setting("what trimaps carry after the name: _trimap")
    output: FilePath | None = setting("where the numbers go; null: a folder beside the maps")
    allow_missing: Flag = setting("score what is there and mark the table")
    resize: Literal["prediction"] | None = setting(
        "prediction: bring maps of another size to the ground truth's"
    )
    compare: FilePath | None = setting(
        "another output folder: paired comparison with confidence intervals"
    )
    worst: Whole = setting("images in the gallery of the worst", ge=0, le=1000)
    emphasize: Name | None = setting("of several methods, the one whose curves are thick")
    workers: Whole | None = setting(
        "processes; null: one for every 16 megapixels, at most all cores", ge=1, le=1024
    )
    shard: Text | None = setting(
        "2/4: score the second of four parts of the images, beside others that share the output "
        "folder; the same command without it writes the numbers"
    )
    weights: FilePath | None = setting("a checkpoint to score instead of maps, with data=…")
    metrics: MetricSettings = setting(
        "metrics=all, everything, matting or matting_trimap, or metrics.test=[mae,hce]"
    )

    @model_validator(mode="after")
    def _check(self) -> "EvaluateSettings":
        if self.weights is not None:
            raise ValueError("maps= and weights= exclude each other: score one of them")
        if self.results is None:
            return self
        of_maps = {
            "maps": self.maps,
            "ground_truth": self.ground_truth,
            "trimaps": self.trimaps,
            "resize": self.resize,
            "compare": self.compare,
            "shard": self.shard,
        }
        for key in (key for key, value in of_maps.items() if value is not None):
            raise ValueError(f"{key}= is for maps that are to be scored, not for results=")
        return self


class EvaluateCheckpointSettings(Settings):
    """Numbers for a checkpoint on a data set: a run that only tests."""

    weights: FilePath = setting("a checkpoint to score, with data=…; or maps= and ground_truth=")
    preprocess: Preprocess = setting(_PREPROCESS, default=PreprocessSettings())
    output: FilePath | None = setting("where the numbers go; null: a new folder in logs/evaluate")
    engine: Engine | None = setting(_ENGINE)
    ground_truth: Any = setting("of maps= only")
    trimaps: Any = setting("of maps= only")
    allow_missing: Flag = setting("of maps= only")
    resize: Any = setting("of maps= only")
    compare: Any = setting("of maps= only")
    shard: Any = setting("of maps= only")

    @model_validator(mode="after")
    def _check(self) -> "EvaluateCheckpointSettings":
        given = {
            "ground_truth": self.ground_truth,
            "trimaps": self.trimaps,
            "resize": self.resize,
            "compare": self.compare,
            "shard": self.shard,
            "allow_missing": self.allow_missing or None,
        }
        for key in (key for key, value in given.items() if value is not None):
            raise ValueError(f"{key}= is for folders of maps (maps=…), not for weights=")
        return self


class ExportSettings(Settings):
    """A file that runs without finecut, compared with PyTorch."""

    weights: FilePath = setting(_WEIGHTS)
    format: Literal["onnx", "torchscript", "torch_export", "safetensors"] = setting(
        "of the file; safetensors: the folder that Hugging Face's tools expect, to share a model"
    )
    output: FilePath = setting("a folder, or a file with the format's suffix")
    model: Group = setting(_MODEL)
    size: Size | None = setting(_SIZE)

    precision: Literal["fp32", "fp16", "int8"] = setting(
        "inside of the file; int8: convolutions of an ONNX file, where its masks stay close enough"
    )
    calibrate_on: FilePath | None = setting("int8: a folder of photos like those it is used on")
    bare: Flag = setting("the network alone: normalized floats in, logits out")
    dynamic: Flag = setting("bare: any batch size")
    images: FilePath | None = setting(
        "a folder to compare on; null: built-in drawings, or some photos of calibrate_on"
    )
    verify_on: Text | None = setting(
        "data on which the metrics of file and checkpoint are compared: a folder with images/ and "
        "masks/, or data=… as for evaluate"
    )
    scores: Paths | None = setting("safetensors: folders of these weights' results, for its card")
    license: Text | None = setting("written into the file where the registry does not know it")
    commercial: Flag = setting(_COMMERCIAL)

    @model_validator(mode="after")
    def _check(self) -> "ExportSettings":
        if self.format == "safetensors":
            if self.bare or self.precision != "fp32":
                key = "bare=true" if self.bare else f"precision={self.precision}"
                raise ValueError(f"{key} is for programs, format=onnx, not for safetensors")
        elif self.scores:
            raise ValueError(f"scores= is for the card of format=safetensors, not {self.format}")
        if self.precision == "int8" and self.calibrate_on is None:
            raise ValueError("precision=int8 needs calibrate_on=FOLDER of photos")
        if self.precision != "int8" and self.calibrate_on is not None:
            raise ValueError("calibrate_on= is for precision=int8")
        if self.dynamic and not self.bare:
            raise ValueError(
                "dynamic=true needs bare=true: a file with its processing takes one image"
            )
        if self.precision == "int8" and self.format != "onnx":
            raise ValueError(f"precision=int8 needs format=onnx, not {self.format}")
        return self


class BenchmarkSettings(Settings):
    """A model in every engine and precision that this machine has, in one table."""

    weights: FilePath = setting(_WEIGHTS)
    model: Group = setting(_MODEL)
    size: Size | None = setting(_SIZE)

    engines: list[Literal["torch", "onnxruntime", "openvino"]] | None = setting(
        "[torch,openvino]: these, which have to be installed; null: every one"
    )
    images: FilePath | None = setting(
        "a folder of photos to measure on; null: some of calibrate_on, or built-in drawings"
    )
    calibrate_on: FilePath | None = setting("a folder of photos for int8; null: no row of int8")
    device: Device = setting(f"of PyTorch: {_DEVICE}")
    repeats: Whole = setting("timed calls of each, at most", ge=1, le=10_000)
    seconds: float = setting("after which no further call is begun, but for three", ge=0, le=3600)


class AnnotateSettings(Settings):
    """Boxes of a COCO file to masks."""

    boxes: FilePath = setting("COCO's annotations, or a detector's list of results")
    images: FilePath = setting("the folder of the images")
    weights: FilePath = setting(
        "a checkpoint of a model with clicks, a released file, or a registry's name"
    )
    output: FilePath = setting("the COCO file to write")
    format: Literal["rle", "polygon"] = setting("both decode to the same pixels")
    model: Group = setting(_MODEL)

    image_list: FilePath | None = setting("for a detector's list: a COCO file with the same images")
    min_score: float = setting("for a detector's list: leave out what is less certain", ge=0, le=1)
    threshold: float = setting("probability from which a pixel belongs to the object", gt=0, lt=1)
    size: Size | None = setting(_SIZE)
    device: Device = setting(_DEVICE)
    precision: Precision = setting("of the network's numbers")


class AppSettings(Settings):
    """A page that cuts out what is dropped on it or clicked at."""

    weights: FilePath = setting(_WEIGHTS)
    model: Group = setting(_MODEL)
    preprocess: Preprocess = setting(_PREPROCESS, default=PreprocessSettings())

    host: Name = setting("0.0.0.0 lets everyone on the network in: there is no password")
    port: Whole = setting("0 takes any free one", ge=0, le=65535)
    names: Names = setting("host names of a proxy in front; IP addresses and localhost need none")

    device: Device = setting(_DEVICE)
    precision: Precision = setting("of the network's numbers")
    engine: Engine | None = setting(_ENGINE)
    size: Size | None = setting(_SIZE)
    detail: Detail = setting("blended: InSPyReNet at high resolution; tiles: overlapping parts")

    max_megapixels: float = setting(
        "larger images are refused; a cut-out needs about 110 MB for each", gt=0, le=10_000
    )
    max_upload_mb: float = setting("larger files are refused", gt=0, le=100_000)
    max_memory_mb: float = setting(
        "of masks and downloads in memory; what does not fit is made again when asked for",
        gt=0,
        le=10_000_000,
    )
    keep: Whole = setting("images kept; the one not used for longest makes room", ge=1, le=100_000)
    license: Text | None = setting("shown on the page where the registry does not know it")
    commercial: Flag = setting(_COMMERCIAL)

    @model_validator(mode="after")
    def _check(self) -> "AppSettings":
        _check_blended(self.engine, self.detail)
        return self


class TablesSettings(Settings):
    """Tables of what was scored, or its comparison with printed numbers."""

    runs: Paths = setting("folders that hold runs, scored checkpoints or scored maps")
    output: FilePath = setting("where the tables and curves_*.png go")
    formats: TableFormats = setting("of the table; xlsx needs pip install 'finecut[tables]'")
    layout: TableLayout = setting(
        "long: data sets below each other; wide: beside each other, a row for each method"
    )
    experiment: Name | None = setting(
        "a recipe, a paper (isnet), or the name= of runs; null: all runs in one table"
    )
    metrics: Names | None = setting("columns, [mae,max_f]; null: all that were measured")
    digits: Whole = setting("as papers print 3; the CSV has all of them", ge=0, le=17)
    means: dict[str, list[Name]] = setting(
        "sets whose mean papers print as one; shown where every one was tested"
    )


class CheckSettings(OpenSettings):
    """A look at every file of a data set, before it costs an hour."""

    output: FilePath = setting("folder of report.json and the contact sheets")
    workers: Whole = setting("threads that decode", ge=1, le=1024)
    seed: Seed = setting("of what is drawn")


class ShardSettings(OpenSettings):
    """A data set written as tar shards, to be trained on from a disk or over http."""

    output: FilePath = setting("folder of the shards and their index, which holds nothing else")
    split: Name = setting("which set of data=: train, val, or a test set by its name")
    shard_mb: float = setting("largest size of a shard, in megabytes (10⁶ bytes)", gt=0, le=1e6)
    per_shard: Whole | None = setting("most samples of a shard; null: shard_mb alone counts", ge=1)
    seed: Seed = setting("of the order in which samples are written")


class PreviewSettings(OpenSettings):
    """Drawings of what a network would be shown in training."""

    output: FilePath = setting("the PNG to write")
    count: Whole = setting("samples drawn, the first that training would see", ge=1, le=10_000)
    epoch: Whole = setting("another one is augmented otherwise", ge=0, le=10_000_000)
    tile: Whole = setting("pixels of a sample's longer side", ge=16, le=4096)
    seed: Seed = setting("another run's order and augmentation")
    multiscale: Sizes = setting("as in training: sizes of batches; null: model.size alone")
    backgrounds: BackgroundSettings = setting("as in training: new backgrounds")


def _parse_seeds(value: Any) -> Any:
    """`0,1,2` as it is typed; one seed is a number to YAML."""
    try:
        return (
            [int(seed) for seed in str(value).split(",")] if not isinstance(value, list) else value
        )
    except ValueError:
        raise ValueError("no whole numbers") from None


class ReproduceData(Settings):
    """The part of `data` that is the same for every recipe."""

    root: FilePath | None = setting(
        "where the data sets lie; null: the variable FINECUT_DATA", default=None
    )


class ReproduceSettings(Settings):
    """A row of a paper's table: cost, data check, training, table."""

    experiment: Name = setting("a recipe, a paper's folder, or several: isnet/dis5k,u2net/u2net")
    seeds: Annotated[
        list[Seed], BeforeValidator(_parse_seeds), Allowed("whole numbers from 0, seeds=0,1,2")
    ] = setting("of training, 0,1,2 for three; the table gives their mean and spread")
    data: ReproduceData = setting("of the training data")
    train: Words = setting('further settings of training: train="trainer.devices=4 memory=24gb"')
    output: FilePath = setting(
        "logs/ and tables/ go here; the same call with it continues where it stopped"
    )
    measure: Flag = setting("a dry run says what training will cost on this machine, first")
    at_once: Whole = setting("recipes trained side by side", ge=1, le=1024)
