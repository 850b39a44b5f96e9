"""A toy net with one batch-norm layer, on data that are far from mean 0 and variance 1."""

import numpy as np
import torch
from torch import nn

_random = np.random.RandomState(0)
_CENTRES = _random.randn(4, 8).astype(np.float32)


def batch(size=32):
    """Returns examples `[N, 8]` and their classes, which are easy to tell apart."""
    labels = _random.randint(0, 4, size)
    values = (_CENTRES[labels] + 0.5 * _random.randn(size, 8).astype(np.float32)) * 3 + 5
    return torch.from_numpy(values.astype(np.float32)), torch.from_numpy(labels.astype(np.int64))


def net(momentum=0.1, dropout=0.0):
    """Returns the net; the batch-norm layer is `1`."""
    torch.manual_seed(0)
    _random.seed(1)
    norm = nn.BatchNorm1d(16, momentum=momentum)
    return nn.Sequential(nn.Linear(8, 16), norm, nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 4))


def sgd(model):
    """Returns an optimizer."""
    return torch.optim.SGD(model.parameters(), lr=0.05)


def train(model, optimizer, steps, training=True, validate_every=None):
    """Trains and returns the last loss."""
    loss = torch.zeros(())
    for step in range(1, steps + 1):
        model.train(training)
        inputs, labels = batch()
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if validate_every and step % validate_every == 0:
            with torch.no_grad():
                model.eval()(batch()[0])
    return loss.detach()


def accuracy(model):
    """Returns the share of right answers in evaluation mode."""
    inputs, labels = batch(1000)
    with torch.no_grad():
        return float((model.eval()(inputs).argmax(1) == labels).float().mean())
