"""A PyTorch training whose layers have momentum 0: the monitor warns, recalibrate repairs.

Run: python examples/pytorch_monitor.py logs/example
"""

import sys

import torch
from torch import nn

import bn_tb
from bn_tb.monitor.pytorch import BatchNormMonitor

torch.manual_seed(0)
centres = 3 * torch.randn(4, 8)


def batch(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns examples around four centres, and which one."""
    labels = torch.randint(0, 4, (size,))
    return centres[labels] + torch.randn(size, 8) + 5, labels


model = nn.Sequential(
    nn.Linear(8, 32), nn.BatchNorm1d(32, momentum=0.0), nn.ReLU(), nn.Linear(32, 4)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

with BatchNormMonitor(model, optimizer, sys.argv[1], every=20):
    for _ in range(200):
        inputs, labels = batch()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()


def accuracy() -> float:
    """Returns the share of right answers in evaluation mode."""
    inputs, labels = batch(1000)
    return float((model.eval()(inputs).argmax(1) == labels).float().mean())


print(f"before: {accuracy():.1%}")
print(bn_tb.recalibrate(model, [batch() for _ in range(16)]))
print(f"after:  {accuracy():.1%}")
