"""What a monitor costs: python scripts/bench_monitor.py --framework=pytorch|keras.

Trains two twins of a residual net of 20 batch-norm layers (the widths of ResNet-18) on pictures of
32 x 32 in turns, step by step, one of them watched, and times a look at it after 10, 100 and 1,000
looks. Prints processor time: of a step, of what counting adds to it, and of looks, and the ratio
of a watched step to a plain one with a look every 100 steps and at every step.
"""

import importlib
import os
import statistics
import tempfile
import time

import numpy as np
from absl import app, flags

FRAMEWORK = flags.DEFINE_enum("framework", "pytorch", ["pytorch", "keras"], "Whose monitor.")
STEPS = flags.DEFINE_integer("steps", 20, "Steps of each twin.")
BATCH = flags.DEFINE_integer("batch", 32, "Pictures of a step.")

LOOKS = (10, 100, 1000)
WIDTHS = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))
"""Channels and stride of the blocks."""
NEVER = 10**9


def pytorch_twins(folder):
    """Yields a function that makes a step of each twin, and the monitor of the second one."""
    torch = importlib.import_module("torch")
    nn = torch.nn
    monitor = importlib.import_module("bn_tb.monitor.pytorch").BatchNormMonitor

    class Block(nn.Module):
        """Two convolutions with batch norm and a way around them."""

        def __init__(self, before, width, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
            self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
            self.around = nn.Identity()
            if (before, stride) != (width, 1):
                conv = nn.Conv2d(before, width, 1, stride, bias=False)
                self.around = nn.Sequential(conv, nn.BatchNorm2d(width))

        def forward(self, x):
            """Returns the block's output."""
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + self.around(x))

    inputs, labels = torch.randn(BATCH.value, 3, 32, 32), torch.randint(0, 10, (BATCH.value,))

    def twin():
        befores = [64, *(width for width, _ in WIDTHS)]
        blocks = [Block(b, *block) for b, block in zip(befores, WIDTHS, strict=False)]
        stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
        model = nn.Sequential(*stem, *blocks, *end)
        return model, torch.optim.SGD(model.parameters(), lr=0.01)

    def step(model, optimizer):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()

    (plain, watched) = twin(), twin()
    looking = monitor(*watched, folder, every=NEVER)
    return (lambda: step(*plain)), (lambda: step(*watched)), looking


def keras_twins(folder):
    """Does the same for Keras: `train_on_batch`, with the calls that fit makes of a callback."""
    keras = importlib.import_module("keras")
    layers = keras.layers
    monitor = importlib.import_module("bn_tb.monitor.keras").BatchNormMonitor

    def block(x, width, stride):
        convolve = lambda y, s, size: layers.BatchNormalization()(  # noqa: E731
            layers.Conv2D(width, size, s, "same", use_bias=False)(y)
        )
        y = convolve(layers.ReLU()(convolve(x, stride, 3)), 1, 3)
        around = x if (x.shape[-1], stride) == (width, 1) else convolve(x, stride, 1)
        return layers.ReLU()(layers.Add()([y, around]))

    def twin():
        image = keras.Input([32, 32, 3])
        x = layers.Conv2D(64, 3, 1, "same", use_bias=False)(image)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        for width, stride in WIDTHS:
            x = block(x, width, stride)
        model = keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss)
        return model

    images = np.random.default_rng(0).normal(size=(BATCH.value, 32, 32, 3)).astype(np.float32)
    labels = np.random.default_rng(1).integers(0, 10, BATCH.value)
    plain, watched = twin(), twin()
    looking = monitor(folder, every=NEVER)
    looking.set_model(watched)
    looking.on_train_begin()
    looking.on_epoch_begin(0)
    done = iter(range(NEVER))

    def watched_step():
        watched.train_on_batch(images, labels)
        looking.on_train_batch_end(next(done))

    return (lambda: plain.train_on_batch(images, labels)), watched_step, looking


def timed(call):
    """Returns processor time of a call in milliseconds."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def main(_):
    """Prints times and ratios."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory() as folder:
        plain, watched, monitor = {"pytorch": pytorch_twins, "keras": keras_twins}[FRAMEWORK.value](
            folder
        )
        for step in (plain, watched):
            step()
        pairs = [(timed(plain), timed(watched)) for _ in range(STEPS.value)]
        bare = statistics.median(one for one, _ in pairs)
        counting = statistics.median(other - one for one, other in pairs)
        print(f"a step {bare:.1f} ms, counting {counting:+.2f} ms")
        times = []
        for at in range(1, LOOKS[-1] + 1):
            times.append(timed(lambda: monitor._judge.take(monitor._look)))
            if at in LOOKS:
                look = statistics.mean(times[-at // 2 :])
                each = [1 + (counting + look / every) / bare for every in (100, 1)]
                ratios = f"every=100 {each[0]:.4f}, every=1 {each[1]:.3f}"
                print(f"{at:5} looks: {look:6.2f} ms a look; {ratios}")


if __name__ == "__main__":
    app.run(main)
