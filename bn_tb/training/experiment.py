"""One model, trained and evaluated as `Options` say, its event files written."""

import dataclasses
import functools
import itertools
from collections.abc import Generator, Iterator
from typing import Any

# First: the hparams plugin imports tensorflow, and not quietly.
from bn_tb.training.tf1 import set_seed, tf

# isort: split
from tensorboard.plugins.hparams import api_pb2, summary

from bn_tb.errors import UsageError
from bn_tb.monitor import tf1
from bn_tb.training import loop
from bn_tb.training.checkpoints import Checkpoints
from bn_tb.training.data import Mnist
from bn_tb.training.event_files import EventWriter, hush_writer_threads
from bn_tb.training.model import Model, Placeholders, Recipe, build_model, conv_net, placeholders
from bn_tb.training.options import Options
from bn_tb.training.run_folders import RunFolders

REPAIR_BATCHES = 40
"""Training batches from which statistics are estimated anew: 4,000 images at the default size."""


def run(
    options: Options, folders: RunFolders, mnist: Mnist
) -> Generator[loop.Epoch | loop.Repair | None, None, None]:
    """Trains; yields None after each step and the result of an epoch after its last one.

    With `recalibrate`, the repair comes last.
    """
    hush_writer_threads()
    graph = tf.Graph()
    with graph.as_default():
        set_seed(options.seed)
        inputs = placeholders()
        model = build_graph(options, inputs)
    with graph.as_default(), tf.Session(graph=graph) as session:
        # Not `global_variables_initializer`, whose node the Graphs tab draws beside every layer.
        session.run([variable.initializer for variable in tf.global_variables()])
        # The constructor also writes the MetaGraph, whose collections name the update ops.
        writers = loop.Writers(
            EventWriter(folders.train, graph),
            EventWriter(folders.test),
        )
        saved = Checkpoints(folders.train, options.save_every or options.steps_per_epoch)
        yield from _logged(options, session, inputs, model, writers, saved, mnist)


def build_graph(options: Options, inputs: Placeholders) -> Model:
    """Adds the model to the default graph."""
    net = functools.partial(conv_net, recipe=Recipe(options.activation, options.momentum))
    return build_model(options.scope, inputs, net, options.wiring, options.learning_rate)


def _logged(
    options: Options,
    session: Any,
    inputs: Placeholders,
    model: Model,
    writers: loop.Writers,
    saved: Checkpoints,
    mnist: Mnist,
) -> Iterator[loop.Epoch | loop.Repair | None]:
    """Trains between the start and the end of what the HPARAMS tab calls a session.

    The session is written beside the test metrics, because the tab shows the metrics of the run
    that holds it.
    """
    schedule = loop.Schedule(
        options.epochs,
        options.steps_per_epoch,
        options.batch_size,
        options.histogram_every,
        options.seed,
        options.training,
    )
    status: int | None = api_pb2.STATUS_FAILURE
    writers.test.add_summary(_session_start(options))
    try:
        steps = itertools.count(1)
        for epochs in loop.train(session, inputs, [(model, writers)], mnist, schedule):
            if epochs is None:
                saved.after(session, next(steps))
            yield None if epochs is None else epochs[0]
        if options.recalibrate:
            yield _repaired(options, session, inputs, model, mnist)
        status = api_pb2.STATUS_SUCCESS
    except UsageError:  # an event file takes no more: nor would it take the end
        status = None
        raise
    finally:
        if status is not None:
            writers.test.add_summary(summary.session_end_pb(status))
            writers.train.close()
            writers.test.close()


def _repaired(
    options: Options, session: Any, inputs: Placeholders, model: Model, mnist: Mnist
) -> loop.Repair:
    """Estimates the statistics anew from training images, and measures before and after."""
    (before,) = loop.evaluate(session, inputs, [model], mnist.test)
    batches = mnist.train.shuffled_batches(options.batch_size, options.seed + 1)
    feeds = ({inputs.X: X, inputs.y: y, inputs.training: True} for X, y in batches)
    done = tf1.recalibrate(session, feeds, REPAIR_BATCHES)
    (after,) = loop.evaluate(session, inputs, [model], mnist.test)
    return loop.Repair(before, after, done.batches)


def _session_start(options: Options) -> Any:
    """Returns the summary that tells the hyperparameters.

    No summary declares the experiment: without one, the tab shows what differs between runs first.
    """
    values = {
        key: "none" if value is None else value
        for key, value in dataclasses.asdict(options).items()
        if key not in ("logdir", "name", "histogram_every", "save_every", "recalibrate")
    }
    return tf.Summary.FromString(summary.session_start_pb(values).SerializeToString())
