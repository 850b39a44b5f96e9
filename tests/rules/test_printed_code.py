"""Every piece of code that a fix prints is run in its framework, and does what it says."""

import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import types

import numpy as np
import pytest

import bn_tb.rules
from bn_tb.layers import find_layers
from bn_tb.rules._cause import Cause
from tests.places import ROOT

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_BLOCK = re.compile(r"(?:^    .*\n?(?:\n(?=    ))?)+", re.MULTILINE)


def _texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Cause):
        yield value.fix + value.aftercare


def _printed():
    """Returns the code of all fixes, each once."""
    found = {}
    for name in pkgutil.iter_modules(bn_tb.rules.__path__):
        module = importlib.import_module(f"bn_tb.rules.{name.name}")
        for key, value in vars(module).items():
            for text in _texts(value) if not key.startswith("__") else ():
                for block in _BLOCK.findall(text):
                    lines = block.rstrip("\n").split("\n")
                    found["\n".join(line[4:] for line in lines)] = key
    return list(found)


PRINTED = _printed()


def snippet(start):
    """Returns the printed code that begins so."""
    (found,) = [code for code in PRINTED if code.startswith(start)]
    return found


TORCH = (
    "nn.BatchNorm2d(channels, momentum=0.1)",
    "for module in backbone.modules():",
    "for module in model.modules():",
    "model.train()",
    'for name, buffer in model.named_buffers():\n    if "running_"',
    "for copied, own in zip(",
    "bn_tb.recalibrate(model, batches)",
    "optimizer = torch.optim.SGD(",
    "model.eval()\nwith torch.no_grad():",
    "missing, _ = model.load_state_dict(",
)
KERAS = (
    "model.trainable = True\nfor layer",
    "x = layers.BatchNormalization()(x)",
    "y_pred = self(x, training=True)",
    "with tf.GradientTape() as tape:",
    "tf.keras.callbacks.TensorBoard(",
    "for weight in model.non_trainable_weights:",
    "tf.summary.histogram(weight.path",
    "layers.BatchNormalization(axis=-1)",
    "discriminator.trainable = True",
    'for layer in model.layers:\n    if getattr(layer, "renorm"',
)
TF1 = (
    "update_ops = tf.get_collection(",
    "update = ema.apply(",
    "graph = tf.get_default_graph().as_graph_def()",
    "with tf.control_dependencies(tf.get_collection(",
    "session.run(train_op, feed_dict=",
    "for variable in tf.global_variables():",
    'updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS, scope="net/")',
    "tf.layers.batch_normalization(x, training=True)",
    "saver = tf.train.Saver(tf.global_variables())",
    "named = {v.op.name: v for v in tf.global_variables()}",
)
MONITORS = tuple(f"from bn_tb.monitor.{name} " for name in ("pytorch", "lightning", "keras", "tf1"))
JAX = (
    'variables = {"params": params',
    "leaves = jax.tree_util.",
    "logits, state = net.apply(",
)


def test_all_code_that_is_printed_is_run_here():
    starts = (*TORCH, *KERAS, *TF1, *MONITORS, *JAX)
    untested = [code for code in PRINTED if not code.startswith(starts)]
    assert untested == []
    assert [start for start in starts if not any(code.startswith(start) for code in PRINTED)] == []


