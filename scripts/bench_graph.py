"""Measures how long graph evidence takes, against plain decoding of the same bytes.

    python scripts/bench_graph.py --nodes=100000

Prints processor seconds, best of `--rounds`. The yardstick in the last column is what TensorBoard's
full protos need to decode the bytes and hand out every node's name, op and inputs.
"""

import pathlib
import sys
import time
from collections.abc import Callable

from absl import app, flags

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from tensorboard.compat.proto import graph_pb2

from bn_tb.graph import graph_proto, run_graphs
from bn_tb.runs.run import GraphSource
from tests.builders.graph_bytes import large_graph

NODES = flags.DEFINE_integer("nodes", 100_000, "Nodes of the graph.", lower_bound=200)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Repetitions; the best one counts.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Prints the table."""
    del argv
    data = large_graph(NODES.value)
    plain = best(lambda: decode_plainly(data))
    rows = {
        "TensorBoard's protos: decode, names, ops, inputs": plain,
        "bn_tb: decode alone": best(lambda: graph_proto.parse("Graph", data)),
        "bn_tb: evidence": best(lambda: evidence(data)),
    }
    print(f"{NODES.value} nodes, {len(data) / 1e6:.1f} MB")
    for name, seconds in rows.items():
        print(f"{name:50} {seconds:6.3f} s {seconds / plain:6.2f} x")


def best(work: Callable[[], object]) -> float:
    """Returns the processor seconds of the fastest round."""
    times = []
    for _ in range(ROUNDS.value):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def evidence(data: bytes) -> None:
    """Reads a graph that was not read before."""
    run_graphs._remembered.clear()
    run_graphs.read([GraphSource("graph_def", "", 0, data)])


def decode_plainly(data: bytes) -> list[tuple[str, str, list[str]]]:
    """Decodes and touches what any reader of a graph has to touch."""
    return [(n.name, n.op, list(n.input)) for n in graph_pb2.GraphDef.FromString(data).node]


if __name__ == "__main__":
    app.run(main)
