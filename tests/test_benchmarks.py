"""Benchmarks that need a machine of their own run in miniature, and work then."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import Bench, Row, main
from benchmarks.limits import parts
from benchmarks.step import Waiting
from src.errors import UserError

from .running import ROOT


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in miniature, which measured everything."""
    folder = tmp_path_factory.mktemp("gpu")
    done = run(folder)
    # 1: the installed ONNX Runtime has no GPU, so that two rows say so
    assert done.returncode == 1, done.stderr
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "benchmarks/gpu.sh"), "--tiny", "--output", str(folder), *words],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_every_stage_of_the_gpu_script_writes_its_rows(output: Path) -> None:
    rows = json.loads((output / "gpu.json").read_text())
    stages = {row["stage"] for row in rows}
    assert stages == {
        *("fit", "birefnet", "isnet", "inspyrenet_swinb", "dextr", "inference"),
    }
    failed = {row["name"]: row["error"] for row in rows if "error" in row}
    assert [name.partition(", ")[2] for name in failed] == [
        "onnxruntime CUDA, fp32",
        "onnxruntime TensorRT, fp32",
    ]
    for row in rows:
        if row["stage"] == "fit":
            assert 0 <= row["mae"] <= 1
        elif row["stage"] != "inference":
            assert row["samples"] > 0
            assert 0 <= row["waiting"] <= 1
            assert (row["apart"] is not None) == (row["name"] == "ours, bf16")
        elif row["name"] not in failed:
            assert min(row["ms"], row["flops"]) > 0
    table = (output / "gpu.md").read_text()
    assert table.count("\n| isnet | ours") == 4
    assert "not measured: the installed ONNX Runtime has no CUDAExecutionProvider" in table


@pytest.mark.slow
def test_finished_rows_are_not_measured_again(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that failed are tried again, after those that are missing."""
    measured = []

    def measure(_: Bench, row: Row, seconds: float) -> dict[str, Any]:
        measured.append(row.name)
        return {"error": "out of memory"}

    monkeypatch.setattr(Bench, "_measured", measure)
    (output / "rows" / "isnet-ours-fp32.json").unlink()
    assert main(["--tiny", "--output", str(output)]) == 1
    assert measured == [
        *("ours, fp32", "isnet, onnxruntime CUDA, fp32", "isnet, onnxruntime TensorRT, fp32")
    ]
    table = (output / "gpu.md").read_text()
    assert "| isnet | ours, fp32 | – | – | – | – | – | – | – | – | – | out of memory |" in table


@pytest.mark.slow
def test_rows_of_another_machine_are_not_mixed_with_these(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "another")
    with pytest.raises(UserError, match=r"is of .*, and this is another; .*--output FOLDER"):
        Bench(output, tiny=True)


def test_what_waits_for_data_is_told_from_what_computes() -> None:
    waiting = Waiting("cpu")
    for _ in range(2):
        waiting.forget()
        waiting.mark()
        waiting.mark()
    first, last = waiting.marks
    assert waiting.seconds() == last - first


def test_an_engines_time_is_divided_into_products_and_the_rest() -> None:
    found = parts({"mkldnn_convolution": 6.0, "addmm": 2.0, "Resize": 1.5, "add": 0.5})
    assert found == (0.8, [("Resize", 0.15), ("add", 0.05)])
    assert str(found) == "Resize 15%, add 5%"
