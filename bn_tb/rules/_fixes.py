"""The code to write, by framework; fixes that several rules show."""

from collections.abc import Callable

from bn_tb.graph.graph_evidence import Wiring
from bn_tb.layers import BatchNormLayer, Framework
from bn_tb.rules._wiring import wiring_of

TF1_WIRING = """\
Make every training step run the updates. Build the train op last, after the whole network:

    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(update_ops):
        train_op = optimizer.minimize(loss)"""

HAND_WIRING = """\
Make every training step run the updates. UPDATE_OPS does not hold them: keep the op that makes \
them, ema.apply(...) or the two assignments, and build the train op last:

    update = ema.apply([batch_mean, batch_variance])  # in the layer
    with tf.control_dependencies([update]):  # of every layer
        train_op = optimizer.minimize(loss)"""

KERAS_WIRING = """\
tf.get_collection(tf.GraphKeys.UPDATE_OPS) does not see the updates of Keras layers. Use the \
layers' own, those of the call on x, the tensor that your training calls the model on \
(model.inputs has other ones, which would have to be fed):

    graph = tf.get_default_graph().as_graph_def()

    def needs_x(update):
        name = getattr(update, "op", update).name
        needed = tf.graph_util.extract_sub_graph(graph, [name]).node
        return x.op.name in [node.name for node in needed]

    updates = [update for layer in model.layers
               for update in layer.updates if needs_x(update)]
    with tf.control_dependencies(updates):
        train_op = optimizer.minimize(loss)

This also finds the updates inside wrappers such as TimeDistributed. Or train with model.fit, or \
build the network from tf.layers."""

KERAS_TRAINING = """\
Run the training pass in training mode:

    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))

A layer whose trainable is False stays in inference mode all the same. In Keras 3 on JAX keep the \
second result of stateless_call(..., training=True) for the next step."""

TORCH_TRAINING = """\
Put the network in training mode before every training epoch, also after each validation:

    model.train()"""

JAX_TRAINING = """\
Keep the updated statistics. Flax linen:

    variables = {"params": params, "batch_stats": state.batch_stats}
    logits, updates = model.apply(
        variables, x, train=True, mutable=["batch_stats"])
    state = state.replace(batch_stats=updates["batch_stats"])

Flax NNX (inside of nnx.jit, which hands them back; jax.jit drops them):

    model.train()

Haiku:

    logits, state = net.apply(params, state, x, is_training=True)"""

COPY = """\
Copy the statistics with the weights. PyTorch:

    for copied, own in zip(ema.buffers(), model.buffers()):
        copied.copy_(own)

or AveragedModel(model, use_buffers=True), or update_bn(loader, ema) before the copy is used. \
Keras: go over model.weights, not model.trainable_weights. TensorFlow 1: over \
tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope), not TRAINABLE_VARIABLES."""

RECALIBRATE = {
    Framework.TF1: "bn_tb.monitor.tf1.recalibrate(session, feeds)",
    Framework.KERAS: "bn_tb.recalibrate(model, batches)",
    Framework.TORCH: "bn_tb.recalibrate(model, batches)",
    Framework.JAX: "a loop of your own that averages what each batch returns",
    Framework.UNKNOWN: "bn_tb.recalibrate(model, batches), in a TensorFlow 1 session "
    "bn_tb.monitor.tf1.recalibrate(session, feeds),",
}
"""What estimates the statistics anew, as the subject of a sentence."""

KEEP_WEIGHTS = """
The trained weights are good, and need no new training: {recalibrate} fills in the statistics from \
training batches."""

BY_OPS = "bn_tb.monitor.tf1.recalibrate(session, feeds, update_ops={})"
"""The same where UPDATE_OPS does not hold the updates."""

TRAIN_ANEW = """
The weights fit the statistics as they stand: train the network anew. To fill in the statistics \
afterwards would change what its layers compute."""

KEEP_OR_TRAIN_ANEW = """
If training ran in training mode, the weights are good: {recalibrate} fills in the statistics from \
training batches. If it ran in inference mode, train the network anew."""

