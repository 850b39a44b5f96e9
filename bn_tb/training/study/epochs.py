"""Models trained side by side from one seed: their event files, and a table of their epochs."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from bn_tb.training import loop, side_by_side
from bn_tb.training.data import Mnist
from bn_tb.training.study import command
from bn_tb.training.study.cell import Row


def train(
    folder: pathlib.Path,
    contestants: Sequence[side_by_side.Contestant],
    settings: Mapping[str, int],
    mnist: Mnist,
    probe: side_by_side.Probe | None = None,
    write_graph: bool = True,
) -> Iterator[Row]:
    """Trains, prints one line a model and epoch, and yields it as a row of the table.

    Args:
      folder: Gets the event files.
      contestants: The models.
      settings: `seed`, `epochs`, `steps_per_epoch`, `batch_size`.
      mnist: Images.
      probe: See `side_by_side.Probe`.
      write_graph: Whether the training runs show the graph.
    """
    count, steps = settings["epochs"], settings["steps_per_epoch"]
    schedule = loop.Schedule(count, steps, settings["batch_size"], 1, settings["seed"])
    results = side_by_side.train(contestants, folder, mnist, schedule, probe, write_graph)
    for epoch, scores in command.epochs(folder.name, results, count * steps):
        for contestant, score in zip(contestants, scores, strict=True):
            print(f"{contestant.name:12} {command.epoch_line(epoch, count, score)}", flush=True)
            yield {
                "seed": schedule.seed,
                "model": contestant.name,
                "epoch": epoch,
                "step": epoch * steps,
                "train_accuracy": score.train.accuracy,
                "train_loss": score.train.loss,
                "test_accuracy": score.test.accuracy,
                "test_loss": score.test.loss,
            }
