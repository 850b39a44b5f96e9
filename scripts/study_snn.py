"""Study: what do self-normalising networks change, and does batch norm fail on dense ones?

    python scripts/study_snn.py --data_dir=FOLDER

Trains SELU nets (LeCun-normal weights, with and without alpha dropout) beside ReLU and ELU nets
with and without batch norm (momentum 0.9): the convolutional net of bn_tb.train, and fully
connected nets of several depths, these also with the learning rate of Klambauer et al. 2017 and
with small batches. Writes under `--logdir` a folder of event files for each net and seed with
histograms of the activations, results.csv, losses.csv, activations.csv, and the pictures snn_*.png;
prints the tables of docs/studies.md. What is finished is not trained again.
"""

import dataclasses
import functools
import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

import bn_tb
from bn_tb.training import data
from bn_tb.training.study import cell, command, curves, pictures

if TYPE_CHECKING:
    from bn_tb.training import side_by_side

LOGDIR = command.logdir_flag("logs/study_snn")
SEEDS = command.count("seeds", "Trainings of a net, each from another seed.", full=3, quick=1)
DEPTHS = command.counts("depths", "Hidden layers of the dense nets.", full="4,8,16,32", quick="8")
WIDTH = command.count("width", "Units of a hidden layer.", full=256, quick=64)
EPOCHS = command.count("epochs", "Epochs.", full=5, quick=2)
STEPS_PER_EPOCH = command.count("steps_per_epoch", "Steps of an epoch.", full=100, quick=25)

BATCH_SIZE, SMALL_BATCH_SIZE = 100, 10
LEARNING_RATE, PAPER_LEARNING_RATE = 1e-3, 1e-5  # Adam; of the paper's figure 1
PROBED_IMAGES = 500  # the first ones of the training set
RECIPES = {  # activation, momentum, initialiser, alpha dropout
    "SELU": ("selu", None, "lecun_normal", 0.0),
    "SELU_dropout": ("selu", None, "lecun_normal", 0.05),
    "ReLU": ("relu", None, "he_normal", 0.0),
    "ReLU_BN": ("relu", 0.9, "he_normal", 0.0),
    "ELU": ("elu", None, "he_normal", 0.0),
    "ELU_BN": ("elu", 0.9, "he_normal", 0.0),
}
LINES = {  # a colour for each activation
    "SELU": (pictures.COLOURS[0], "-"),
    "SELU_dropout": (pictures.COLOURS[0], ":"),
    "ReLU": (pictures.COLOURS[1], "-"),
    "ReLU_BN": (pictures.COLOURS[1], "--"),
    "ELU": (pictures.COLOURS[2], "-"),
    "ELU_BN": (pictures.COLOURS[2], "--"),
}
LOSS_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
SMOOTHED = 10  # steps; of the losses that are drawn
LOSSES, ACTIVATIONS = "losses.csv", "activations.csv"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What all models are trained on side by side; depth 0 is the convolutional net."""

    depth: int
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE

    @property
    def name(self) -> str:
        """Such as `dense32_batch10_rate0.001`."""
        net = f"dense{self.depth}" if self.depth else "conv"
        return f"{net}_batch{self.batch_size}_rate{self.learning_rate:g}"


def experiments() -> list[Experiment]:
    """Returns what is tried: each depth, the paper's learning rate, small batches, convolution."""
    depths = [int(depth) for depth in DEPTHS.value]
    return [
        *(Experiment(depth) for depth in depths),
        *(Experiment(depth, learning_rate=PAPER_LEARNING_RATE) for depth in depths if depth >= 8),
        Experiment(max(depths), batch_size=SMALL_BATCH_SIZE),
        Experiment(0),
    ]


def main() -> None:
    """Runs the cells that are not finished, then tabulates and draws all."""
    logdir = pathlib.Path(LOGDIR.value)
    mnist = command.read_data()
    folders = []
    for seed in range(1, SEEDS.value + 1):
        for experiment in experiments():
            settings = {
                "seed": seed,
                **dataclasses.asdict(experiment),
                "width": WIDTH.value,
                "epochs": EPOCHS.value,
                "steps_per_epoch": STEPS_PER_EPOCH.value,
                "training_images": len(mnist.train),
            }
            folders.append(logdir / f"{experiment.name}_seed_{seed}")
            work = functools.partial(train, folders[-1], experiment, settings, mnist)
            cell.complete(folders[-1], settings, work)
    rows = cell.gather_tables(folders, cell.RESULTS, logdir)
    losses = cell.gather_tables(folders, LOSSES, logdir)
    moments = cell.gather_tables(folders, ACTIVATIONS, logdir)
    print_results(rows, losses)
    print_moments(moments)
    folder = command.pictures_folder(logdir)
    draw_losses(losses, folder / "snn_losses.png")
    draw_moments(moments, folder / "snn_activations.png")


