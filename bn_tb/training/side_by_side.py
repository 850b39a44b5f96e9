"""Several models in one graph, trained on the same batches, each with event files of its own."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bn_tb.training import loop
from bn_tb.training.data import Mnist
from bn_tb.training.model import Model, Placeholders, build_model, placeholders
from bn_tb.training.tf1 import set_seed, tf


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A model as it is asked for.

    Attributes:
      name: Its variable scope, and the name of its runs.
      net: From `X` and `training` to logits, as `build_model` takes it.
      wiring: A key of `WIRINGS`.
      learning_rate: Of Adam.
    """

    name: str
    net: Callable[[Any, Any], Any]
    wiring: str = "control_deps"
    learning_rate: float = 0.001


@dataclasses.dataclass(frozen=True, eq=False)
class Race:
    """An open session with all models, their variables initialised, their event files open."""

    session: Any
    inputs: Placeholders
    models: Sequence[tuple[Model, loop.Writers]]


Probe = Callable[[Race, int], None]
"""Called with the open session and the step, before training and after each epoch."""


@contextlib.contextmanager
def session_of(
    contestants: Sequence[Contestant], seed: int
) -> Iterator[tuple[Any, Placeholders, list[Model]]]:
    """Builds one graph with all models; yields a session with initialised variables."""
    with tf.Graph().as_default() as graph:
        set_seed(seed)
        inputs = placeholders()
        models = [
            build_model(c.name, inputs, c.net, c.wiring, c.learning_rate) for c in contestants
        ]
        with tf.Session(graph=graph) as session:
            session.run([variable.initializer for variable in tf.global_variables()])
            yield session, inputs, models


@contextlib.contextmanager
def race(
    contestants: Sequence[Contestant], folder: pathlib.Path, seed: int, write_graph: bool = True
) -> Iterator[Race]:
    """Builds the models and opens their event files.

    They go to `<folder>/train/<name>` and `<folder>/test/<name>`, the graph of all models to each
    of the former if it is wanted: that of six nets of 32 layers has 15 MB.
    """
    with (
        session_of(contestants, seed) as (session, inputs, models),
        contextlib.ExitStack() as stack,
    ):

        def writer(part: str, name: str, *graph: Any) -> Any:
            opened = tf.summary.FileWriter(str(folder / part / name), *graph)
            stack.callback(opened.close)
            return opened

        graph = [session.graph] if write_graph else []
        writers = [
            loop.Writers(writer("train", m.scope, *graph), writer("test", m.scope)) for m in models
        ]
        yield Race(session, inputs, list(zip(models, writers, strict=True)))


def train(
    contestants: Sequence[Contestant],
    folder: pathlib.Path,
    mnist: Mnist,
    schedule: loop.Schedule,
    probe: Probe | None = None,
    write_graph: bool = True,
) -> Iterator[list[loop.Epoch] | None]:
    """Trains all; yields None after each step, and one `Epoch` a model after each epoch's last."""
    with race(contestants, folder, schedule.seed, write_graph) as opened:
        if probe:
            probe(opened, 0)
        step = 0
        for epochs in loop.train(opened.session, opened.inputs, opened.models, mnist, schedule):
            if epochs:
                step += schedule.steps_per_epoch
                if probe:
                    probe(opened, step)
            yield epochs
