"""Serialized graphs written by hand, as small or as large as a test needs."""

import struct

from bn_tb.graph import graph_proto


def attr(key: str, **value: object) -> bytes:
    """One attribute, such as `attr("is_training", b=True)`."""
    kind = graph_proto.message("Attr")
    return kind(key=key.encode(), value=value).SerializeToString()


def constant(value: float) -> tuple[bytes, ...]:
    """Attributes of a Const."""
    return (attr("value", tensor={"dtype": 1, "tensor_content": struct.pack("<f", value)}),)


def node(name: str, op: str, *inputs: str, attrs: tuple[bytes, ...] = ()) -> dict[str, object]:
    """One node as keyword arguments of the `Node` message."""
    return {
        "name": name.encode(),
        "op": op.encode(),
        "input": [source.encode() for source in inputs],
        "attr": list(attrs),
    }


def graph(*nodes: dict[str, object], functions: tuple[dict[str, object], ...] = ()) -> bytes:
    """A GraphDef."""
    kind = graph_proto.message("Graph")
    return kind(node=nodes, library={"function": functions}).SerializeToString()


def layer(scope: str, source: str, decay: float = 0.1) -> list[dict[str, object]]:
    """A batch-norm layer of TF1 with its two update ops."""
    fused = f"{scope}/FusedBatchNorm"
    nodes = [node(f"{scope}/decay", "Const", attrs=constant(decay))]
    for port, name, update in (
        (1, "moving_mean", "AssignMovingAvg"),
        (2, "moving_variance", "AssignMovingAvg_1"),
    ):
        variable, op = f"{scope}/{name}", f"{scope}/{update}"
        nodes += [
            node(variable, "VariableV2"),
            node(f"{variable}/read", "Identity", variable),
            node(f"{op}/sub", "Sub", f"{variable}/read", f"{fused}:{port}"),
            node(f"{op}/mul", "Mul", f"{op}/sub", f"{scope}/decay"),
            node(op, "AssignSub", variable, f"{op}/mul"),
        ]
    for name in ("gamma", "beta"):
        nodes += [node(f"{scope}/{name}", "VariableV2")]
    empty = f"{scope}/decay"
    inputs = (source, f"{scope}/gamma", f"{scope}/beta", empty, empty)
    return [*nodes, node(fused, "FusedBatchNorm", *inputs)]


def optimizer(*control: str, variable: str = "w", train: str = "train") -> list[dict[str, object]]:
    """A weight, its gradient step, and a train op with control inputs."""
    return [
        node(variable, "VariableV2"),
        node(f"{train}/apply", "ApplyGradientDescent", variable, variable, variable),
        node(train, "NoOp", f"^{train}/apply", *(f"^{name}" for name in control)),
    ]


def large_graph(count: int) -> bytes:
    """A net of about `count` nodes: convolutions with batch norm, their gradients and Adam.

    In every layer 14 nodes belong to batch norm; the rest are weights, slots and gradients, so that
    the mixture is that of tf.layers with Adam (corpus graphs have 100 to 300 nodes a layer).
    """
    nodes = [node("x", "Placeholder")]
    last, controls = "x", []
    for number in range(count // 150):
        scope = f"block_{number}"
        nodes += layer(f"{scope}/bn", last)
        controls += [f"{scope}/bn/AssignMovingAvg", f"{scope}/bn/AssignMovingAvg_1"]
        last = f"{scope}/bn/FusedBatchNorm"
        for step in range(110):
            name = f"{scope}/op_{step}"
            nodes.append(node(name, "AddV2", last, f"{scope}/bn/gamma", attrs=constant(step)))
            last = name
        for weight in range(8):
            name = f"{scope}/weight_{weight}"
            grad = f"gradients/{name}_grad"
            nodes += [
                node(name, "VariableV2", attrs=constant(0.0)),
                node(grad, "Conv2DBackpropFilter", last, name),
                node(f"Adam/update_{name}", "ApplyAdam", name, name, name, grad),
            ]
            controls.append(f"Adam/update_{name}")
    return graph(*nodes, node("Adam", "NoOp", *(f"^{name}" for name in controls)))