def train(
    folder: pathlib.Path, experiment: Experiment, settings: dict[str, int], mnist: data.Mnist
) -> dict[str, list[cell.Row]]:
    """Trains all models of an experiment from one seed."""
    from bn_tb.training import activations
    from bn_tb.training.study import epochs

    moments: list[cell.Row] = []
    X, _ = mnist.train.batch(slice(0, PROBED_IMAGES))

    def probe(race: "side_by_side.Race", step: int) -> None:
        feed = {race.inputs.X: X, race.inputs.training: True}
        for model, writers in race.models:
            if step == 0:
                probes[model.scope] = (
                    activations.moments(model.scope),
                    activations.histograms(model.scope),
                )
            values, histograms = race.session.run(probes[model.scope], feed)
            writers.train.add_summary(histograms, step)
            moments.extend(
                {"model": model.scope, "step": step, "layer": layer, "mean": mean, "variance": var}
                for layer, (mean, var) in enumerate(values.tolist(), start=1)
            )

    probes: dict[str, tuple] = {}
    asked = contestants(experiment, mnist)
    rows = list(epochs.train(folder, asked, settings, mnist, probe, write_graph=False))
    known = {"experiment": experiment.name, "seed": settings["seed"]}
    return {
        LOSSES: [{**known, **row} for row in training_losses(folder)],
        ACTIVATIONS: [{**known, **row} for row in moments],
        cell.RESULTS: [{**known, **row} for row in rows],
    }


def contestants(experiment: Experiment, mnist: data.Mnist) -> "list[side_by_side.Contestant]":
    """Returns the models; their input has mean 0 and variance 1 over the training set."""
    from bn_tb.training import model, side_by_side

    mean, deviation = mnist.train.images.mean() / 255, mnist.train.images.std() / 255

    def net(X, training, recipe):
        standardised = (X - mean) / deviation
        if experiment.depth:
            return model.dense_net(standardised, training, recipe, experiment.depth, WIDTH.value)
        return model.conv_net(standardised, training, recipe)

    return [
        side_by_side.Contestant(
            name,
            functools.partial(net, recipe=model.Recipe(*recipe)),
            learning_rate=experiment.learning_rate,
        )
        for name, recipe in RECIPES.items()
    ]


def training_losses(folder: pathlib.Path) -> Iterator[cell.Row]:
    """Yields the loss of each model at each training step, out of the event files."""
    for run in bn_tb.read_logdir(str(folder)):
        part, _, name = run.name.partition("/")
        if part == "train":
            loss = run.scalars["loss"]
            for step, value in zip(loss.steps.tolist(), loss.values.tolist(), strict=True):
                yield {"model": name, "step": step, "loss": f"{value:.5g}"}


