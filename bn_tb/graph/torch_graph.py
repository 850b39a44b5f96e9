"""Batch-norm layers of graphs written by `SummaryWriter.add_graph` of PyTorch and tensorboardX.

Their nodes are TorchScript's, named by the modules: `Net/Sequential[layer1]/BatchNorm2d[1]/340`
(torch/utils/tensorboard/_pytorch_graph.py). The model is traced in evaluation mode, whatever
training does, so these graphs say which layers there are and nothing of their updates.
"""

import re
from collections.abc import Iterable, Mapping

from bn_tb.graph.graph_evidence import LayerWiring
from bn_tb.graph.node_graph import NodeGraph
from bn_tb.runs.tags import Role

_BATCH_NORM = {
    *("aten::batch_norm", "aten::_batch_norm_impl_index", "aten::native_batch_norm"),
    *("aten::cudnn_batch_norm", "onnx::BatchNormalization"),
}
_MOVING_MEAN, _MOVING_VARIANCE = 3, 4  # inputs after input, weight and bias
_MODULE = re.compile(r"\w*\[([^\[\]]+)\]")
_NOTHING = "prim::Constant"  # None, where track_running_stats is False


def layers(graph: NodeGraph) -> Mapping[str, LayerWiring]:
    """Returns the layers that have statistics, by the names that their tensors have in PyTorch."""
    places = [node for node, op in enumerate(graph.ops) if op in _BATCH_NORM]
    names = (_name(graph.names[node]) for node in places if _has_statistics(graph, node))
    return {name: _wiring(name) for name in names}


def _has_statistics(graph: NodeGraph, node: int) -> bool:
    inputs = graph.inputs(node)
    if len(inputs) <= _MOVING_VARIANCE:
        return False
    return graph.ops[inputs[_MOVING_MEAN][0]] != _NOTHING


def _name(node: str) -> str:
    """Returns `layer1.1` for `Net/Sequential[layer1]/BatchNorm2d[1]/340`."""
    root, *modules = node.split("/")[:-1] or [node]
    return ".".join(_attributes(modules)) or root


def _attributes(modules: Iterable[str]) -> Iterable[str]:
    for module in modules:
        match = _MODULE.fullmatch(module)
        yield match[1] if match else module.removeprefix("__module.")


def _wiring(name: str) -> LayerWiring:
    variables = {
        Role.MOVING_MEAN: f"{name}.running_mean",
        Role.MOVING_VARIANCE: f"{name}.running_var",
    }
    return LayerWiring(name, variables, {}, torch=True)
