"""TensorFlow as version 1 had it; imported before anything else that imports tensorflow.

`tf.compat.v1.layers` exists only with tf_keras, and only if `TF_USE_LEGACY_KERAS` is set before
tensorflow is imported. The import also writes what its authors call information to the terminal:
that oneDNN is in use, that this machine has no GPU. Those lines are dropped, all others kept.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

# C++ writes to file descriptor 2, and TF_CPP_MIN_LOG_LEVEL does not reach these lines: they are
# written before that variable is read (tensorflow 2.21).
_STARTUP_NOTICE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|"
    rb"I\d{4} |"  # severity information
    rb"E\d{4} .*failed call to cuInit"  # no GPU: a fact, not an error
)


@contextlib.contextmanager
def _without_startup_notices() -> Iterator[None]:
    """Holds back what is written to file descriptor 2, then passes on all but the notices."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            written.seek(0)
            for line in written:
                if not _STARTUP_NOTICE.match(line):
                    sys.stderr.buffer.write(line)
            sys.stderr.flush()


def _is_no_deprecation(record: logging.LogRecord) -> bool:
    """False for the notice that a TensorFlow 1 function is old, which is why it is used here."""
    return "is deprecated and will be removed" not in record.getMessage()


os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and worse
with _without_startup_notices():
    import tensorflow

    tensorflow.config.list_physical_devices()  # looks for a GPU now, and not in the first session
    tf = tensorflow.compat.v1
    tf.layers.dense  # noqa: B018 - loads tf_keras now
# A `training` that is fed makes batch normalisation branch. As operations of the graph, the
# branches stay inside their layer. As functions, which is control flow version 2, they fill the
# Graphs tab with boxes beside the graph, and one of them hides the momentum.
tf.disable_control_flow_v2()
tensorflow.get_logger().addFilter(_is_no_deprecation)
warnings.filterwarnings("ignore", message=r"`tf\.layers\.\w+` is deprecated")


def set_seed(seed: int) -> None:
    """Same seed, same numbers, also with several threads; of the default graph and its sessions.

    What it sets holds for the process: later graphs need a seed too, or TensorFlow refuses them.
    No cost was seen on a busy machine: the fastest of 150 steps took 31.2 ms, and 30.9 ms without;
    the medians were 70 and 84 ms.
    """
    tensorflow.config.experimental.enable_op_determinism()
    tf.set_random_seed(seed)
