"""TensorFlow 1: momentum, checkpoints, freezing, bad batches and evaluation."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.lab import tf1_net as tf1
from tests.lab.data import OTHER_DATA, pictures
from tests.lab.scenario import Scenario
from tests.lab.tf1_net import Net, v1
from tests.lab.tf1_wiring import hand_variables

Built = tuple[Net, Any]
Values = dict[str, np.ndarray]


def _dependencies(**options: Any) -> Built:
    net = tf1.network(**options)
    return net, tf1.wired(net)


@functools.lru_cache
def pretrained() -> Values:
    """Trains a network of its own and returns its variables, name to value."""
    with tf1.graph():
        net, train = _dependencies()
        variables = {v.op.name: v for v in v1.global_variables()}
        with tf1.session() as session:
            tf1.train(session, None, net, train, steps=80, seed=5)
            return session.run(variables)


def restore(session: Any, values: Values) -> None:
    """Loads the values into the variables of the same names."""
    for variable in v1.global_variables():
        if variable.op.name in values:
            variable.load(values[variable.op.name], session)


def run(
    logdir: str,
    build: Callable[[], Built],
    *,
    start: Callable[[], Values] = dict,
    evaluate_every: int = 0,
    hooks: Callable[[Any, Net], Callable[[int], None]] = lambda session, net: lambda step: None,
    feed: Callable[[Net, int], dict[Any, Any]] = lambda net, step: {},
    evaluation: dict[str, float] | None = None,
    **options: Any,
) -> None:
    """Trains in `train/` and evaluates in `eval/`, or all in the folder without evaluation."""
    with tf1.graph():
        net, train = build()
        summary = tf1.scalars(net)
        merged = [summary, tf1.histograms()]
        folder = f"{logdir}/train" if evaluate_every else logdir
        writer = v1.summary.FileWriter(folder, v1.get_default_graph())
        with tf1.session() as session:
            restore(session, start())
            hook = hooks(session, net)
            evaluator = v1.summary.FileWriter(f"{logdir}/eval") if evaluate_every else None

            def after(step: int) -> None:
                hook(step)
                if evaluator and step % evaluate_every == 0:
                    tf1.evaluate(session, evaluator, net, summary, step, **(evaluation or {}))

            tf1.train(
                session,
                writer,
                net,
                train,
                summaries=merged,
                after=after,
                feed=lambda step: feed(net, step),
                **options,
            )
            if evaluator:
                evaluator.close()
        writer.close()


def _placeholder(**options: Any) -> Built:
    return _dependencies(training=None, **options)


def _true(net: Net, step: int) -> dict[Any, Any]:
    return {net.training: True}


def _until_30(net: Net, step: int) -> dict[Any, Any]:
    return {net.training: step <= 30}


def _first_half_of_epoch(net: Net, step: int) -> dict[Any, Any]:
    return {net.training: step % 20 < 10}


def _unwired(training: Any = None) -> Built:
    net = tf1.network(training=training)
    return net, tf1.descend(net.loss)


def _head_only(frozen_statistics: bool) -> Built:
    """Trains the logits; the statistics of the frozen layers move unless they are frozen too."""
    net = tf1.network(training=not frozen_statistics)
    head = v1.trainable_variables("net/logits")
    if frozen_statistics:
        return net, tf1.descend(net.loss, var_list=head)
    return net, tf1.wired(net, var_list=head)


def _first_layer_frozen() -> Built:
    """The first norm runs in inference mode and conv is not trained; the rest trains as usual."""

    def norm(x: Any, training: Any, momentum: float, name: str) -> Any:
        return tf1.layers_norm(x, name != "conv_bn", momentum, name)

    net = tf1.network(norm=norm)
    rest = [v for v in v1.trainable_variables() if "/conv" not in v.op.name]
    return net, tf1.wired(net, var_list=rest)


def _weight_decay() -> Built:
    """Weight decay so strong that the layers before batch norm shrink to nothing."""
    net = tf1.network()
    kernels = [v for v in v1.trainable_variables() if v.op.name.endswith(("kernel", "bias"))]
    decay = v1.add_n([v1.nn.l2_loss(kernel) for kernel in kernels])
    with v1.control_dependencies(tf1.update_ops()):
        return net, tf1.descend(net.loss + 18.0 * decay)


def _squares_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """A hand-written layer whose variance is E[x^2] - E[x]^2, which cancels in float32."""
    with v1.variable_scope(name):
        gamma, beta, mean, variance = hand_variables(x)
        axes = list(range(len(x.shape) - 1))
        batch_mean = v1.reduce_mean(x, axes)
        batch_variance = v1.reduce_mean(v1.square(x), axes) - v1.square(batch_mean)
        for variable, batch in ((mean, batch_mean), (variance, batch_variance)):
            update = v1.assign(variable, momentum * variable + (1 - momentum) * batch)
            v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
        spread = v1.abs(batch_variance)
        return v1.nn.batch_normalization(x, batch_mean, spread, beta, gamma, 1e-3)


def _half_written_norm(x: Any, training: Any, momentum: float, name: str) -> Any:
    """A hand-written layer whose author forgot the update of the variance."""
    with v1.variable_scope(name):
        gamma, beta, mean, _variance = hand_variables(x)
        batch_mean, batch_variance = v1.nn.moments(x, list(range(len(x.shape) - 1)))
        update = v1.assign_sub(mean, (mean - batch_mean) * (1 - momentum))
        v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
        return v1.nn.batch_normalization(x, batch_mean, batch_variance, beta, gamma, 1e-3)


def _more_updates(times: int) -> Callable[[Any, Net], Callable[[int], None]]:
    """Runs the updates on further batches after every step, as further forward passes do."""

    def hook(session: Any, net: Net) -> Callable[[int], None]:
        updates = tf1.update_ops()

        def after(step: int) -> None:
            for number in range(times):
                images, labels = pictures(32, seed=1000 * step + number)
                session.run(updates, {net.images: images, net.labels: labels})

        return after

    return hook


def _updates_every(steps: int) -> Callable[[Any, Net], Callable[[int], None]]:
    """`if step % 20 == 0: session.run(update_ops)`."""

    def hook(session: Any, net: Net) -> Callable[[int], None]:
        updates = tf1.update_ops()

        def after(step: int) -> None:
            if step % steps == 0:
                images, labels = pictures(32, seed=step)
                session.run(updates, {net.images: images, net.labels: labels})

        return after

    return hook


def _updates_on(step: int, pixels: float) -> Callable[[Any, Net], Callable[[int], None]]:
    """Runs the updates once on a batch with one broken picture, whose loss is then skipped."""

    def hook(session: Any, net: Net) -> Callable[[int], None]:
        updates = tf1.update_ops()

        def after(at: int) -> None:
            if at == step:
                images, labels = pictures(32, seed=9)
                images[0] = pixels
                session.run(updates, {net.images: images, net.labels: labels})

        return after

    return hook


def _loss_fetched_sometimes(logdir: str) -> None:
    """The updates hang on the loss, which is fetched for printing at every tenth step."""
    with tf1.graph():
        net = tf1.network(momentum=0.5)
        with v1.control_dependencies(tf1.update_ops()):
            loss = v1.identity(net.loss, name="loss_dep")
        train = tf1.descend(loss)
        merged = [tf1.scalars(net), tf1.histograms()]
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            images, labels = pictures(32)

            def after(step: int) -> None:
                if step % 10 == 0:
                    session.run(loss, {net.images: images, net.labels: labels})

            tf1.train(session, writer, net, train, steps=100, summaries=merged, after=after)
        writer.close()


def _resume(logdir: str, complete: bool, back: int = 0) -> None:
    """Trains 60 steps, saves, and goes on in a second process from the checkpoint."""
    saved: Values = {}
    for first in (1, 61 - back):
        with tf1.graph(seed=first):
            net, train = _dependencies()
            merged = [tf1.scalars(net), tf1.histograms()]
            kept = v1.global_variables() if complete else v1.trainable_variables()
            saver = v1.train.Saver(kept)
            writer = v1.summary.FileWriter(
                logdir, v1.get_default_graph(), filename_suffix=f".{first}"
            )
            with tf1.session() as session:
                if first > 1:
                    saver.restore(session, saved["path"])
                tf1.train(session, writer, net, train, first=first, seed=first, summaries=merged)
                saved["path"] = saver.save(session, f"{logdir}/model.ckpt")
            writer.close()


def _saver(complete: bool) -> Built:
    net, train = _dependencies()
    v1.train.Saver(v1.global_variables() if complete else v1.trainable_variables())
    return net, train


def _evaluation_graph(logdir: str, training: bool) -> None:
    """Healthy training in `train/`; an evaluation graph of its own in `eval/`."""
    tf1.simple(f"{logdir}/train", _dependencies)
    with tf1.graph():
        net = tf1.network(training=training)
        summary = tf1.scalars(net)
        writer = v1.summary.FileWriter(f"{logdir}/eval", v1.get_default_graph())
        with tf1.session() as session:
            restore(session, pretrained())
            images, labels = pictures(64, seed=99)
            feed = {net.images: images, net.labels: labels}
            for step in (20, 40, 60):
                writer.add_summary(session.run(summary, feed), step)
        writer.close()


def _summary_op_dies(logdir: str) -> None:
    """A NaN reaches the statistics; TF1's histogram op raises and ends the run."""
    try:
        run(logdir, _dependencies, hooks=_nan_hook, steps=60)
    except v1.errors.InvalidArgumentError as error:
        assert "Nan in summary histogram" in error.message
    else:
        raise AssertionError("TF1 logged a histogram of NaN")


