"""Measures one engine in one precision, in a process of its own: its memory is that of no other.

`python -m src.benchmark.measure REQUEST RESULT`, both JSON files; `run` calls it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from src.atomic import atomic_write
from src.engines.engine_network import EngineNetwork, drawn_input
from src.engines.runtimes import open_graph
from src.errors import UserError
from src.inference import Segmenter
from src.inference.devices import autocast
from src.inference.image_file import read_image_file, write_image_file
from src.processes import die_with_parent, peak_memory

_FEWEST = 3  # timed calls, however long they take
MASKS = "masks.npz"


@dataclass(frozen=True)
class Request:
    """What a process measures.

    weights: A file.
    model: The composed group where the file does not say it; None where it does.
    size: Another input size than the model's, or None.
    device: Where PyTorch runs.
    engine, precision: Of `src.engines.runtimes`.
    compiled: Whether PyTorch's network goes through torch.compile.
    graph: The 8-bit graph to run in place of the network's own; None for none.
    images: Files that are read, one after another.
    folder: Where masks are written.
    repeats: Calls that are timed.
    seconds: After so long of them no further one is begun.
    threads: Of the CPU.
    """

    weights: str
    model: dict[str, Any] | None
    size: list[int] | None
    device: str
    engine: str
    precision: str
    compiled: bool
    graph: str | None
    images: list[str]
    folder: str
    repeats: int
    seconds: float
    threads: int


@dataclass(frozen=True)
class Times:
    """Milliseconds of one call: of the clock, median and 95th percentile; of all cores, median."""

    median: float
    p95: float
    cpu: float
    calls: int


@dataclass(frozen=True)
class Measured:
    """What a process found.

    file: From the image file to the written mask.
    network: The network alone.
    start: Seconds from the weights to the first mask.
    memory: Most that the process held, in bytes; None where the system does not say.
    gpu_memory: Most that PyTorch held on a GPU, in bytes; 0 without one.
    """

    file: Times
    network: Times
    start: float
    memory: int | None
    gpu_memory: int


def run(request: Request) -> Measured:
    """Measure in a new process; its masks, by the images' order, lie in `MASKS` in the folder.

    Raises:
        UserError: What went wrong there, in a line.
    """
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    asked, answer = folder / "request.json", folder / "result.json"
    asked.write_text(json.dumps(asdict(request)), encoding="utf-8")
    command = [sys.executable, "-m", "src.benchmark.measure", str(asked), str(answer)]
    done = subprocess.run(command, capture_output=True, preexec_fn=die_with_parent, check=False)
    if not answer.is_file():
        said = done.stderr.decode(errors="replace").strip().splitlines()
        killed = "was killed, most often for want of memory"
        raise UserError(killed if done.returncode < 0 else said[-1] if said else "ended at once")
    found = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise UserError(found["error"])
    file, network = (Times(**found.pop(key)) for key in ("file", "network"))
    return Measured(file=file, network=network, **found)


def measure(request: Request) -> Measured:
    """What `run` answers, measured in this process."""
    torch.set_num_threads(request.threads)
    begun = time.perf_counter()
    segmenter = _segmenter(request)
    answer = answering(segmenter)
    paths = [Path(path) for path in request.images]
    masks = [answer(read_image_file(path).pixels) for path in paths[:1]]
    start = time.perf_counter() - begun
    masks += [answer(read_image_file(path).pixels) for path in paths[1:]]
    np.savez(Path(request.folder, MASKS), *masks)
    target = Path(request.folder, "mask.png")
    turn = iter(range(sys.maxsize))

    def from_file_to_file() -> None:
        pixels = read_image_file(paths[next(turn) % len(paths)]).pixels
        write_image_file(target, answer(pixels))

    whole = _timed(from_file_to_file, request)
    alone = _timed(_network_call(segmenter), request)
    on_gpu = segmenter.device.type == "cuda"
    return Measured(
        *(whole, alone, start, peak_memory()),
        torch.cuda.max_memory_allocated() if on_gpu else 0,
    )


def _segmenter(request: Request) -> Segmenter:
    on_graph = request.graph is not None
    segmenter = Segmenter.from_checkpoint(
        request.weights,
        None if request.model is None else OmegaConf.create(request.model),
        request.device,
        size=request.size,
        precision="fp32" if on_graph else request.precision,
        batch_size=1,
        engine=None if on_graph else request.engine,
    )
    if request.graph is not None:
        channels = segmenter.network.input_channels()
        opened = open_graph(Path(request.graph), request.engine)
        segmenter.network = EngineNetwork(opened, channels)
    if request.compiled:
        segmenter.network.compile()
    return segmenter


def answering(segmenter: Segmenter) -> Callable[[np.ndarray], np.ndarray]:
    """The mask of an image; a model with clicks is shown the middle half of it."""
    if segmenter.clicks is None:
        return segmenter.mask

    def guided(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        left, top, right, bottom = width // 4, height // 4, 3 * width // 4, 3 * height // 4
        segmenter.set_image(image)
        if segmenter.clicks == "extreme_points":
            x, y = width // 2, height // 2
            return segmenter.predict([(left, y), (right, y), (x, top), (x, bottom)])
        return segmenter.predict(box=(left, top, right, bottom))

    return guided


def _network_call(segmenter: Segmenter) -> Callable[[], None]:
    network, device = segmenter.network, segmenter.device
    values = drawn_input(segmenter.processor, network.input_channels()).to(device)
    values = values.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def call() -> None:
        with autocast(device, segmenter.precision):
            network(values)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return call


def _timed(call: Callable[[], None], request: Request) -> Times:
    """Times of as many calls as were asked for, after one to warm up."""
    call()
    clock: list[float] = []
    cores: list[float] = []
    while len(clock) < request.repeats:
        if len(clock) >= _FEWEST and sum(clock) > request.seconds:
            break
        begun, worked = time.perf_counter(), time.process_time()
        call()
        clock.append(time.perf_counter() - begun)
        cores.append(time.process_time() - worked)
    return Times(
        *(1000 * float(np.median(clock)), 1000 * float(np.percentile(clock, 95))),
        *(1000 * float(np.median(cores)), len(clock)),
    )


def main(words: Iterable[str]) -> int:
    """Carry out the request of a file; an error is a result as well."""
    asked, answer = words
    request = Request(**json.loads(Path(asked).read_text(encoding="utf-8")))
    result: dict[str, Any]
    try:
        result = asdict(measure(request))
    except Exception as error:  # whatever an engine raises is a row of the table
        text = str(error).strip() or type(error).__name__
        known = isinstance(error, UserError)
        line = text.splitlines()[0]
        result = {"error": line if known else f"{type(error).__name__}: {line}"}
    atomic_write(Path(answer), json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
