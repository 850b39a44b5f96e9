"""The laboratory of faults: real, short training runs with the diagnosis that is true of them.

Importing a framework costs more than training all of its scenarios, so each bench of `BENCHES`
is trained in one process: `python -m tests.lab BENCH LOGDIR [SCENARIO ...]`.
"""

import dataclasses
import sys
import types
from collections.abc import Callable

from tests.lab import (
    jax_nets,
    keras_causes,
    keras_fit,
    loops,
    names,
    pytorch_causes,
    pytorch_copies,
    pytorch_faults,
    pytorch_healthy,
    tf1_copies,
    tf1_frozen,
    tf1_models,
    tf1_renorm,
    tf1_training,
    tf1_wiring,
    writers,
)
from tests.lab.scenario import Scenario


@dataclasses.dataclass(frozen=True)
class Bench:
    """Scenarios that are trained in one process.

    Attributes:
      needs: Module that has to be installed for it.
      scenarios: What is trained.
      prepare: Called once before the first scenario.
    """

    needs: str
    scenarios: tuple[Scenario, ...]
    prepare: Callable[[], None] = lambda: None


def _without_tensorflow() -> None:
    """Lets TensorBoard's writers use their own file system instead of importing tensorflow."""
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("notf")


def _two_devices() -> None:
    """Makes two logical CPUs for tf.distribute; only possible before tensorflow has started."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


BENCHES = {
    "tf1": Bench(
        "tensorflow",
        tf1_wiring.SCENARIOS
        + tf1_training.SCENARIOS
        + tf1_models.SCENARIOS
        + tf1_copies.SCENARIOS
        + tf1_frozen.SCENARIOS
        + tf1_renorm.SCENARIOS
        + names.TF1_SCENARIOS,
    ),
    "keras": Bench(
        "tf_keras", keras_fit.SCENARIOS + keras_causes.SCENARIOS + loops.SCENARIOS, _two_devices
    ),
    "pytorch": Bench(
        "torch",
        pytorch_faults.SCENARIOS
        + pytorch_healthy.SCENARIOS
        + pytorch_causes.SCENARIOS
        + pytorch_copies.SCENARIOS
        + names.PYTORCH_SCENARIOS,
        _without_tensorflow,
    ),
    "jax": Bench("haiku", jax_nets.SCENARIOS, _without_tensorflow),
    "writers": Bench("tensorboardX", writers.SCENARIOS, _without_tensorflow),
}
"""Name of the bench to its scenarios."""
