"""MNIST: what is in the package, what a folder of IDX files may look like, what is refused."""

import gzip
import itertools
import shutil

import numpy as np
import pytest

from bn_tb.errors import BnTbError
from bn_tb.training import data
from tests.places import SHARED

FULL = SHARED / "data/mnist"

needs_full_mnist = pytest.mark.skipif(
    not FULL.is_dir(), reason="the full MNIST is not beside this project"
)


@pytest.fixture(scope="module")
def embedded():
    return data.read_mnist()


def idx(magic, shape, elements):
    return magic.to_bytes(4, "big") + np.array(shape, ">i4").tobytes() + elements


IMAGES = idx(0x803, (2, 28, 28), bytes(2 * data.PIXELS))
LABELS = idx(0x801, (2,), b"\x03\x09")


@pytest.fixture
def folder(tmp_path):
    """A folder with a tiny MNIST of two training and two test images."""
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(IMAGES)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(LABELS)
    return tmp_path


def test_the_package_holds_ten_thousand_images_of_each_part(embedded):
    assert len(embedded.train) == len(embedded.test) == 10_000
    assert embedded.train.images.shape == (10_000, 784)


def test_the_files_in_the_package_stay_below_3_5_megabytes():
    assert sum(path.stat().st_size for path in data.EMBEDDED.iterdir()) <= 3_500_000


def test_predicting_one_class_scores_11_35_percent_on_the_embedded_test_set(embedded):
    shares = np.bincount(embedded.test.labels) / len(embedded.test)
    assert shares.max() == 0.1135
    assert shares.argmax() == 1


@needs_full_mnist
def test_embedded_images_are_the_first_of_the_full_set(embedded):
    full = data.read_mnist(FULL)
    assert len(full.train) == 60_000
    np.testing.assert_array_equal(full.train.images[:10_000], embedded.train.images)
    np.testing.assert_array_equal(full.train.labels[:10_000], embedded.train.labels)
    np.testing.assert_array_equal(full.test.images, embedded.test.images)
    np.testing.assert_array_equal(full.test.labels, embedded.test.labels)


def test_plain_and_gzipped_files_may_be_mixed(folder):
    plain = folder / "train-images-idx3-ubyte"
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert data.read_mnist(folder).train.labels.tolist() == [3, 9]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", None, "no such file"),
        ("t10k-labels-idx1-ubyte", b"", "0 bytes, too short"),
        ("t10k-labels-idx1-ubyte", b"hello, world", "starts with 0x68656c6c, expected 0x00000801"),
        ("t10k-labels-idx1-ubyte", IMAGES, "starts with 0x00000803, expected 0x00000801"),
        ("t10k-labels-idx1-ubyte", LABELS[:-1], "1 bytes after the header, which announces 2"),
        ("t10k-labels-idx1-ubyte", LABELS + b"\0", "3 bytes after the header, which announces 2"),
        ("t10k-labels-idx1-ubyte", idx(0x801, (2,), b"\x03\x0a"), "label 10, but MNIST's"),
        ("t10k-labels-idx1-ubyte", idx(0x801, (1,), b"\x03"), "1 labels for the 2 images"),
        ("train-images-idx3-ubyte", idx(0x803, (1, 9, 9), bytes(81)), "images of 9x9 pixels"),
        ("train-images-idx3-ubyte", idx(0x803, (-1, 28, 28), b""), "which announces -784"),
    ],
)
def test_a_file_that_is_not_mnist_is_named_with_what_is_wrong(folder, name, content, message):
    path = folder / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(BnTbError) as raised:
        data.read_mnist(folder)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_damaged_compressed_file_is_named(folder, suffix):
    (folder / "t10k-images-idx3-ubyte").unlink()
    path = folder / f"t10k-images-idx3-ubyte{suffix}"
    path.write_bytes(gzip.compress(IMAGES)[:-9])
    with pytest.raises(BnTbError, match=f"{path}: cannot be read"):
        data.read_mnist(folder)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_file_that_unpacks_to_more_than_any_mnist_is_not_unpacked(folder, suffix, monkeypatch):
    """A megabyte may unpack to a gigabyte, whatever its header announces."""
    monkeypatch.setattr(data, "MOST_IMAGES", 100)
    path = folder / "train-images-idx3-ubyte"
    with data._OPENERS[suffix](f"{path}{suffix}", "wb") as file:
        file.write(path.read_bytes() + bytes(200 * data.PIXELS))
    path.unlink()
    with pytest.raises(BnTbError, match="more than 100 images: not MNIST"):
        data.read_mnist(folder)


def test_empty_files_hold_no_images(folder):
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(0x803, (0, 28, 28), b""))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(0x801, (0,), b""))
    with pytest.raises(BnTbError, match="holds no images"):
        data.read_mnist(folder)


def test_a_missing_folder_is_named(folder):
    shutil.rmtree(folder)
    with pytest.raises(BnTbError, match=f"{folder}.*no such file"):
        data.read_mnist(folder)


def test_batches_are_brightness_from_0_to_1_and_integer_classes(embedded):
    X, y = embedded.test.batch(slice(0, 3))
    assert X.dtype == np.float32
    assert (X.min(), X.max()) == (0, 1)
    assert y.tolist() == [7, 2, 1]


def test_each_pass_shows_every_image_once_and_the_seed_decides_the_order():
    part = data.LabelledImages(np.zeros((6, 784), np.uint8), np.arange(6, dtype=np.uint8))

    def order(seed):
        batches = itertools.islice(part.shuffled_batches(4, seed), 6)
        return [label for _, y in batches for label in y.tolist()]

    labels = order(seed=1)
    for start in range(0, 24, 6):
        assert sorted(labels[start : start + 6]) == list(range(6))
    assert labels == order(seed=1)
    assert labels != order(seed=2)