@pytest.fixture(autouse=True)
def seeded():
    """Gives TensorFlow a seed: the experiment's tests, in the same process, ask for determinism."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(1)
    np.random.seed(1)


@pytest.fixture
def torch_space(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from torch import nn
    from torch.utils.tensorboard import SummaryWriter

    from tests.builders import toy_torch

    model = toy_torch.net()
    space = {
        "torch": torch, "nn": nn, "bn_tb": bn_tb, "model": model, "backbone": model, "channels": 4,
        "writer": SummaryWriter(str(tmp_path)), "step": 0, "ema": toy_torch.net(),
        "batches": [toy_torch.batch() for _ in range(4)],
        "validate": lambda model: model(toy_torch.batch()[0]),
    }  # fmt: skip
    model[1].running_mean.fill_(3.0)
    model.eval()
    yield space
    space["writer"].close()


def run_torch(space, start):
    exec(snippet(start), space)
    return space["model"]


def test_pytorch_statistics_that_were_not_loaded_are_named(torch_space, capsys):
    state = torch_space["model"].state_dict()
    prefixed = {f"module.{name}": one for name, one in state.items()}
    parameters = dict(torch_space["model"].named_parameters())
    names = ["1.running_mean", "1.running_var"]
    for given, missing in ((state, []), (prefixed, names), (parameters, names)):
        run_torch(torch_space | {"state": given}, "missing, _ = model.load_state_dict(")
        assert capsys.readouterr().out == f"{missing}\n"


def test_pytorch_layers_are_in_training_mode_afterwards(torch_space):
    assert run_torch(torch_space, "for module in backbone.modules():")[1].training
    torch_space["model"].eval()
    assert run_torch(torch_space, "model.train()").training
    assert run_torch(torch_space, "model.eval()\nwith").training
    assert torch_space["model"][1].num_batches_tracked == 0  # validation updated nothing


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_pytorch_statistics_in_float32_take_updates_that_a_coarse_format_loses(torch_space, name):
    torch, model = torch_space["torch"], torch_space["model"]
    coarse = getattr(torch, name)
    model.to(coarse).train()[1].momentum = 1e-5
    images = torch_space["batches"][0][0].to(coarse)
    model(images)
    assert (model[1].running_var == 1).all()
    run_torch(torch_space, "for module in model.modules():")
    model(images)
    assert (model[1].running_var != 1).all()


def test_pytorch_statistics_are_logged_also_beside_nan(torch_space, tmp_path):
    torch_space["model"][1].running_var.fill_(float("nan"))
    run_torch(torch_space, 'for name, buffer in model.named_buffers():\n    if "running_"')
    torch_space["writer"].flush()
    (run,) = bn_tb.read_logdir(tmp_path)
    assert list(run.histograms) == ["1.running_mean"]


def test_pytorch_copies_optimizer_momentum_and_repair(torch_space):
    torch = torch_space["torch"]
    run_torch(torch_space, "for copied, own in zip(")
    assert torch.equal(torch_space["ema"][1].running_mean, torch_space["model"][1].running_mean)
    run_torch(torch_space, "optimizer = torch.optim.SGD(")
    held = {id(p) for group in torch_space["optimizer"].param_groups for p in group["params"]}
    assert {id(p) for p in torch_space["model"][1].parameters()} <= held
    run_torch(torch_space, "bn_tb.recalibrate(model, batches)")
    assert not bool((torch_space["model"][1].running_mean == 3).any())
    layer = eval(snippet("nn.BatchNorm2d(channels"), torch_space)
    layer(torch.randn(8, 4, 3, 3) + 5)
    assert bool((layer.running_mean != 0).all())


def test_the_monitor_of_pytorch_logs_statistics(torch_space, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = torch_space["model"].train()
    torch_space["optimizer"] = torch_space["torch"].optim.SGD(model.parameters(), lr=0.1)
    run_torch(torch_space, "from bn_tb.monitor.pytorch ")
    for images, _ in torch_space["batches"]:
        torch_space["optimizer"].zero_grad()
        model(images).sum().backward()
        torch_space["optimizer"].step()
    (run,) = bn_tb.read_logdir(tmp_path / "logs")
    assert any("running_mean" in tag for tag in run.histograms)


def test_the_monitor_of_lightning_is_a_callback():
    lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
    space = {"Trainer": lightning.Trainer}
    exec(snippet("from bn_tb.monitor.lightning "), space)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_monitor_of_keras_logs_statistics(package, tmp_path, monkeypatch):
    keras = pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    layers = [keras.layers.Input((4,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    data = np.random.randn(32, 4).astype("float32")
    exec(snippet("from bn_tb.monitor.keras "), {"model": model, "x": data, "y": data[:, :1]})
    (run,) = bn_tb.read_logdir(tmp_path / "logs")
    assert any("moving_mean" in tag for tag in run.histograms)


def values(norm):
    return np.asarray(norm.moving_mean.numpy())


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_code_does_what_it_says(package, tmp_path):
    keras = pytest.importorskip(package)
    tf = pytest.importorskip("tensorflow")
    inputs, labels = np.random.randn(64, 6, 6, 3).astype("float32") * 3 + 5, np.zeros(64)
    start = keras.layers.Input((6, 6, 3))
    space = {"layers": keras.layers, "x": start, "tf": tf}
    exec(snippet("x = layers.BatchNormalization()"), space)
    model = keras.Model(start, keras.layers.Dense(2)(keras.layers.Flatten()(space["x"])))
    norm = model.layers[1]
    model.trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    space |= {"model": model, "optimizer": keras.optimizers.SGD(0.01), "loss": loss}
    exec(snippet("model.trainable = True\nfor layer"), space)
    model.fit(inputs, labels, verbose=0)
    assert (values(norm) != 0).all()
    before = values(norm)
    space |= {"loss_fn": loss, "y": labels[:8], "x": inputs[:8], "self": model}
    exec(snippet("with tf.GradientTape() as tape:"), space)
    assert (values(norm) != before).all()
    before = values(norm)
    exec(snippet("y_pred = self(x, training=True)"), space)
    assert (values(norm) != before).all()
    axis = eval(snippet("layers.BatchNormalization(axis=-1)"), space)
    assert axis(inputs).shape == inputs.shape and axis.gamma.shape == (3,)
    space["step"] = 0
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        exec(snippet("for weight in model.non_trainable_weights:"), space)
        if package == "keras":
            exec(snippet("tf.summary.histogram(weight.path"), space | {"weight": norm.moving_mean})
    (run,) = bn_tb.read_logdir(tmp_path)
    assert any("moving_variance" in tag for tag in run.histograms)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_keras_layers_that_are_made_trainable_move_though_the_model_was_fitted_before(package):
    keras = pytest.importorskip(package)
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.layers.Input((4,)), norm, keras.layers.Dense(1)])
    norm.trainable = False
    space = {"model": model, "optimizer": "sgd", "loss": "mse"}
    model.compile("sgd", "mse")
    data = np.random.randn(32, 4).astype("float32") + 3
    model.fit(data, data[:, :1], verbose=0)
    assert (values(norm) == 0).all()
    exec(snippet("model.trainable = True\nfor layer"), space)
    model.fit(data, data[:, :1], verbose=0)
    assert (values(norm) != 0).all()


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_discriminator_of_a_gan_is_trained_by_its_own_step_alone(package):
    keras = pytest.importorskip(package)
    norm = keras.layers.BatchNormalization()
    discriminator = keras.Sequential([keras.layers.Input((4,)), norm, keras.layers.Dense(1)])
    generator = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4)])
    discriminator.compile("sgd", "mse")
    discriminator.trainable = False
    start = keras.layers.Input((3,))
    combined = keras.Model(start, discriminator(generator(start)))
    combined.compile("sgd", "mse")
    images, noise = np.random.randn(8, 4) + 3, np.random.randn(8, 3)
    space = {"discriminator": discriminator, "combined": combined, "images": images}
    space |= {"noise": noise, "labels": np.ones((8, 1)), "wanted": np.ones((8, 1))}
    own, frozen, both = snippet("discriminator.trainable = True").partition(
        "discriminator.trainable = False"
    )
    exec(own, space)
    after_own = discriminator.get_weights()
    assert (values(norm) != 0).all()
    exec(frozen + both, space)
    assert all(map(np.array_equal, after_own, discriminator.get_weights()))


@pytest.fixture
def jax():
    """JAX is in the extra `dev`; who installed another one has neither it nor Flax."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    return {"jax": jax, "np": np, "x": jax.numpy.asarray(np.random.randn(16, 3) * 3 + 5)}


