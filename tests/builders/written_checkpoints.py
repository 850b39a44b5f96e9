"""Checkpoints of one layer, for tests of what is made of them."""

import numpy as np

from tests.builders import checkpoint_bytes as cb


def saved_checkpoint(folder, step):
    """Writes a checkpoint of the layer `bn`, whose mean is `step` in every channel."""
    values = {
        "bn.running_mean": ("F32", np.full(3, step, np.float32)),
        "bn.running_var": ("F32", np.full(3, 2.0, np.float32)),
        "bn.num_batches_tracked": ("I64", np.int64(step)),
    }
    (folder / f"net-{step}.safetensors").write_bytes(cb.safetensors(values))
