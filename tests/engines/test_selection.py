"""`engine=auto`: measured once, remembered, said."""

import logging
from typing import Any

import pytest
import torch

from src.engines import selection
from src.engines.engine_network import EngineGraph, drawn_input
from src.engines.selection import choose, fastest_engine, turns
from src.errors import UserError
from tests.inference.tiny import PROCESSOR, RedFinder


def graph_of_finder() -> EngineGraph:
    return EngineGraph(RedFinder(), drawn_input(PROCESSOR, 3), "finder")


@pytest.mark.parametrize(
    ("times", "engine"),
    [
        ({"torch": 100, "onnxruntime": 50, "openvino": 49}, "onnxruntime"),
        ({"torch": 100, "onnxruntime": 50, "openvino": 47}, "openvino"),
        ({"torch": 50, "onnxruntime": 50, "openvino": 48}, "torch"),
        ({"torch": 50}, "torch"),
        ({"openvino": 10, "torch": 30}, "openvino"),
    ],
)
def test_a_tie_within_five_percent_goes_to_the_simpler(times: dict, engine: str) -> None:
    assert choose(times) == engine


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> list[str]:
    """The engines that were timed, in order; no graph is written for it."""
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path))
    timed: list[str] = []

    def call(graph: Any, engine: str) -> Any:
        if engine == "openvino":
            raise UserError("openvino cannot run this")
        return lambda: timed.append(engine)

    monkeypatch.setattr(selection, "_call", call)
    monkeypatch.setattr(
        selection, "why_not_installed", lambda engine: "no" * (engine == "onnxruntime") or None
    )
    return timed


def test_what_is_measured_is_said_and_measured_once(
    measured: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    graph = graph_of_finder()
    with caplog.at_level(logging.INFO):
        assert fastest_engine(graph) == "torch"
        count = len(measured)
        assert count > 2
        assert fastest_engine(graph) == "torch"
    assert len(measured) == count
    first, said, again = (record.getMessage() for record in caplog.records)
    assert "measuring the engines" in first
    assert said == again
    assert "takes torch: torch 0 ms an image (finder 64×64, fp32" in said
    assert "; onnxruntime: no; openvino: openvino cannot run this)" in said


def test_another_number_of_threads_is_measured_anew(measured: list[str]) -> None:
    graph, threads = graph_of_finder(), torch.get_num_threads()
    fastest_engine(graph)
    count = len(measured)
    try:
        torch.set_num_threads(threads + 1)
        fastest_engine(graph)
    finally:
        torch.set_num_threads(threads)
    assert len(measured) > count


def test_calls_take_turns_and_the_first_does_not_count() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    assert {name: len(each) for name, each in turns(calls, most=3).items()} == {"a": 3, "b": 3}
    assert order == list("abababab")
    order.clear()
    assert {len(each) for each in turns(calls, most=9, seconds=0).values()} == {2}
