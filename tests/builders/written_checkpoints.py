"""Checkpoints of one layer, for tests of what is made of them."""

import numpy as np

from tests.builders import checkpoint_bytes as cb


def saved_training(folder):
    """Writes two checkpoints of a training as PyTorch does."""
    names = ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"]
    for epoch in (1, 2):
        values = [np.full(3, epoch * size, "<f4").tobytes() for size in (1, 2, 5000)]
        archive = cb.torch_zip(cb.torch_state(names), values)
        (folder / f"epoch_{epoch}.pth").write_bytes(archive)


def saved_checkpoint(folder, step):
    """Writes a checkpoint of the layer `bn`, whose mean is `step` in every channel."""
    values = {
        "bn.running_mean": ("F32", np.full(3, step, np.float32)),
        "bn.running_var": ("F32", np.full(3, 2.0, np.float32)),
        "bn.num_batches_tracked": ("I64", np.int64(step)),
    }
    (folder / f"net-{step}.safetensors").write_bytes(cb.safetensors(values))