@pytest.fixture
def linen(jax):
    nn = pytest.importorskip("flax.linen", reason="Flax is not installed")

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(2)(nn.BatchNorm(use_running_average=not train)(x))

    class State(dict):
        batch_stats = property(lambda self: self["batch_stats"])
        replace = lambda self, **new: State(self, **new)  # noqa: E731

    model = Net()
    made = model.init(jax["jax"].random.key(0), jax["x"], train=False)
    return jax | {"model": model, "params": made["params"], "state": State(made)}


def test_flax_linen_keeps_its_statistics_and_logs_them(linen, tmp_path):
    writer = pytest.importorskip("tensorboardX").SummaryWriter(str(tmp_path))
    exec(snippet('variables = {"params": params'), linen)
    assert (np.asarray(linen["state"].batch_stats["BatchNorm_0"]["mean"]) != 0).all()
    exec(snippet("leaves = jax.tree_util."), linen | {"writer": writer, "step": 0})
    writer.close()
    (run,) = bn_tb.read_logdir(tmp_path)
    assert [layer.name for layer in find_layers(run)] == ["BatchNorm_0"]


def test_flax_nnx_is_in_training_mode_afterwards_and_logs_its_statistics(jax, tmp_path):
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")
    writer = pytest.importorskip("tensorboardX").SummaryWriter(str(tmp_path))
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.BatchNorm(4, rngs=rngs))
    model.eval()
    exec(snippet("model.train()"), {"model": model})
    nnx.jit(lambda model, x: model(x))(model, jax["x"])
    state = types.SimpleNamespace(batch_stats=nnx.state(model, nnx.BatchStat))
    exec(snippet("leaves = jax.tree_util."), jax | {"writer": writer, "step": 0, "state": state})
    writer.close()
    (run,) = bn_tb.read_logdir(tmp_path)
    (layer,) = find_layers(run)
    assert layer.mean.minimum[0] != 0


