"""What `finecut benchmark` does with its composed config: one table of engines and precisions."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from src.benchmark.measure import MASKS, Measured, Request, Times, answering, run
from src.benchmark.variants import Planned, Variant, plan
from src.datamodules.images import read_image
from src.engines.engine_network import EngineGraph, drawn_input
from src.engines.parity import TOLERANCES, Difference, difference, drawing
from src.engines.runtimes import ENGINES, require, versions
from src.errors import UserError
from src.export.export import calibration_inputs, split_photos
from src.export.parity import image_files
from src.inference import Segmenter
from src.processes import available_cpus, processor_name
from src.progress import track
from src.render import markdown_table
from src.settings.commands import BenchmarkSettings
from src.settings.parse import parse

_DRAWN = ((1200, 1600), (1600, 1200))  # sides of the built-in images, of two megapixels
_MOST = 8  # images that are read in turn
_HEAD = [
    *("engine", "precision", "file to file, ms", "CPU ms", "network, ms", "CPU ms"),
    *("start, s", "peak MiB", "mask apart: max, mean", ""),
]


class Row(NamedTuple):
    """A variant with what was measured and how far its masks are from PyTorch's in fp32.

    remark: Why nothing was measured, or what to know of it.
    failed: Whether it should have worked.
    """

    variant: Variant
    measured: Measured | None = None
    apart: Difference | None = None
    remark: str = ""
    failed: bool = False


def main(cfg: DictConfig) -> int:
    """Measure and print; the exit code is 1 if something that should work failed."""
    settings = parse(BenchmarkSettings, cfg)
    for engine in settings.engines or ():
        require(engine)
    with tempfile.TemporaryDirectory(prefix="finecut-benchmark-") as folder:
        bench = Bench(settings, Path(folder))
        planned = plan(settings.engines or ENGINES, bench.segmenter.device)
        rows = [bench.row(each) for each in track(planned, "engines", len(planned))]
    print("\n".join([*bench.about(), "", table(rows)]))
    return int(any(row.failed for row in rows))


class Bench:
    """A model, the images that it is measured on, and PyTorch's masks of them in fp32.

    Args:
        settings: Of the command.
        folder: For what is written meanwhile.

    Raises:
        UserError: The weights, the images or the photos for 8 bit are none.
    """

    def __init__(self, settings: BenchmarkSettings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.segmenter = Segmenter.from_checkpoint(
            settings.weights, settings.model, settings.device, size=settings.size, batch_size=1
        )
        self.images, self.photos = self._images()
        answer = answering(self.segmenter)
        self.expected = [answer(read_image(path)) for path in self.images]
        self.load = os.getloadavg()[0]

    def row(self, planned: Planned) -> Row:
        """Measure a variant; what goes wrong is its remark."""
        variant = planned.variant
        if planned.obstacle is not None:
            return Row(variant, remark=planned.obstacle)
        if variant.precision == "int8" and (missing := self._why_no_int8()) is not None:
            return Row(variant, remark=missing)
        try:
            measured, apart = self._measured(variant)
        except UserError as error:
            return Row(variant, remark=str(error), failed=True)
        return Row(variant, measured, apart, _remark(variant, apart))

    def about(self) -> Iterator[str]:
        """What was measured, and on which machine."""
        segmenter = self.segmenter
        height, width = segmenter.processor.size
        sizes = sorted({f"{mask.shape[1]}×{mask.shape[0]}" for mask in self.expected})
        on = str(segmenter.device)
        if segmenter.device.type == "cuda":
            on = torch.cuda.get_device_name(segmenter.device)
        count = f"{len(self.images)} images of {', '.join(sizes)}"
        yield f"{segmenter.name} at {height}×{width}: {count}"
        yield (
            f"on {processor_name()}, {torch.get_num_threads()} threads, PyTorch on {on}; load of "
            f"the machine at the start: {self.load:.1f} on {available_cpus()} CPUs"
        )
        yield ", ".join(f"{name} {number}" for name, number in versions().items())
        yield (
            "median [95th percentile] of the clock and median of all cores' time, one image at a "
            "time; each row in a process of its own; masks in gray levels of 255 from torch fp32"
        )

    def _images(self) -> tuple[list[Path], list[Path]]:
        """Those that are measured on, and those that 8 bit is calibrated on."""
        given, calibrating = self.settings.images, self.settings.calibrate_on
        photos: list[Path] = []
        held_back: list[Path] = []
        if calibrating is not None:
            compared, photos = split_photos(Path(calibrating).expanduser())
            held_back = list(compared.values())
        if given is not None:
            return list(image_files(Path(given).expanduser(), _MOST).values()), photos
        return held_back or _drawn(self.folder), photos

    def _why_no_int8(self) -> str | None:
        if self.segmenter.clicks is not None:
            return "8 bit is calibrated on images, and this model sees clicks as well"
        return None if self.photos else "needs calibrate_on=FOLDER of photos"

    def _measured(self, variant: Variant) -> tuple[Measured, Difference]:
        settings, graph = self.settings, None
        if variant.precision == "int8":
            graph = str(self._graph_in_8_bit())
        elif variant.engine != "torch":  # written and compared before, and not in what is measured
            self._graph().open(variant.engine, variant.precision)
        height, width = self.segmenter.processor.size
        model = settings.model and OmegaConf.to_container(settings.model, resolve=True)
        folder = self.folder / f"{variant.name}-{variant.precision}"
        request = Request(
            weights=str(self.segmenter.weights),
            model=model,  # type: ignore[arg-type]  # a group is a mapping
            size=[height, width],
            device=str(self.segmenter.device),
            engine=variant.engine,
            precision=variant.precision,
            compiled=variant.compiled,
            graph=graph,
            images=[str(path.absolute()) for path in self.images],
            folder=str(folder),
            repeats=settings.repeats,
            seconds=settings.seconds,
            threads=torch.get_num_threads(),
        )
        measured = run(request)
        with np.load(folder / MASKS) as masks:
            found = [masks[name] for name in masks.files]
        each = [difference(a, b) for a, b in zip(found, self.expected, strict=True)]
        apart = Difference(
            max(one.max for one in each),
            max(one.p99 for one in each),
            float(np.mean([one.mean for one in each])),
        )
        return measured, apart

    def _graph(self) -> EngineGraph:
        network, processor = self.segmenter.network, self.segmenter.processor
        example = drawn_input(processor, network.input_channels())
        return EngineGraph(network, example, self.segmenter.name)

    def _graph_in_8_bit(self) -> Path:
        path = self.folder / "int8.onnx"
        if not path.exists():
            from src.engines.formats import write_quantized

            inputs = calibration_inputs(self.segmenter, self.photos, bare=True)
            write_quantized(self._graph().file(), path, inputs)
        return path


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    return markdown_table(_HEAD, [_cells(row) for row in rows], "llrrrrrrrl")


def _cells(row: Row) -> list[str]:
    head, found, apart = [row.variant.name, row.variant.precision], row.measured, row.apart
    if found is None or apart is None:
        return [*head, *["–"] * 7, row.remark]
    memory = "–" if found.memory is None else f"{found.memory / 2**20:.0f}"
    if found.gpu_memory:
        memory += f" + GPU {found.gpu_memory / 2**20:.0f}"
    times = [cell for each in (found.file, found.network) for cell in _times(each)]
    distance = f"{apart.max:.0f}, {apart.mean:.3f}"
    return [*head, *times, f"{found.start:.1f}", memory, distance, row.remark]


def _times(times: Times) -> tuple[str, str]:
    return f"{times.median:.0f} [{times.p95:.0f}]", f"{times.cpu:.0f}"


def _remark(variant: Variant, apart: Difference) -> str:
    allowed = TOLERANCES["int8"].python_mean
    if variant.precision == "int8" and not apart.mean <= allowed:
        return f"export refuses it: mean {apart.mean:.3g}, allowed {allowed:g}"
    return ""


def _drawn(folder: Path) -> list[Path]:
    """Drawings as JPEG files, of the size of photos."""
    paths = [folder / f"drawing{i}.jpg" for i in range(len(_DRAWN))]
    for i, (path, (height, width)) in enumerate(zip(paths, _DRAWN, strict=True)):
        cv2.imwrite(str(path), cv2.cvtColor(drawing(height, width, seed=i), cv2.COLOR_RGB2BGR))
    return paths
