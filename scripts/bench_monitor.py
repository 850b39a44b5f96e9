"""What a monitor costs: python scripts/bench_monitor.py.

Trains a residual net of 20 batch-norm layers (the widths of ResNet-18) on pictures of 32 x 32, in
turns with no monitor, with one that looks every 100 steps, and with one that looks at every step,
and prints the ratios of the mean step in processor time.
"""

import tempfile
import time

import numpy as np
import torch
from absl import app, flags
from torch import nn

from bn_tb.monitor.pytorch import BatchNormMonitor

ROUNDS = flags.DEFINE_integer("rounds", 3, "Rounds of each kind, in turns.")
STEPS = flags.DEFINE_integer("steps", 20, "Steps of a round.")
BATCH = flags.DEFINE_integer("batch", 32, "Pictures of a step.")


def _way_around(before, width, stride):
    return nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))


class Block(nn.Module):
    """Two convolutions with batch norm and a way around them."""

    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        same = stride == 1 and before == width
        self.down = nn.Identity() if same else _way_around(before, width, stride)

    def forward(self, x):
        """Returns the block's output."""
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + self.down(x))


def net():
    """Returns the net."""
    layers, before = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(before, width, stride), Block(width, width, 1)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def main(_):
    """Prints the ratios."""
    kinds = {"no monitor": None, "every=100": 100, "every=1": 1}
    took = {kind: [] for kind in kinds}
    inputs, labels = torch.randn(BATCH.value, 3, 32, 32), torch.randint(0, 10, (BATCH.value,))
    for _ in range(ROUNDS.value):
        for kind, every in kinds.items():
            model = net()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            with tempfile.TemporaryDirectory() as folder:
                monitor = every and BatchNormMonitor(model, optimizer, folder, every=every)
                for _ in range(STEPS.value):
                    start = time.process_time()
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(model(inputs), labels).backward()
                    optimizer.step()
                    took[kind].append(time.process_time() - start)
                if monitor:
                    monitor.close()
    plain = float(np.mean(took["no monitor"]))
    for kind, times in took.items():
        print(f"{kind:12} {1000 * np.mean(times):8.1f} ms a step  {np.mean(times) / plain:.3f}")


if __name__ == "__main__":
    app.run(main)