def test_haiku_hands_back_the_state_with_its_statistics(jax):
    haiku = pytest.importorskip("haiku", reason="Haiku is not installed")

    def norm(x, is_training):
        return haiku.BatchNorm(True, True, 0.9)(x, is_training)

    net = haiku.without_apply_rng(haiku.transform_with_state(norm))
    params, state = net.init(jax["jax"].random.key(0), jax["x"], is_training=True)
    space = jax | {"net": net, "params": params, "state": state}
    exec(snippet("logits, state = net.apply("), space)
    assert (np.asarray(space["state"]["batch_norm/~/mean_ema"]["average"]) != 0).all()


def test_the_averages_of_batch_renormalisation_make_evaluation_compute_what_training_does():
    keras = pytest.importorskip("tf_keras")
    norm = keras.layers.BatchNormalization(renorm=True, momentum=0.999, renorm_momentum=0.9)
    model = keras.Sequential([keras.layers.Input((4,)), norm])
    data = np.random.randn(64, 4).astype("float32") * 3 + 5
    for _ in range(50):
        trained = model(data, training=True)
    assert np.abs(model(data, training=False) - trained).max() > 1
    exec(snippet('for layer in model.layers:\n    if getattr(layer, "renorm"'), {"model": model})
    assert np.allclose(model(data, training=False), model(data, training=True), atol=1e-2)


def test_the_callback_of_keras_logs_statistics(tmp_path):
    tf = pytest.importorskip("tensorflow")
    space = {"tf": tf, "logdir": str(tmp_path)}
    callback = eval(snippet("tf.keras.callbacks.TensorBoard("), space)
    keras = tf.keras
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.BatchNormalization()])
    model.compile("sgd", "mse")
    data = np.random.randn(32, 4).astype("float32")
    model.fit(data, data, epochs=2, verbose=0, callbacks=[callback])
    runs = bn_tb.read_logdir(tmp_path)
    assert any("moving_mean" in tag for run in runs for tag in run.histograms)