def print_results(rows: curves.Table, losses: curves.Table) -> None:
    """Prints how well each model ends, and how unsteady its loss is from step to step."""

    def last_accuracy(experiment: str, name: str) -> str:
        mine = curves.select(rows, experiment=experiment, model=name)
        return curves.mean_and_range(100 * curves.curve(mine, "test_accuracy")[1][:, -1], ".1f")

    def late_losses(experiment: str, name: str) -> np.ndarray:
        mine = curves.select(losses, experiment=experiment, model=name)
        values = curves.curve(mine, "loss")[1]
        return values[:, values.shape[1] // 2 :]

    def last_loss(experiment: str, name: str) -> str:
        late = late_losses(experiment, name)
        return curves.mean_and_range(late[:, late.shape[1] // 2 :].mean(axis=1), ".3f")

    def last_unsteadiness(experiment: str, name: str) -> str:
        return curves.mean_and_range(100 * unsteadiness(late_losses(experiment, name)), ".0f")

    for what, of in (
        ("test accuracy at the end (%)", last_accuracy),
        ("training loss, mean of the last quarter (nats)", last_loss),
        ("unsteadiness of the loss in the second half (%)", last_unsteadiness),
    ):
        body = [
            [experiment, *(of(experiment, name) for name in RECIPES)]
            for experiment in curves.by(rows, "experiment")
        ]
        curves.print_table([what, *RECIPES], body)


def unsteadiness(losses: np.ndarray) -> np.ndarray:
    """Returns how much the loss jumps between steps, relative to its mean.

    Differences between neighbours leave out the trend; those of independent values spread by the
    square root of 2 more than the values.

    Args:
      losses: A row a seed, `[S, T]`.

    Returns:
      The standard deviation divided by the mean, `[S]`.
    """
    return np.diff(losses, axis=1).std(axis=1) / np.sqrt(2) / losses.mean(axis=1)


def deepest(moments: curves.Table) -> dict[str, list[dict[str, str]]]:
    """Returns the rows of each experiment on the deepest net."""
    groups = curves.by(moments, "experiment")
    layers = {name: max(int(row["layer"]) for row in rows) for name, rows in groups.items()}
    most = max(layers.values())
    return {name: rows for name, rows in groups.items() if layers[name] == most}


def print_moments(moments: curves.Table) -> None:
    """Prints between what the layers' activations lie in the deepest net, means over the seeds."""
    heads = [f"{what}, {when}" for when in ("step 0", "the end") for what in ("means", "variances")]
    body = []
    for experiment, mine in deepest(moments).items():
        steps = sorted({int(row["step"]) for row in mine})
        for name in RECIPES:
            cells = [experiment, name]
            for step in (steps[0], steps[-1]):
                rows = curves.select(mine, model=name, step=step)
                for column in ("mean", "variance"):
                    values = curves.curve(rows, column, "layer")[1].mean(axis=0)
                    cells.append(f"{values.min():.3g} to {values.max():.3g}")
            body.append(cells)
    curves.print_table(["experiment", "model", *heads], body)


def draw_losses(losses: curves.Table, path: pathlib.Path) -> None:
    """Draws the training loss of all models against the step, one panel an experiment."""
    groups = curves.by(losses, "experiment")
    columns = min(3, len(groups))
    count = -(-len(groups) // columns)
    with pictures.figure(path, count, columns, squeeze=False) as grid:
        panels = iter(grid.flat)
        for (experiment, mine), axes in zip(groups.items(), panels, strict=False):
            for name, (colour, line) in LINES.items():
                steps, values = curves.curve(curves.select(mine, model=name), "loss")
                pictures.band(axes, smooth(steps), smooth(values), colour, name, line)
            axes.set(title=title(experiment), yscale="log")
            low, high = axes.get_ylim()
            pictures.plain_numbers(axes.yaxis, [t for t in LOSS_TICKS if low <= t <= high])
        for axes in panels:
            axes.remove()
        for axes in grid[:, 0]:
            axes.set_ylabel("training loss (nats)")
        for axes in grid[-1]:
            axes.set_xlabel("training step")
        pictures.legend(grid[0, 0])


def title(experiment: str) -> str:
    """Returns `dense 8, batch 100, rate 0.001` for `dense8_batch100_rate0.001`."""
    return re.sub(r"([a-z])(\d)", r"\1 \2", experiment).replace("_", ", ")


def smooth(values: np.ndarray) -> np.ndarray:
    """Returns the means of each `SMOOTHED` values along the last axis."""
    size = min(SMOOTHED, values.shape[-1])
    whole = values.shape[-1] // size * size
    return values[..., :whole].reshape(*values.shape[:-1], -1, size).mean(axis=-1)


def draw_moments(moments: curves.Table, path: pathlib.Path) -> None:
    """Draws mean and variance over the layers of the deepest net, before and after training."""
    groups = deepest(moments)
    first = next(iter(groups.values()))
    panels = [("before training", curves.select(first, step=0))]
    for experiment, rows in groups.items():
        last = max(int(row["step"]) for row in rows)
        name = title(experiment).partition(", ")[2]
        panels.append((f"after {last} steps, {name}", curves.select(rows, step=last)))
    with pictures.figure(path, 2, len(panels), sharex=True, sharey="row") as grid:
        for (head, rows), column in zip(panels, grid.T, strict=True):
            for axes, moment in zip(column, ("mean", "variance"), strict=True):
                for name, (colour, line) in LINES.items():
                    mine = curves.select(rows, model=name)
                    layers, values = curves.curve(mine, moment, "layer")
                    pictures.band(axes, layers, values, colour, name, line)
            column[0].set_title(head)
            column[1].set_xlabel("hidden layer")
        grid[0, 0].set_ylabel("mean of the activations")
        grid[0, 0].set_yscale("symlog", linthresh=1)  # logarithmic beyond 1, and shows 0
        grid[1, 0].set(ylabel="variance of the activations", yscale="log")
        for axes in grid[:, 0]:
            pictures.plain_numbers(axes.yaxis)
        pictures.legend(grid[0, 0])


if __name__ == "__main__":
    command.run(main)
