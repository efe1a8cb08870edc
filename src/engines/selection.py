"""Which engine runs a network: the one asked for, or the fastest here, which is measured once."""

import logging
import platform
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, cast

import torch
from torch import Tensor

from src.cache import CacheFolder
from src.engines.engine_network import EngineGraph, drawn_input
from src.engines.onnx_model import OnnxModel
from src.engines.runtimes import ENGINES, EngineName, require, versions, why_not_installed
from src.errors import UserError
from src.hashing import value_hash
from src.networks.network import Network
from src.processes import processor_name
from src.processing import Processor
from src.weights.registry import cache_folder

log = logging.getLogger(__name__)

_VERSION = 1  # of what is measured
_TIE = 1.05  # what is slower by less than this share is as fast
_TURNS, _SECONDS = 10, 6.0  # at most so many turns, and no further one after so long


def in_engine(
    network: Network,
    processor: Processor,
    engine: str,
    *,
    name: str,
    device: torch.device,
    precision: str = "fp32",
    obstacle: str | None = None,
) -> tuple[EngineName, Network]:
    """The network in an engine, and which engine that is.

    Args:
        network: In evaluation mode, on `device`.
        processor: The model's, whose size the graph is for.
        engine: Of `ENGINES`, or `auto`: the fastest that can run it, which is PyTorch where no
            other can; why is said.
        name: Of the model, for messages.
        device: Where PyTorch runs.
        precision: `fp32`, `bf16` or `fp16`.
        obstacle: Why no engine but PyTorch can do what will be asked of the network; None for none.

    Raises:
        UserError: The engine that was asked for is not installed or cannot do it.
    """
    if isinstance(network, OnnxModel):
        return _file_in_engine(network, engine), network
    if obstacle is None and device.type != "cpu":
        obstacle = "the other engines run on the CPU (device=cpu)"
    if obstacle is None and network.refines:
        obstacle = "its network is called in two parts, once an image and once a click"
    if engine != "auto":
        require(engine)
        if engine != "torch" and obstacle is not None:
            raise UserError(f"engine={engine} is not for {name}: {obstacle}")
    elif obstacle is None and precision != "fp32":
        obstacle = f"engines are measured in fp32, not in {precision}"
    if engine == "torch" or obstacle is not None:
        if engine == "auto":
            log.info("engine=auto takes torch: %s", obstacle)
        return "torch", network
    graph = EngineGraph(network, drawn_input(processor, network.input_channels()), name)
    chosen = fastest_engine(graph) if engine == "auto" else cast(EngineName, engine)
    return chosen, network if chosen == "torch" else graph.open(chosen, precision)


def _file_in_engine(network: OnnxModel, engine: str) -> EngineName:
    """Let a network that is an ONNX file run in an engine, in place; which one that is.

    Raises:
        UserError: PyTorch, which runs none.
    """
    if engine == "auto":
        log.info("engine=auto takes onnxruntime, since %s is an ONNX file", network.path)
        return "onnxruntime"
    require(engine)
    if engine == "torch":
        raise UserError(f"{network.path} runs in ONNX Runtime or OpenVINO, not with engine=torch")
    network.run_in(engine)
    return cast(EngineName, engine)


def fastest_engine(graph: EngineGraph) -> EngineName:
    """The fastest of the engines that are installed, in fp32 on the CPU; a tie goes to the simpler.

    What was measured is kept for this machine, its number of threads, the engines' versions, the
    weights and the size, so that it costs its seconds once. It is said on one line what was
    measured and what it led to.
    """
    cache = CacheFolder(cache_folder() / "engines", "speed", _VERSION)
    about = {
        "graph": graph.key,
        "machine": [platform.node(), platform.machine(), processor_name()],
        "threads": torch.get_num_threads(),
        "engines": versions(),
    }
    found = cache.get_json(value_hash(about)[:32], lambda: _measure_all(graph))
    engine = choose(found["ms"])
    height, width = graph.example.shape[2:]
    times = ", ".join(f"{name} {found['ms'][name]:.0f} ms" for name in found["ms"])
    left_out = "".join(f"; {name}: {why}" for name, why in found["left_out"].items())
    log.info(
        "engine=auto takes %s: %s an image (%s %d×%d, fp32, %d threads, measured %s%s)",
        *(engine, times, graph.name, height, width, torch.get_num_threads(), found["date"]),
        left_out,
    )
    return engine


def choose(times: Mapping[str, float]) -> EngineName:
    """The simplest of the engines that are as fast as the fastest, within 5 %."""
    best = min(times.values())
    return next(name for name in ENGINES if times.get(name, float("inf")) <= best * _TIE)


def turns(
    calls: Mapping[str, Callable[[], Any]], most: int = _TURNS, seconds: float = _SECONDS
) -> dict[str, list[float]]:
    """Milliseconds of each call, by its name; the calls take turns, so that other load of the
    machine falls on all of them. A first turn warms up and does not count.

    Args:
        calls: What is timed.
        most: Turns.
        seconds: No further turn is begun after so long; there are two at least.
    """
    spent: dict[str, list[float]] = {name: [] for name in calls}
    begun = time.perf_counter()
    for turn in range(most + 1):
        if turn == 1:
            begun = time.perf_counter()
        if turn > 2 and time.perf_counter() - begun > seconds:
            break
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                spent[name].append((time.perf_counter() - started) * 1000)
    return spent


def _measure_all(graph: EngineGraph) -> dict[str, Any]:
    log.info("engine=auto: measuring the engines for %s, once", graph.name)
    calls: dict[str, Callable[[], Any]] = {}
    left_out: dict[str, str] = {}
    for engine in ENGINES:
        if (reason := why_not_installed(engine)) is not None:
            left_out[engine] = reason
            continue
        try:
            calls[engine] = _call(graph, engine)
        except UserError as error:
            left_out[engine] = str(error)
    # Of the turns the fastest: what other programs did meanwhile only adds to a time.
    times = {name: min(each) for name, each in turns(calls).items()}
    return {"ms": times, "left_out": left_out, "date": date.today().isoformat()}


def _call(graph: EngineGraph, engine: EngineName) -> Callable[[], Any]:
    example: Tensor = graph.example
    if engine == "torch":
        network, example = graph.network, example.to(memory_format=torch.channels_last)
    else:
        network = graph.open(engine)

    def call() -> None:
        with torch.inference_mode():
            network(example)

    return call