_UNKNOWN_UPDATES = """\
Run the training pass in training mode and run the updates of the moving averages in every step. \
In a TensorFlow 1 graph:

    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train_op = optimizer.minimize(loss)

PyTorch: model.train(). Keras: model(x, training=True). Flax: mutable=["batch_stats"]."""

TF1_FLAG = """\
The updates are wired to the train op, so the training flag was not True in training. Feed it:

    session.run(train_op, feed_dict={x: images, y: labels, training: True})

and feed False for evaluation only."""

UPDATES = {
    Framework.TF1: TF1_WIRING,
    Framework.KERAS: KERAS_TRAINING,
    Framework.TORCH: TORCH_TRAINING,
    Framework.JAX: JAX_TRAINING,
    Framework.UNKNOWN: _UNKNOWN_UPDATES,
}
"""How to have the statistics updated."""

_MOMENTUM = {
    Framework.TF1: "tf.layers.batch_normalization(x, momentum={momentum}, training=training)",
    Framework.KERAS: "layers.BatchNormalization(momentum={momentum})",
    Framework.TORCH: "nn.BatchNorm2d(channels, momentum={torch})",
    Framework.JAX: "nn.BatchNorm(use_running_average=not train, momentum={momentum})",
    Framework.UNKNOWN: "momentum={momentum}  # PyTorch counts the other way: {torch}",
}
_RENORM_MOMENTA = "renorm=True, momentum={momentum}, renorm_momentum={momentum}"


def aftercare(text: str, layers: list[BatchNormLayer], recalibrate: str = "") -> str:
    """Returns what becomes of the weights of some layers.

    Args:
      text: What to say, with `{recalibrate}`; with batch renormalisation it is `TRAIN_ANEW`.
      layers: The layers.
      recalibrate: What estimates the statistics anew; by default as their framework does.
    """
    if renormalise(layers):
        return TRAIN_ANEW
    return text.replace("{recalibrate}", recalibrate or RECALIBRATE[framework_of(layers)])


def kept(code: str, recalibrate: str = "") -> Callable[[list[BatchNormLayer]], str]:
    """Returns the fix by code that mends the training and keeps the weights, for some layers."""
    return lambda layers: code + aftercare(KEEP_WEIGHTS, layers, recalibrate)


def renormalise(layers: list[BatchNormLayer]) -> bool:
    """Returns whether batch renormalisation trained some layers: their weights fit its averages."""
    return any(layer.renorm for layer in layers)


def updates(layers: list[BatchNormLayer]) -> str:
    """Returns how to have the statistics of some layers updated, as far as their graph tells."""
    if _wired(layers):
        switch = switch_to_blame(layers)
        return TF1_FLAG.replace(" training: True", f" {switch}: True") if switch else TF1_FLAG
    return UPDATES[framework_of(layers)]


def switch_to_blame(layers: list[BatchNormLayer]) -> str:
    """Returns the placeholder that must have been False while some layers stood still, or "".

    Their updates are wired to the train op, and it decides whether they change anything.
    """
    switches = [layer.wiring.switch for layer in layers if layer.wiring is not None]
    return switches[0] if all(switches) and _wired(layers) else ""


def _wired(layers: list[BatchNormLayer]) -> bool:
    """Returns whether the updates of all layers that the graph shows are wired to a train op."""
    wirings = [layer.wiring for layer in layers if layer.wiring is not None]
    return bool(wirings) and all(wiring_of(wiring) is Wiring.TRAIN for wiring in wirings)


def momentum(framework: Framework, value: float, renorm: bool = False) -> str:
    """Returns code that sets a momentum, the weight of the old value; PyTorch's is 1 minus it."""
    code = _RENORM_MOMENTA if renorm else _MOMENTUM[framework]
    return code.format(momentum=f"{value:g}", torch=f"{1 - value:.3g}")


def framework_of(layers: list[BatchNormLayer]) -> Framework:
    """Returns the framework that most of the layers come from."""
    found = [layer.framework for layer in layers]
    return max(Framework, key=found.count)
