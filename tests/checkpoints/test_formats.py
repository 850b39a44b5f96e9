"""Values of every format equal those of the framework that wrote it, bit for bit."""

import pickle

import numpy as np
import pytest

from bn_tb.checkpoints import formats
from bn_tb.files.local import LocalFile


def contents_of(path):
    """Returns what a checkpoint holds; of a prefix, with its data files."""
    index = path.with_name(f"{path.name}.index")
    if not index.exists():
        return formats.read(LocalFile(str(path)))
    shards = lambda at, count: LocalFile(f"{path}.data-{at:05d}-of-{count:05d}")  # noqa: E731
    return formats.read(LocalFile(str(index)), shards)


def assert_equal(stored, expected):
    expected = np.asarray(expected)
    found = stored.array()
    assert found.shape == expected.shape
    assert found.astype(expected.dtype).tobytes() == expected.tobytes()


VARIABLES = {
    "bn/moving_mean": np.linspace(-1, 1, 64, dtype=np.float32),
    "bn/moving_variance": np.float32([np.nan, np.inf, -0.0, 1e-45]),
    "half": np.float16([0.1, 65504]),
    "double": np.array([[np.pi, 1e300]]),
    "global_step": np.int64(98001),
    "negative": np.int32([-1, 2]),
    "flags": np.array([True, False]),
}


@pytest.fixture(scope="module")
def tf1(tmp_path_factory):
    """TensorFlow 1 checkpoints: V2, V2 in two shards with a partitioned variable, V1."""
    tf = pytest.importorskip("tensorflow")
    v1, folder = tf.compat.v1, tmp_path_factory.mktemp("tf1")
    with tf.Graph().as_default():
        for name, value in VARIABLES.items():
            v1.get_variable(name, initializer=tf.constant(value))
        with tf.device("/cpu:0"):
            parts = v1.fixed_size_partitioner(3)
            v1.get_variable("parted", [200, 3], partitioner=parts)
        everything = v1.global_variables()
        old = [one for one in everything if one.dtype.base_dtype is not tf.float16]
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            v1.train.Saver(sharded=True).save(session, str(folder / "v2"))
            v1.train.Saver(old, write_version=1).save(session, str(folder / "v1"))
    return folder


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_tensorflow_1_is_read_bit_for_bit(tf1, name):
    import tensorflow as tf

    found = contents_of(tf1 / name).tensors
    reader = tf.train.load_checkpoint(str(tf1 / "v2"))  # of V1 TensorFlow reads no slices
    half = {"half"} if name == "v1" else set()  # which V1 cannot hold
    assert set(found) == set(reader.get_variable_to_shape_map()) - half
    for variable, stored in found.items():
        assert_equal(stored, reader.get_tensor(variable))


def test_tensorflow_2_shows_the_names_of_variables_and_what_the_optimizer_counts(tmp_path):
    tf = pytest.importorskip("tensorflow")
    tf_keras = pytest.importorskip("tf_keras")
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Dense(3), layers.BatchNormalization(name="norm")])
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    model.fit(np.ones((8, 2)), np.zeros((8, 3)), batch_size=2, verbose=0)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "m"))
    found = contents_of(tmp_path / "m").tensors
    assert path == str(tmp_path / "m")
    norm = model.layers[1]
    for variable in norm.variables:
        assert_equal(found[variable.name.removesuffix(":0")], variable.numpy())
    assert found["optimizer/iter"].array() == 4


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def keras_model(request):
    """A model whose layers have all kinds of parameters, names and depths."""
    keras = pytest.importorskip(request.param)
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Conv2D(3, 3), layers.BatchNormalization(momentum=0.9, name="deep")], name="inner"
    )
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3)(image)
    x = layers.BatchNormalization(scale=False, name="no_scale")(x)
    x = layers.BatchNormalization(center=False, name="no_center")(x)
    x = layers.BatchNormalization(center=False, scale=False, name="neither")(x)
    model = keras.Model(image, layers.Dense(1)(layers.Flatten()(inner(x))))
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.random((6, 6, 6, 3)), np.zeros(6), batch_size=2, verbose=0)
    return model


def norms(model):
    """Returns layers of batch norm by their names in the model."""
    by_name = {layer.name: layer for layer in model.layers if "Batch" in type(layer).__name__}
    return by_name | {"inner/deep": model.get_layer("inner").layers[-1]}


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_keras_is_read_bit_for_bit_under_the_names_of_its_configuration(
    keras_model, ending, tmp_path
):
    keras_model.save(tmp_path / f"model{ending}")
    found = contents_of(tmp_path / f"model{ending}")
    for name, layer in norms(keras_model).items():
        for role in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable = getattr(layer, role)
            assert (variable is None) == (f"{name}/{role}" not in found.tensors)
            if variable is not None:
                assert_equal(found.tensors[f"{name}/{role}"], variable.numpy())
    assert found.numbers["iterations"] == 3
    assert [kind for kind, _ in found.graphs] == ["keras_model"]


def test_keras_weights_alone_are_read_as_far_as_they_are_named(keras_model, tmp_path):
    keras_model.save_weights(tmp_path / "model.weights.h5")
    found = contents_of(tmp_path / "model.weights.h5").tensors
    values = [layer.moving_mean.numpy().tobytes() for layer in norms(keras_model).values()]
    means = [one.array().tobytes() for name, one in found.items() if name.endswith("moving_mean")]
    assert sorted(means) == sorted(values)


