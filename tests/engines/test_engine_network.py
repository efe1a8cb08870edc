"""Other engines give the masks that PyTorch gives, from a graph that is written once."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from src.engines import engine_network, runtimes
from src.engines.engine_network import EngineGraph, drawn_input
from src.engines.runtimes import ENGINES, precisions
from src.errors import UserError
from src.networks.network import Output
from tests.inference.clicked import DEXTR, Guided, segmenter
from tests.inference.tiny import PROCESSOR, RedFinder, finder, red_on_blue

OTHERS = [name for name in ENGINES if name != "torch"]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One cache for all of them: the exporter's second is paid once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("FINECUT_WEIGHTS", str(folder))
        yield folder


def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (50 + i, 70, 3), dtype=np.uint8) for i in range(2)]
    return [*noise, red_on_blue()[0]]


@pytest.mark.slow
@pytest.mark.parametrize("engine", OTHERS)
def test_masks_are_the_same_to_a_gray_level(engine: str) -> None:
    expected = finder().masks(images())
    other = finder()
    other.use_engine(engine)
    assert f"in {engine}, fp32" in str(other)
    for found, wanted in zip(other.masks(images()), expected, strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= 1
        assert found.std() > 1


def test_clicks_are_answered_as_by_pytorch() -> None:
    clicks = [(20, 30), (60, 30), (40, 20), (40, 60)]
    answers = []
    for engine in ENGINES:
        guided = segmenter(Guided(maps=1), DEXTR)
        guided.use_engine(engine)
        guided.set_image(red_on_blue()[0])
        answers.append(guided.predict(clicks).astype(int))
    assert answers[0].std() > 1
    assert max(np.abs(answer - answers[0]).max() for answer in answers) <= 1


def test_the_graph_is_written_once_and_again_where_it_is_damaged(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder().use_engine("onnxruntime")
    key = EngineGraph(finder().network, drawn_input(PROCESSOR, 3), "network").key
    (file,) = (cache / "engines").glob(f"*{key}*.onnx")
    sound, written = file.read_bytes(), []

    def write(network: Any, example: Any, path: Path) -> None:
        written.append(path)
        path.write_bytes(sound)

    monkeypatch.setattr(engine_network, "write_network", write)
    finder().use_engine("onnxruntime")
    assert written == []
    file.write_bytes(sound[: len(sound) // 2])
    again = finder()
    again.use_engine("onnxruntime")
    assert written == [file]
    assert again.mask(red_on_blue()[0]).std() > 1


def graph(network: RedFinder, side: int = 8) -> EngineGraph:
    example = torch.linspace(-1, 1, 3 * side * side).view(1, 3, side, side)
    return EngineGraph(network, example, "finder")


def test_other_weights_and_another_size_have_a_graph_of_their_own() -> None:
    other = RedFinder()
    other.conv.weight.data += 1
    keys = {graph(RedFinder()).key, graph(other).key, graph(RedFinder(), 16).key}
    assert len(keys) == 3
    assert graph(RedFinder()).key in keys


def test_an_engine_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its graph is right, and still its numbers are not PyTorch's."""
    monkeypatch.setattr(
        engine_network, "open_graph", lambda *_: lambda array: np.zeros((1, 1, 8, 8), np.float32)
    )
    with pytest.raises(UserError, match=r"finder in onnxruntime, fp32: at most .* engine=torch"):
        graph(RedFinder()).open("onnxruntime")


class Unwritable(RedFinder):
    """Its answer depends on a number that a graph cannot hold."""

    def forward(self, x: torch.Tensor) -> Output:
        return super().forward(x * float(x.sum() > 0))


def test_a_network_that_no_graph_can_hold_is_one_line(cache: Path) -> None:
    with pytest.raises(UserError, match="finder cannot be written as a graph") as caught:
        graph(Unwritable()).open("onnxruntime")
    assert "\n" not in str(caught.value)
    assert graph(Unwritable()).key not in "".join(
        path.name for path in (cache / "engines").glob("*.onnx")
    )


@pytest.mark.parametrize("engine", OTHERS)
def test_precisions_that_a_processor_does_not_have_are_refused(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_network, "require_precision", runtimes.require_precision)
    monkeypatch.setattr(runtimes, "precisions", lambda _: ("fp32", "int8"))
    half = finder(precision="bf16")
    with pytest.raises(UserError, match=f"engine={engine} has precision=fp32 and int8 .* not bf16"):
        half.use_engine(engine)


def test_every_engine_computes_in_fp32_here() -> None:
    for engine in ENGINES:
        assert precisions(engine)[0] == "fp32"
    assert precisions("onnxruntime", "cuda:0") == ()


@pytest.mark.parametrize("engine", OTHERS)
def test_a_missing_extra_is_named(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    extras = r"\[export\]" if engine == "onnxruntime" else r"\[export,openvino\]"
    with pytest.raises(UserError, match=rf"needs {engine}: pip install -e '?/.*{extras}'?$"):
        finder().use_engine(engine)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UserError, match="'tflite' is unknown; choose auto or one of torch"):
        finder().use_engine("tflite")


def test_what_needs_torch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = finder()
    with pytest.raises(UserError, match=r"engine=openvino is not for .* at the image's own size"):
        whole.use_engine("openvino", detail="blended")
    monkeypatch.setattr(RedFinder, "refines", True)
    with pytest.raises(UserError, match="once an image and once a click"):
        whole.use_engine("openvino")
    whole.use_engine("auto")
    assert whole.engine == "torch"


def test_openvino_reports_nothing_to_its_makers() -> None:
    """Its import would: in place of what reports stands a package that does nothing."""
    assert precisions("openvino")
    reporter = importlib.import_module("openvino.tools.ovc.telemetry_utils").tm
    assert reporter.__name__ == "openvino.tools.ovc.telemetry_stub"
    assert "openvino_telemetry" not in sys.modules
