"""How far a file is from PyTorch, and when that is too far or proves nothing."""

import json
from typing import Any

import numpy as np
import pytest

from src.engines.parity import TOLERANCES, Tolerance
from src.export import parity
from src.export.parity import Parity, ParityRow, compare, markdown

TOLERANCE = Tolerance(graph_p99=2, graph_mean=0.1, python_mean=1)


def ramp(height: int = 10, width: int = 20) -> np.ndarray:
    return np.linspace(0, 200, height * width).reshape(height, width).astype(np.uint8)


def compared(file: Any, graph: Any = None, python: Any = None) -> Parity:
    """On one image; what is not given answers as the ramp does."""

    def answer(given: Any) -> Any:
        return lambda array: ramp() if given is None else given

    runs = (answer(given) for given in (file, graph, python))
    return compare({"a": ramp()}, *runs, TOLERANCE)


def row(**values: float) -> ParityRow:
    given = dict.fromkeys(ParityRow._fields[2:], 0.0) | {"contrast": 200.0} | values
    return ParityRow("a", "10×20", **given)


def test_equal_masks_pass() -> None:
    found = compared(None)
    (only,) = found.rows
    assert found.passed
    assert (only.name, only.size, only.contrast) == ("a", "10×20", 200)
    assert (only.graph_max, only.graph_p99, only.graph_mean) == (0, 0, 0)
    assert min(only.file_ms, only.python_ms) >= 0


def test_differences_are_of_grey_levels_whatever_the_sign() -> None:
    (only,) = compared(ramp() + np.uint8(3), python=ramp() + np.uint8(5)).rows
    assert (only.graph_max, only.graph_p99, only.graph_mean) == (3, 3, 3)
    assert (only.python_max, only.python_p99, only.python_mean) == (2, 2, 2)


def test_a_pixel_in_a_hundred_may_fall_to_the_other_side() -> None:
    one, three = ramp().astype(int), ramp().astype(int)
    one.flat[0] += 19
    three.flat[:3] += 19
    assert compared(one).passed
    assert not compared(three).passed


@pytest.mark.parametrize(
    "found", [ramp()[:5], ramp()[None], np.full((10, 20), np.nan), np.full((10, 20), np.inf)]
)
def test_another_shape_and_nan_are_as_far_as_can_be(found: np.ndarray) -> None:
    answer = compared(found)
    assert answer.rows[0].graph_mean == float("inf")
    assert not answer.passed
    assert "inf" in markdown(answer, {}, "a.onnx")


@pytest.mark.parametrize(
    ("values", "passed"),
    [
        ({"graph_p99": 2, "graph_mean": 0.1, "python_mean": 1}, True),
        ({"graph_max": 255, "python_max": 255, "python_p99": 255}, True),
        ({"graph_p99": 2.1}, False),
        ({"graph_mean": 0.11}, False),
        ({"python_mean": 1.1}, False),
    ],
)
def test_three_figures_decide(values: dict[str, float], passed: bool) -> None:
    assert Parity([row(), row(**values)], TOLERANCE).passed is passed


@pytest.mark.parametrize(("contrasts", "blank"), [((0.5, 0.9), True), ((0.5, 1), False)])
def test_masks_of_one_grey_prove_nothing(contrasts: tuple[float, ...], blank: bool) -> None:
    found = Parity([row(contrast=contrast) for contrast in contrasts], TOLERANCE)
    assert (found.blank, found.passed) == (blank, not blank)
    assert ("of one gray" in markdown(found, {}, "a.onnx")) is blank


def test_smaller_files_may_be_further_away() -> None:
    assert list(TOLERANCES) == ["fp32", "fp16", "int8"]
    for field in Tolerance._fields:
        allowed = [getattr(tolerance, field) for tolerance in TOLERANCES.values()]
        assert allowed == sorted(allowed)


def test_nothing_to_compare_on_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        compare({}, ramp, ramp, ramp, TOLERANCE)


def test_every_run_sees_every_input() -> None:
    seen: list[tuple[str, int]] = []

    def noting(name: str) -> Any:
        def run(array: np.ndarray) -> np.ndarray:
            seen.append((name, array.shape[0]))
            return array

        return run

    inputs = {"a": ramp(4, 3), "b": ramp(6, 3)}
    found = compare(inputs, *(noting(name) for name in ("file", "graph", "python")), TOLERANCE)
    assert [one.name for one in found.rows] == ["a", "b"]
    assert {*seen} == {(name, height) for name in ("file", "graph", "python") for height in (4, 6)}


@pytest.mark.parametrize(("seconds", "calls"), [(0.001, 6), (3.0, 3), (9.0, 2)])
def test_slow_networks_are_timed_less_often(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    """One call to warm up, then five, or as many as begin within five seconds."""
    clock, called = [0.0], []

    class Clock:
        perf_counter = staticmethod(lambda: clock[0])

    def run() -> np.ndarray:
        called.append(1)
        clock[0] += seconds
        return ramp()

    monkeypatch.setattr(parity, "time", Clock)
    _, milliseconds = parity._timed(run)
    assert len(called) == calls
    assert milliseconds == pytest.approx(1000 * seconds)


def test_the_report_as_plain_values() -> None:
    said = Parity([row(file_ms=1.5)], TOLERANCE).to_dict()
    assert said["passed"] is True
    assert said["tolerance"] == {"graph_p99": 2, "graph_mean": 0.1, "python_mean": 1}
    assert said["pictures"][0]["file_ms"] == 1.5
    assert json.loads(json.dumps(said)) == said


def test_the_report_to_read() -> None:
    found = Parity([row(graph_p99=9, file_ms=12.4, python_ms=30)], TOLERANCE)
    text = markdown(found, {"model": "mine"}, "mine.onnx")
    assert text.startswith("# mine.onnx: parity FAILED\n")
    assert "Allowed: graph p99 2, graph mean 0.1, Python mean 1." in text
    assert "| a | 10×20 | 200 | 0 | 9 | 0.0000 | 0 | 0 | 0.0000 | 12 | 30 |\n" in text
    assert text.endswith("| model | mine |\n")
    tables = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert tables == [12, 12, 12, 3, 3, 3]
