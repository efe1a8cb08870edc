"""`finecut benchmark`: one row for what this machine has, and one for what it lacks."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from src.benchmark import cli, measure, variants
from src.benchmark.cli import Bench, Row, main, table
from src.benchmark.measure import Measured, Request, Times, answering, peak_memory, run
from src.benchmark.variants import Planned, Variant, plan
from src.engines.parity import Difference
from src.errors import CommandError, UserError
from src.inference import Segmenter
from src.settings.commands import BenchmarkSettings
from tests.inference.clicked import DEXTR, IOG, Guided, segmenter
from tests.inference.tiny import finder, red_on_blue, save_picture
from tests.running import ROOT, without_training

CPU = torch.device("cpu")
FOUND = Measured(Times(30.4, 41.6, 55, 9), Times(20, 22, 38, 9), 1.26, 300 << 20, 0)


@pytest.fixture
def all_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    able = {"torch": ("fp32", "bf16"), "onnxruntime": ("fp32", "int8")}
    monkeypatch.setattr(
        variants, "precisions", lambda engine, device: able.get(engine, ("fp32", "bf16", "int8"))
    )
    monkeypatch.setattr(variants, "why_not_installed", lambda engine: None)


@pytest.mark.usefixtures("all_precisions")
def test_every_engine_in_every_precision_that_the_processor_has() -> None:
    planned = plan(("openvino", "torch", "onnxruntime"), CPU)
    assert [(row.variant.name, row.variant.precision) for row in planned] == [
        ("torch", "fp32"),
        ("torch", "bf16"),
        ("torch.compile", "fp32"),
        ("onnxruntime", "fp32"),
        ("onnxruntime", "int8"),
        ("openvino", "fp32"),
        ("openvino", "bf16"),
        ("openvino", "int8"),
    ]
    assert not any(row.obstacle for row in planned)


@pytest.mark.usefixtures("all_precisions")
def test_what_is_not_installed_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        variants,
        "why_not_installed",
        lambda engine: "pip install it" * (engine == "openvino") or None,
    )
    *_, last = plan(("torch", "openvino"), CPU)
    assert last == Planned(Variant("openvino", "fp32"), "pip install it")


def test_on_a_gpu_the_others_say_that_they_run_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(variants, "why_not_installed", lambda engine: None)
    rows = plan(("torch", "onnxruntime"), torch.device("cuda"))
    assert [(row.variant.name, row.variant.precision) for row in rows] == [
        *(("torch", "fp32"), ("torch", "bf16"), ("torch", "fp16")),
        *(("torch.compile", "fp32"), ("torch.compile", "bf16"), ("torch.compile", "fp16")),
        ("onnxruntime", "fp32"),
    ]
    assert "device=cpu" in str(rows[-1].obstacle)


def test_the_table_says_what_was_measured_and_what_was_not() -> None:
    apart = Difference(0, 0, 0)
    rows = [
        Row(Variant("torch", "fp32"), FOUND, apart),
        Row(
            Variant("torch", "fp32", True), replace(FOUND, gpu_memory=1 << 20), Difference(1, 0, 0)
        ),
        Row(Variant("openvino", "fp32"), remark="pip install it"),
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(rows).splitlines()]
    assert lines[2] == [
        *("torch", "fp32", "30 [42]", "55", "20 [22]", "38", "1.3", "300", "0, 0.000", ""),
    ]
    assert lines[3][0] == "torch.compile"
    assert lines[3][7] == "300 + GPU 1"
    assert lines[4] == ["openvino", "fp32", *["–"] * 7, "pip install it"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(8):
        save_picture(tmp_path / "photos" / f"{i}.jpg", 40 + i, 60)
    return tmp_path / "photos"


@pytest.fixture
def bench(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Of the red finder, whose measurements are made in this process."""
    monkeypatch.setenv("FINECUT_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setattr(Segmenter, "from_checkpoint", as_finder)

    def run_here(request: Request) -> Measured:
        Path(request.folder).mkdir()
        return measure.measure(request)

    monkeypatch.setattr(cli, "run", run_here)
    settings = BenchmarkSettings(
        **dict.fromkeys(("model", "size", "engines", "images")),
        **{"weights": "w", "calibrate_on": str(photos), "device": "cpu"},
        **{"repeats": 2, "seconds": 1},
    )
    return Bench(settings, tmp_path)


def as_finder(*_: Any, engine: str | None = None, precision: str = "fp32", **__: Any) -> Segmenter:
    made = finder(precision=precision, name="finder")
    if engine is not None:
        made.use_engine(engine)
    return made


def test_masks_and_times_of_each_engine(bench: Bench) -> None:
    """8 bit is calibrated on other photos than it is measured on."""
    assert [path.name for path in bench.images] == ["0.jpg", "2.jpg", "4.jpg", "6.jpg"]
    for variant, most in (
        (Variant("torch", "fp32"), 0),
        (Variant("onnxruntime", "fp32"), 1),
        (Variant("onnxruntime", "int8"), 255),
        (Variant("openvino", "int8"), 255),
    ):
        row = bench.row(Planned(variant))
        assert not row.failed, row.remark
        assert row.measured is not None
        assert row.apart is not None
        assert row.measured.file.calls == 2
        assert row.measured.file.median >= row.measured.network.median > 0
        assert row.apart.max <= most
        assert row.apart.mean < 8
    about = "\n".join(bench.about())
    assert "finder at 64×64: 4 images of 60×40, 60×42" in about
    assert "load of the machine" in about


def test_what_fails_is_a_row_and_not_another_engine(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(request: Request) -> Measured:
        raise UserError("was killed")

    monkeypatch.setattr(cli, "run", fail)
    row = bench.row(Planned(Variant("torch", "fp32")))
    assert (row.measured, row.remark, row.failed) == (None, "was killed", True)
    missing = bench.row(Planned(Variant("openvino", "fp32"), "pip install it"))
    assert (missing.remark, missing.failed) == ("pip install it", False)
    bench.photos = []
    unmeasured = bench.row(Planned(Variant("openvino", "int8")))
    assert (unmeasured.remark, unmeasured.failed) == ("needs calibrate_on=FOLDER of photos", False)


@pytest.mark.parametrize("paper", [DEXTR, IOG])
def test_a_model_with_clicks_is_shown_the_middle_of_an_image(paper: Any) -> None:
    guided = segmenter(Guided(maps=1 if paper is DEXTR else 2), paper)
    mask = answering(guided)(red_on_blue()[0])
    assert mask.shape == (90, 120)
    assert mask[45, 60] != 0 or mask.std() > 0


@pytest.fixture
def request_of_nothing(tmp_path: Path) -> Request:
    return Request(
        *("nowhere.pth", None, None, "cpu", "torch", "fp32", False, None, [], str(tmp_path)),
        *(2, 1.0, 1),
    )


def test_what_a_process_cannot_do_is_one_line(
    request_of_nothing: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        assert command[:3] == [sys.executable, "-m", "src.benchmark.measure"]
        return subprocess.CompletedProcess([], measure.main(command[3:]), b"", b"")

    monkeypatch.setattr(subprocess, "run", here)
    with pytest.raises(UserError, match="no such checkpoint file") as caught:
        run(request_of_nothing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (-9, b"", "killed, most often for want of memory"),
        (1, b"Traceback\nImportError: no libstdc++\n", "^ImportError: no libstdc"),
    ],
)
def test_a_process_that_ends_without_an_answer_says_why(
    code: int, said: bytes, words: str, request_of_nothing: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.CompletedProcess([], code, b"", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(UserError, match=words):
        run(request_of_nothing)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say it")
def test_the_peak_is_of_this_process() -> None:
    before = peak_memory()
    assert before is not None
    assert before > 50 << 20  # torch alone
    assert (peak_memory() or 0) >= before


def test_an_engine_that_was_asked_for_and_is_missing_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    overrides = ["weights=x", "engines=[openvino]"]
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        cfg = without_training(compose("benchmark", overrides))
    with pytest.raises(UserError, match="engine=openvino needs openvino: pip install"):
        main(cfg)
    cfg.engines = ["tensorrt"]
    with pytest.raises(CommandError, match="engines"):
        main(cfg)