def torch_state(torch):
    torch.manual_seed(0)
    return {
        "bn.running_mean": torch.randn(5),
        "bn.running_var": torch.tensor([float("nan"), float("inf"), -0.0]),
        "bn.num_batches_tracked": torch.tensor(17601),
        "half": torch.randn(3).half(),
        "double": torch.randn(2, 3).double(),
        "transposed": torch.arange(12.0).reshape(3, 4).T,
        "part": torch.arange(12.0)[3:7],
        "brain": torch.randn(4).bfloat16(),
        "e4m3": torch.randn(8).to(torch.float8_e4m3fn),
        "e5m2": torch.randn(8).to(torch.float8_e5m2),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }


def numpy_of(tensor):
    tensor = tensor.detach()
    wide = str(tensor.dtype) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2")
    return (tensor.float() if wide else tensor).numpy()


@pytest.mark.parametrize("archive", [True, False], ids=["zip", "stream"])
def test_pytorch_is_read_bit_for_bit(archive, tmp_path):
    torch = pytest.importorskip("torch")
    state = torch_state(torch)
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=archive)
    found = contents_of(tmp_path / "a.pth").tensors
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert_equal(found[name], numpy_of(tensor))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("archive", [True, False], ids=["zip", "stream"])
def test_every_protocol_of_pickle_is_understood(archive, protocol, tmp_path):
    torch = pytest.importorskip("torch")
    state = {"model": {"a.running_mean": torch.ones(3)}, "epoch": 7, "best": 0.5}
    how = {"_use_new_zipfile_serialization": archive, "pickle_protocol": protocol}
    torch.save(state, tmp_path / "a.pt", **how)
    found = contents_of(tmp_path / "a.pt")
    assert list(found.tensors) == ["a.running_mean"]
    assert found.numbers == {"epoch": 7, "best": 0.5}


def trained(torch, steps):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(steps):
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    return model, optimizer


def test_a_whole_pickled_module_gives_the_names_of_its_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    model, _ = trained(torch, 1)
    torch.save({"model": model, "epoch": 3}, tmp_path / "a.pt")
    assert set(contents_of(tmp_path / "a.pt").tensors) == set(model.state_dict())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", None])
def test_what_wraps_a_model_is_in_no_name(prefix, key, tmp_path):
    torch = pytest.importorskip("torch")
    state = {f"{prefix}bn.running_mean": torch.zeros(3)}
    torch.save(state if key is None else {key: state}, tmp_path / "a.pt")
    assert list(contents_of(tmp_path / "a.pt").tensors) == ["bn.running_mean"]


def test_a_copy_keeps_the_key_that_says_so(tmp_path):
    torch = pytest.importorskip("torch")
    state = {"bn.running_mean": torch.zeros(3)}
    copy = {"bn.running_mean": torch.ones(3)}
    torch.save({"state_dict": state, "state_dict_ema": copy}, tmp_path / "a.pt")
    found = contents_of(tmp_path / "a.pt").tensors
    assert list(found) == ["bn.running_mean", "state_dict_ema.bn.running_mean"]


def test_steps_of_an_optimizer_are_counted_and_its_moments_left_alone(tmp_path):
    torch = pytest.importorskip("torch")
    model, optimizer = trained(torch, 5)
    torch.save({"m": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    found = contents_of(tmp_path / "a.pt")
    assert found.optimizer_steps == 5
    assert not any("exp_avg" in name for name in found.tensors)


def safetensors_bytes(tensors, metadata=None):
    """Returns a file as https://github.com/huggingface/safetensors#format describes it."""
    import json

    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_safetensors_is_read_bit_for_bit(tmp_path):
    values = {"bn.running_mean": ("F32", np.float32([1, 2])), "bn.count": ("I64", np.int64(3))}
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes(values, {"step": "12"}))
    found = contents_of(tmp_path / "a.safetensors")
    assert found.numbers == {"step": 12}
    for name, (_, array) in values.items():
        assert_equal(found.tensors[name], array)


def test_safetensors_of_the_library_are_read_bit_for_bit(tmp_path):
    library = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    values = {
        "bn.running_mean": np.linspace(-1, 1, 5, dtype=np.float32),
        "bn.num_batches_tracked": np.int64([7]),
        "half": np.float16([0.1, 65504]),
        "weight": np.arange(12.0).reshape(3, 4),
    }
    library.save_file(values, tmp_path / "a.safetensors", {"format": "pt"})
    found = contents_of(tmp_path / "a.safetensors").tensors
    assert set(found) == set(values)
    for name, array in values.items():
        assert_equal(found[name], array)


class Reckless:
    """What an attacker pickles: unpickling it calls anything."""

    def __reduce__(self):
        return (open, ("/nonexistent/executed", "w"))


def test_nothing_in_a_pickle_is_executed(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"evil": Reckless(), "bn.running_mean": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError):
        torch.load(tmp_path / "a.pt", weights_only=False)
    assert list(contents_of(tmp_path / "a.pt").tensors) == ["bn.running_mean"]


def test_a_plain_pickle_is_refused(tmp_path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(formats.ForeignError, match=r"torch\.save did not write"):
        contents_of(tmp_path / "a.pt")