_nan_hook = _updates_on(50, np.nan)


def _nan_as_scalars(logdir: str) -> None:
    """The statistics are logged as scalars, one mean over the channels each."""
    with tf1.graph():
        net, train = _dependencies()
        logged = [tf1.scalars(net)]
        for variable in v1.global_variables():
            if "moving" in variable.op.name:
                tag = f"BN/{variable.op.name}"
                logged.append(v1.summary.scalar(tag, v1.reduce_mean(variable)))
        writer = v1.summary.FileWriter(logdir, v1.get_default_graph())
        with tf1.session() as session:
            after = _nan_hook(session, net)
            tf1.train(session, writer, net, train, summaries=logged, after=after)
        writer.close()


def _log(build: Callable[[], Built], **options: Any) -> Callable[[str], None]:
    return functools.partial(run, build=build, **options)


STALE = ("stale",)
HEALTHY = ("healthy",)

FAULTS = (
    Scenario(
        "tf1_half_written",
        _log(functools.partial(_dependencies, norm=_half_written_norm)),
        "A hand-written layer updates the mean and forgets the variance.",
        STALE,
        must=("BN105",),
        may=("BN405",),
    ),
    Scenario(
        "tf1_unwired_from_checkpoint",
        _log(
            _unwired,
            feed=_true,
            start=pretrained,
            evaluate_every=10,
            evaluation=OTHER_DATA,
            **OTHER_DATA,
        ),
        "Unwired on new data after a checkpoint: the statistics are those of the old data.",
        ("suspect", "stale"),
        must=("BN102",),
        may=("BN401", "BN501"),
        run="train",
    ),
    Scenario(
        "tf1_momentum_0999_of_200_steps",
        _log(functools.partial(_dependencies, momentum=0.999), steps=200, every=5),
        "0.999 to the power of 200: 82 % of the initial value is left.",
        ("lagging",),
        must=("BN201",),
    ),
    Scenario(
        "tf1_momentum_099_of_200_steps",
        _log(functools.partial(_dependencies, momentum=0.99), steps=200, every=20),
        "0.99 to the power of 200: 13 % of the initial value is left.",
        ("lagging",),
        must=("BN201",),
    ),
    Scenario(
        "tf1_lagging_with_evaluation",
        _log(
            functools.partial(_placeholder, momentum=0.999),
            feed=_true,
            steps=60,
            every=3,
            evaluate_every=6,
        ),
        "0.999 and 60 steps: training is good, evaluation is at chance.",
        ("lagging",),
        must=("BN201", "BN501"),
        run="train",
    ),
    Scenario(
        "tf1_stale_with_evaluation",
        _log(_unwired, feed=_true, steps=120, every=5, evaluate_every=10),
        "Unwired: training is good, evaluation is at chance.",
        STALE,
        must=("BN101", "BN501"),
        run="train",
    ),
    Scenario(
        "tf1_swapped_momentum",
        _log(functools.partial(_dependencies, momentum=0.01), steps=80),
        "PyTorch's 0.01 given to TensorFlow: the statistics are those of the last batch.",
        ("suspect",),
        must=("BN203",),
        may=("BN204",),
    ),
    Scenario(
        "tf1_training_false_after_validation",
        _log(_placeholder, feed=_until_30),
        "The training flag stays False after the first validation at step 30.",
        STALE,
        must=("BN103",),
    ),
    Scenario(
        "tf1_training_false_half_of_each_epoch",
        _log(_placeholder, feed=_first_half_of_epoch, steps=80),
        "The training flag is False in the second half of each epoch of 20 steps.",
        STALE,
        must=("BN104",),
    ),
    Scenario(
        "tf1_loss_fetched_sometimes",
        _loss_fetched_sometimes,
        "Updates hang on the loss and run at every tenth step, when the loss is printed.",
        # Steps of one update between plateaus of nine alternate: intermittent, BN104.
        STALE,
        must=("BN104",),
        causes=("BN402",),
        may=("BN402", "BN201"),
    ),
    *(
        Scenario(
            f"tf1_updates_every_20th_of_{steps}_steps_logged_every_{every}",
            _log(
                functools.partial(_unwired, training=True),
                hooks=_updates_every(20),
                steps=steps,
                every=every,
            ),
            f"The program runs the updates at every 20th step only: {steps // 20} of {steps}.",
            STALE if every == 5 else ("lagging",),
            must=("BN104",) * (every == 5) + ("BN202" if steps > 400 else "BN201",),
            may=("BN401",),
            says=("before step 580",) if steps > 400 else (),
        )
        for steps, every in ((400, 5), (400, 20), (1000, 5))
    ),
    Scenario(
        "tf1_resume_without_statistics",
        functools.partial(_resume, complete=False),
        "Saver(trainable_variables): after the restart the statistics begin anew.",
        STALE,
        must=("BN106",),
        may=("BN407",),
    ),
    Scenario(
        "tf1_saver_without_statistics",
        _log(functools.partial(_saver, complete=False)),
        "Healthy so far, but the checkpoint will lack the statistics.",
        ("suspect",),
        must=("BN407",),
    ),
    Scenario(
        "tf1_evaluation_with_batch_statistics",
        functools.partial(_evaluation_graph, training=True),
        "The evaluation graph was built with training=True.",
        ("suspect",),
        must=("BN408",),
        run="eval",
    ),
    Scenario(
        "tf1_head_only_statistics_move",
        _log(functools.partial(_head_only, False), start=pretrained, **OTHER_DATA),
        "Only the head is trained, yet the statistics of the frozen layers move.",
        ("suspect",),
        must=("BN108",),
    ),
    Scenario(
        "tf1_weights_decay_to_nothing",
        _log(_weight_decay, steps=150, every=5),
        "Weight decay shrinks the layers before batch norm until their variance is nothing.",
        ("broken",),
        must=("BN303",),
    ),
    Scenario(
        "tf1_one_poisoned_batch",
        _log(_dependencies, hooks=_updates_on(40, 1e5), steps=80),
        "One broken picture of 1e5 enters the statistics at step 40.",
        ("broken",),
        must=("BN304",),
    ),
    Scenario(
        "tf1_variance_cancels",
        _log(functools.partial(_dependencies, norm=_squares_norm), mean=2e4, scale=0.01),
        "E[x^2] - E[x]^2 of large pixels in float32 is below 0.",
        ("broken",),
        must=("BN302",),
        may=("BN303", "BN304", "BN204", "BN201"),  # the layer behind it hardly varies
    ),
    Scenario(
        "tf1_nan_in_scalars",
        _nan_as_scalars,
        "A NaN enters the statistics, which are logged as scalars.",
        ("broken",),
        must=("BN301",),
    ),
)

