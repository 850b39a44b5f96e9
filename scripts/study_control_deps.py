"""Study: what does the control dependency change?

    python scripts/study_control_deps.py --data_dir=FOLDER

Trains three models side by side in one graph on the same batches: `vanilla` without batch norm,
`NoCD` with batch norm whose update ops nothing runs, and `BN` whose train op waits for its update
ops. Writes under `--logdir` the runs train/<model> and test/<model> of each seed, results.csv, and
the picture control_deps.png; prints for each epoch a line a model. A finished seed is not trained
again.
"""

import functools
import pathlib

from bn_tb.training import data
from bn_tb.training.study import cell, command, curves, pictures

LOGDIR = command.logdir_flag("logs/study_control_deps")
SEEDS = command.count("seeds", "Trainings, each from another seed.", full=1, quick=1)
EPOCHS = command.count("epochs", "Epochs.", full=10, quick=3)
STEPS_PER_EPOCH = command.count("steps_per_epoch", "Steps of an epoch.", full=50, quick=50)
BATCH_SIZE = command.count("batch_size", "Images of a step.", full=100, quick=50)

# Far below tf.layers' default, so that BN's averages have left their initial values behind within
# the first epoch and only the control dependency makes a difference.
MOMENTUM = 0.9
MODELS = {
    "vanilla": (None, "control_deps"),
    "NoCD": (MOMENTUM, "none"),
    "BN": (MOMENTUM, "control_deps"),
}


def main() -> None:
    """Runs the cells that are not finished, then tabulates and draws all."""
    logdir = pathlib.Path(LOGDIR.value)
    mnist = command.read_data()
    folders = []
    for seed in range(1, SEEDS.value + 1):
        settings = {
            "seed": seed,
            "epochs": EPOCHS.value,
            "steps_per_epoch": STEPS_PER_EPOCH.value,
            "batch_size": BATCH_SIZE.value,
            "training_images": len(mnist.train),
        }
        folders.append(logdir / f"seed_{seed}")
        cell.complete(folders[-1], settings, functools.partial(train, folders[-1], settings, mnist))
    rows = cell.gather_tables(folders, cell.RESULTS, logdir)
    print_table(rows)
    draw(rows, command.pictures_folder(logdir) / "control_deps.png")


def train(
    folder: pathlib.Path, settings: dict[str, int], mnist: data.Mnist
) -> dict[str, list[cell.Row]]:
    """Trains the three models from one seed."""
    from bn_tb.training import model, side_by_side
    from bn_tb.training.study import epochs

    contestants = [
        side_by_side.Contestant(
            name,
            functools.partial(model.conv_net, recipe=model.Recipe(momentum=momentum)),
            wiring,
        )
        for name, (momentum, wiring) in MODELS.items()
    ]
    return {cell.RESULTS: list(epochs.train(folder, contestants, settings, mnist))}


COLUMNS = {  # of the table: what it is called, its factor and its form
    "train_accuracy": ("train (%)", 100, ".2f"),
    "test_accuracy": ("test (%)", 100, ".2f"),
    "test_loss": ("test loss", 1, ".3f"),
}


def print_table(rows: curves.Table) -> None:
    """Prints accuracies and test loss after each epoch as Markdown."""
    heads, columns = ["step"], []
    for name in MODELS:
        mine = curves.select(rows, model=name)
        for column, (head, factor, form) in COLUMNS.items():
            steps, values = curves.curve(mine, column)
            heads.append(f"{name} {head}")
            columns.append([curves.mean_and_range(factor * v, form) for v in values.T])
    curves.print_table(heads, zip([f"{step:.0f}" for step in steps], *columns, strict=True))


def draw(rows: curves.Table, path: pathlib.Path) -> None:
    """Draws accuracies and test loss against the step, a colour and a line for each model."""
    with pictures.figure(path, columns=3) as (train_axes, test_axes, loss_axes):
        for name, colour, line in zip(MODELS, pictures.COLOURS, ("-", "-", "--"), strict=False):
            mine = curves.select(rows, model=name)
            for axes, column in zip((train_axes, test_axes, loss_axes), COLUMNS, strict=True):
                steps, values = curves.curve(mine, column)
                factor = COLUMNS[column][1]
                pictures.band(axes, steps, factor * values, colour, name, line)
        train_axes.set(xlabel="training step", ylabel="training accuracy (%)", ylim=(0, 101))
        test_axes.set(xlabel="training step", ylabel="test accuracy (%)", ylim=(0, 101))
        loss_axes.set(xlabel="training step", ylabel="test loss (nats)", ylim=(0, 2.5))
        pictures.legend(train_axes)


if __name__ == "__main__":
    command.run(main)
