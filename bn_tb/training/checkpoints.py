"""Checkpoints of TensorFlow 1 while a model is trained, each with its graph beside it."""

import pathlib
from typing import Any

from bn_tb.errors import UsageError
from bn_tb.training.event_files import reason_of
from bn_tb.training.run_folders import CHECKPOINT
from bn_tb.training.tf1 import tf

KEPT = 20
"""Checkpoints of a run that stay, the last ones; of the default net each takes 1.6 MB."""


class Checkpoints:
    """What is saved of the variables of the default graph, every so many steps.

    Made after the event file holds the graph: the Graphs tab would draw the saver's ops beside
    every layer.
    """

    def __init__(self, folder: pathlib.Path, every: int) -> None:
        """Adds the ops that save.

        Args:
          folder: The run folder.
          every: Steps between two checkpoints, at least 1.
        """
        self._path = str(folder / CHECKPOINT)
        self._every = every
        self._saver = tf.train.Saver(max_to_keep=KEPT)

    def after(self, session: Any, step: int) -> None:
        """Saves if a step is one of those wanted.

        Args:
          session: Holds the variables.
          step: Training steps so far.

        Raises:
          UsageError: The folder does not take it.
        """
        if step % self._every:
            return
        try:
            self._saver.save(session, self._path, global_step=step)
        except (ValueError, OSError, tf.errors.OpError) as error:
            raise UsageError(f"{self._path}-{step}: cannot be saved: {reason_of(error)}") from None
