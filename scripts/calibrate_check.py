"""How far healthy trainings are from the limits of BN503.

Run: python scripts/calibrate_check.py --trainings=1000

Trains toy nets on drawn settings (batches of 4 to 256, momentum 0.5 to 0.99 as long as at most 1 %
of the initial value is left, one to three layers, dropout or none), checks each with batches of the
same size and of 64, and prints the largest distances and how many were called wrong.
"""

import numpy as np
import torch
from absl import app, flags
from torch import nn

from bn_tb.repair.check import modes_of
from bn_tb.repair.pytorch import measure
from bn_tb.rules.modes_disagree import LIMITS

TRAININGS = flags.DEFINE_integer("trainings", 1000, "Trainings to draw.")


def drawn(seed):
    """Returns a trained net and a function that returns batches of a size."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    size = int(np.exp(random.uniform(np.log(4), np.log(256))))
    momentum = 1 - np.exp(random.uniform(np.log(0.01), np.log(0.5)))
    steps = int(max(60, np.log(0.01) / np.log(momentum))) + int(random.integers(0, 200))
    shift, scale = random.uniform(-5, 5), np.exp(random.uniform(-1, 2))
    centres = random.normal(size=(4, 8))

    def batch(count):
        labels = random.integers(0, 4, count)
        values = (centres[labels] + 0.7 * random.normal(size=(count, 8))) * scale + shift
        return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(labels)

    layers, width = [], 8
    for _ in range(int(random.integers(1, 4))):
        norm = nn.BatchNorm1d(16, momentum=1 - momentum)
        layers += [nn.Linear(width, 16), norm, nn.ReLU(), nn.Dropout(random.choice([0.0, 0.2]))]
        width = 16
    model = nn.Sequential(*layers, nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=float(np.exp(random.uniform(-5, -2.5))))
    for _ in range(steps):
        inputs, labels = batch(size)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model, batch, size


def main(_):
    """Prints the distribution of the distances."""
    rows = []
    for seed in range(TRAININGS.value):
        model, batch, size = drawn(seed)
        for count in (size, 64):
            modes = modes_of(measure(model, [batch(count) for _ in range(20)], 20))
            means = max(layer.means for layer in modes.layers)
            ratio = max(max(layer.ratio, 1 / layer.ratio) for layer in modes.layers)
            wrong = modes.difference > LIMITS["outputs"].value and (
                means > LIMITS["means"].value or ratio > LIMITS["ratio"].value
            )
            rows.append((modes.difference, means, ratio, wrong))
    columns = np.array(rows, float).T
    for name, column in zip(("outputs", "means", "ratio"), columns[:3], strict=True):
        quantiles = np.quantile(column, (0.5, 0.99, 1.0))
        print(
            f"{name:8} median {quantiles[0]:.3f}  99 % {quantiles[1]:.3f}  most {quantiles[2]:.3f}"
        )
    print(f"false alarms: {int(columns[3].sum())} of {len(rows)}")


if __name__ == "__main__":
    app.run(main)
