"""Gives an exported model a second output: where in the image its evidence for every label lies.

The class activation map (B. Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016): where a
linear head follows the mean over all places of the feature maps, the head may as well be applied at every place. The
mean of a label's map, plus its bias, is then its logit. The service shows such maps without torch.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from app.inference.bundle import MAPS

MEANS = {"GlobalAveragePool", "ReduceMean"}
RESHAPING = {"Flatten", "Reshape", "Squeeze", "Identity", "Dropout"}
NODE = "evidence"
AXES = f"{NODE}_axes"


def add_maps(path: Path) -> bool:
    """Add the output `maps` of shape (n, outputs, rows, columns) to an ONNX file, or leave it and say False.

    A network whose head is not linear, or does not follow a mean over the image, has no such maps. Where one part of
    the features does, the evidence of the others, which has no place, is spread evenly.
    """
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    head = makers[graph.output[0].name]
    if head.op_type != "Gemm" or head.input[1] not in constants:
        return False
    joined = makers.get(head.input[0])
    parts = list(joined.input) if joined is not None and joined.op_type == "Concat" else [head.input[0]]
    maps = [map_before(part, makers) for part in parts]
    if sum(found is not None for found in maps) != 1:
        return False
    weights = numpy_helper.to_array(constants[head.input[1]])
    if not any(attribute.name == "transB" and attribute.i for attribute in head.attribute):
        weights = weights.T
    ends = np.cumsum([width_of(part, graph) for part in parts[:-1]])
    terms = []
    for number, (part, found, share) in enumerate(zip(parts, maps, np.split(weights, ends, axis=1), strict=True)):
        terms.append(f"{NODE}_{number}")
        kernels = np.ascontiguousarray(share[:, :, None, None])  # (labels, features, 1, 1)
        graph.initializer.append(numpy_helper.from_array(kernels, f"{terms[-1]}_kernels"))
        spread = found or f"{terms[-1]}_spread"
        if not found:
            graph.node.append(helper.make_node("Unsqueeze", [part, AXES], [spread]))
        graph.node.append(helper.make_node("Conv", [spread, f"{terms[-1]}_kernels"], [terms[-1]], name=terms[-1]))
    if len(parts) > 1:
        graph.initializer.append(numpy_helper.from_array(np.array([2, 3]), AXES))
    graph.node.append(helper.make_node("Sum", terms, [MAPS], name=NODE))
    shape: list[str | int | None] = ["batch", len(weights), "rows", "columns"]
    graph.output.append(helper.make_tensor_value_info(MAPS, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return True


def map_before(features: str, makers: Mapping[str, onnx.NodeProto]) -> str | None:
    """The name of the feature maps whose mean over all places these features are, None where they are not."""
    maker = makers.get(features)
    while maker is not None and maker.op_type in RESHAPING:
        maker = makers.get(maker.input[0])
    return maker.input[0] if maker is not None and maker.op_type in MEANS else None


def width_of(features: str, graph: onnx.GraphProto) -> int:
    """The length of vectors in the graph."""
    (shape,) = (info.type.tensor_type.shape for info in graph.value_info if info.name == features)
    return int(shape.dim[1].dim_value)
