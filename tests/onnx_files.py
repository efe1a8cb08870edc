"""ONNX files as others write them, drawn by hand: no network, no exporter, a few kilobytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]
REMBG_OUTPUTS = tuple(str(number) for number in range(1959, 1966))


def write(
    path: Path,
    shape: Shape = (1, 3, 320, 320),
    *,
    name: str = "input.1",
    dtype: int = TensorProto.FLOAT,
    outputs: Sequence[str] = REMBG_OUTPUTS,
    sigmoid: bool = True,
    further: Sequence[str] = (),
    metadata: dict[str, str] | None = None,
    external: str | None = None,
    gain: float = 4.0,
) -> Path:
    """A file whose first output is `gain` times red minus blue, the others its negative.

    Args:
        shape: Of the input; a word is a free side.
        outputs: Their names; each goes through a sigmoid where one is asked for.
        further: Names of inputs beside the image.
        external: A file that is said to hold the weights.
    """
    axis = 3 if shape[-1] == 3 else 1
    weights = np.array([gain, 0, -gain], np.float32).reshape(
        (1, 1, 1, 3) if axis == 3 else (3, 1, 1)
    )
    stored = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([axis], np.int64), "axis"),
    ]
    image = "image32" if dtype != TensorProto.FLOAT else name
    nodes = [helper.make_node("Cast", [name], [image], to=TensorProto.FLOAT)] * (image != name)
    nodes += [
        helper.make_node("Mul", [image, "weights"], ["colors"]),
        helper.make_node("ReduceSum", ["colors", "axis"], ["found"], keepdims=1),
        helper.make_node("Neg", ["found"], ["other"]),
    ]
    last = "Sigmoid" if sigmoid else "Identity"
    for place, output in enumerate(outputs):
        nodes.append(helper.make_node(last, ["other" if place else "found"], [output]))
    given = [helper.make_tensor_value_info(name, dtype, list(shape))]
    given += [helper.make_tensor_value_info(one, TensorProto.FLOAT, [1, 2]) for one in further]
    made = [helper.make_tensor_value_info(one, TensorProto.FLOAT, None) for one in outputs]
    graph = helper.make_graph(nodes, "net", given, made, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    if external is not None:
        onnx.external_data_helper.set_external_data(model.graph.initializer[0], external)
        model.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return path