PROGRAM = """
import json, sys
import numpy as np
from bn_tb.training.tf1 import tf
code = json.loads(sys.stdin.read())
def fresh():
    tf.reset_default_graph()
    tf.disable_eager_execution()
    x = tf.placeholder(tf.float32, [None, 8]); y = tf.placeholder(tf.float32, [None, 1])
    return x, y, np.random.randn(16, 8) * 3 + 5, np.ones([16, 1])
def moved(train_op, x, y, images, labels, feed=None):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        names = [v for v in tf.global_variables() if "moving_mean" in v.name]
        session.run(train_op, {x: images, y: labels, **(feed or {})})
        return [bool((value != 0).all()) for value in session.run(names)]
def net(x, y, training=True):
    hidden = tf.layers.batch_normalization(x, training=training)
    return tf.reduce_mean((tf.layers.dense(hidden, 1) - y) ** 2)
done = {}
for start in ("update_ops", "with tf.control"):
    x, y, images, labels = fresh()
    loss = net(x, y); optimizer = tf.train.GradientDescentOptimizer(0.01)
    exec(code[start])
    done[start] = moved(train_op, x, y, images, labels)
x, y, images, labels = fresh()
training = tf.placeholder_with_default(False, [])
loss = net(x, y, training); optimizer = tf.train.GradientDescentOptimizer(0.01)
exec(code["update_ops"])
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    exec(code["session.run"])
    mean = [v for v in tf.global_variables() if "moving_mean" in v.name][0]
    done["session.run"] = bool((session.run(mean) != 0).all())
x, y, images, labels = fresh()
hidden = eval(code["tf.layers"])
exec(code["variable"].replace("tf.summary.histogram", "logged = tf.summary.histogram"))
exec(code["saver"])
done["logged"] = "moving_variance" in str(logged.op.inputs[1])
done["saver"] = "batch_normalization/moving_mean" in str([v.op.name for v in saver._var_list])
done["tf.layers"] = len(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
x, y, images, labels = fresh()
for name in ("net", "network"):
    with tf.variable_scope(name):
        tf.layers.batch_normalization(x, training=True)
exec(code["scope"])
done["scope"] = [update.name.split("/")[0] for update in updates]
x, y, images, labels = fresh()
norm = lambda mode: tf.layers.batch_normalization(
    x, training=mode, momentum=0.999, renorm=True, renorm_momentum=0.9, name="bn",
    reuse=tf.AUTO_REUSE)
trained, plain = norm(True), norm(False)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for _ in range(50):
        session.run([trained, tf.get_collection(tf.GraphKeys.UPDATE_OPS)], {x: images})
    apart = lambda: float(np.abs(np.subtract(*session.run([trained, plain], {x: images}))).max())
    done["renorm"] = [apart() > 1]
    exec(code["renorm"].replace("EPSILON", "1e-3"))
    done["renorm"].append(apart() < 1e-2)
x, y, images, labels = fresh()
batch_mean, batch_variance = tf.nn.moments(x, [0])
ema = tf.train.ExponentialMovingAverage(0.9)
loss = tf.reduce_mean((tf.layers.dense(x - batch_mean, 1) - y) ** 2)
optimizer = tf.train.GradientDescentOptimizer(0.01)
exec(code["ema"])
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train_op, {x: images, y: labels})
    done["ema"] = bool((session.run(ema.average(batch_mean)) != 0).all())
import os, tempfile
os.chdir(tempfile.mkdtemp())
x, y, images, labels = fresh()
loss = net(x, y); optimizer = tf.train.GradientDescentOptimizer(0.01)
tf.train.get_or_create_global_step()
exec(code["update_ops"].replace("minimize(loss)", "minimize(loss, tf.train.get_global_step())"))
start, _, opened = code["monitor"].partition("\\n")
exec(start)
with eval(opened) as session:
    for _ in range(3):
        session.run(train_op, {x: images, y: labels})
done["monitor"] = bool(os.listdir("logs/run"))
import tf_keras
x, y, images, labels = fresh()
own = tf.placeholder(tf.float32, [None, 3, 8])
inputs = tf_keras.layers.Input((3, 8))
hidden = tf_keras.layers.TimeDistributed(tf_keras.layers.BatchNormalization())(inputs)
hidden = tf_keras.layers.BatchNormalization()(tf_keras.layers.Flatten()(hidden))
model = tf_keras.Model(inputs, tf_keras.layers.Dense(1)(hidden))
tf_keras.backend.set_learning_phase(1)
loss = tf.reduce_mean((model(own, training=True) - y) ** 2)
optimizer = tf.train.GradientDescentOptimizer(0.01)
placeholder, x = x, own
exec(code["keras"])
values = np.random.randn(16, 3, 8) * 3 + 5
done["keras"] = moved(train_op, own, y, values, labels)
print(json.dumps(done))
"""


def test_tensorflow_1_code_does_what_it_says():
    pytest.importorskip("tf_keras")
    keys = {
        "update_ops": TF1[0], "ema": TF1[1], "keras": TF1[2], "with tf.control": TF1[3],
        "session.run": TF1[4], "variable": TF1[5], "scope": TF1[6], "tf.layers": TF1[7],
        "saver": TF1[8], "renorm": TF1[9], "monitor": MONITORS[3],
    }  # fmt: skip
    code = {key: snippet(start) for key, start in keys.items()}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(code), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.strip().splitlines()[-1]) == {
        "update_ops": [True], "with tf.control": [True], "session.run": True, "logged": True,
        "saver": True, "tf.layers": 2, "scope": ["net", "net"], "ema": True, "keras": [True, True],
        "monitor": True, "renorm": [True, True],
    }  # fmt: skip
