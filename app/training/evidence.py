"""Gives an exported model a second output: where in the image its evidence for every label lies.

The class activation map (B. Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016): where a
linear head follows the mean over all places of the feature maps, the head may as well be applied at every place. The
mean of a label's map, plus its bias, is then its logit. The service shows such maps without torch.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from app.inference.bundle import MAPS

MEANS = {"GlobalAveragePool", "ReduceMean"}
RESHAPING = {"Flatten", "Reshape", "Squeeze", "Identity", "Dropout"}
NODE = "evidence"


def add_maps(path: Path) -> bool:
    """Add the output `maps` of shape (n, labels, rows, columns) to an ONNX file, or leave it and say False.

    A network whose head is not linear, or does not follow a mean over the image, has no such maps.
    """
    model = onnx.load(path)
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    head = makers[graph.output[0].name]
    if head.op_type != "Gemm" or head.input[1] not in constants:
        return False
    before = makers.get(head.input[0])
    while before is not None and before.op_type in RESHAPING:
        before = makers.get(before.input[0])
    if before is None or before.op_type not in MEANS:
        return False
    weights = numpy_helper.to_array(constants[head.input[1]])
    if not any(attribute.name == "transB" and attribute.i for attribute in head.attribute):
        weights = weights.T
    kernels = np.ascontiguousarray(weights[:, :, None, None])  # (labels, features, 1, 1)
    graph.initializer.append(numpy_helper.from_array(kernels, f"{NODE}_kernels"))
    graph.node.append(helper.make_node("Conv", [before.input[0], f"{NODE}_kernels"], [MAPS], name=NODE))
    shape: list[str | int | None] = ["batch", len(kernels), "rows", "columns"]
    graph.output.append(helper.make_tensor_value_info(MAPS, onnx.TensorProto.FLOAT, shape))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return True