HEALTHY_RUNS = (
    Scenario(
        "tf1_evaluated",
        _log(_placeholder, feed=_true, steps=120, every=5, evaluate_every=10),
        "Healthy training and evaluation in sibling runs.",
        HEALTHY,
        run="train",
    ),
    Scenario(
        "tf1_evaluation_graph",
        functools.partial(_evaluation_graph, training=False),
        "A separate evaluation graph in inference mode proves nothing and hurts nothing.",
        ("not-logged", "healthy"),
        run="eval",
    ),
    Scenario(
        "tf1_cold_start",
        _log(
            functools.partial(_placeholder, momentum=0.98),
            feed=_true,
            steps=300,
            every=10,
            evaluate_every=20,
        ),
        "0.98 and 300 steps: 0.2 % is left at the end; evaluations before step 150 were early.",
        HEALTHY,
        must=("BN202",),
        run="train",
    ),
    Scenario(
        "tf1_swapped_nothing",
        _log(functools.partial(_dependencies, momentum=0.6), steps=80),
        "Momentum 0.6 is low and on purpose; batches of 32 keep it quiet.",
        HEALTHY,
    ),
    Scenario(
        "tf1_frozen_on_purpose",
        _log(functools.partial(_head_only, True), start=pretrained),
        "Only the head is trained; batch norm runs in inference mode with pretrained values.",
        ("frozen",),
        must=("BN102",),
    ),
    Scenario(
        "tf1_partly_frozen",
        _log(_first_layer_frozen, start=pretrained),
        "The first layer is frozen at pretrained values, the second is fine-tuned.",
        ("frozen",),
        must=("BN102",),
    ),
    Scenario(
        "tf1_fine_tuning",
        _log(_dependencies, start=pretrained, **OTHER_DATA),
        "Everything is trained from pretrained values, on other data.",
        HEALTHY,
    ),
    Scenario(
        "tf1_more_updates_a_step",
        _log(functools.partial(_dependencies, momentum=0.98), hooks=_more_updates(4), steps=120),
        "Four further forward passes a step, as gradient accumulation has: five updates a step.",
        HEALTHY,
        must=("BN205",),
    ),
    Scenario(
        "tf1_updates_every_step_by_hand",
        _log(
            functools.partial(_unwired, training=True),
            hooks=_updates_every(1),
            steps=400,
            every=20,
        ),
        "The program runs the updates by hand, after every step.",
        HEALTHY,
    ),
    Scenario(
        "tf1_resumed",
        functools.partial(_resume, complete=True),
        "The run goes on from a complete checkpoint.",
        HEALTHY,
    ),
    Scenario(
        "tf1_resumed_from_an_earlier_step",
        functools.partial(_resume, complete=True, back=20),
        "The second process repeats the last 20 steps of the first.",
        HEALTHY,
        must=("BN905",),
    ),
    Scenario(
        "tf1_complete_saver",
        _log(functools.partial(_saver, complete=True)),
        "The checkpoint holds all variables.",
        HEALTHY,
    ),
    Scenario(
        "tf1_sparse_logging",
        _log(_dependencies, steps=300, every=100),
        "Four snapshots of 300 steps.",
        HEALTHY,
    ),
    Scenario(
        "tf1_summary_op_dies",
        _summary_op_dies,
        "A NaN stops the summary op: the file holds only what was finite and proves no fault.",
        HEALTHY,
    ),
)

SCENARIOS = FAULTS + HEALTHY_RUNS
