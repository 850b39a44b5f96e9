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


def print_table(rows: curves.Table) -> None:
    """Prints the accuracies after each epoch as Markdown."""
    heads, columns = ["step"], []
    for name in MODELS:
        for part in ("train", "test"):
            mine = curves.select(rows, model=name)
            steps, values = curves.curve(mine, f"{part}_accuracy")
            heads.append(f"{name} {part} (%)")
            columns.append([curves.mean_and_range(100 * v, ".2f") for v in values.T])
    curves.print_table(heads, zip([f"{step:.0f}" for step in steps], *columns, strict=True))


def draw(rows: curves.Table, path: pathlib.Path) -> None:
    """Draws training and test accuracy against the step, a colour for each model."""
    with pictures.figure(path, columns=2, sharey=True) as axes:
        for part, axis in zip(("train", "test"), axes, strict=True):
            for name, colour in zip(MODELS, pictures.COLOURS, strict=False):
                steps, values = curves.curve(curves.select(rows, model=name), f"{part}_accuracy")
                pictures.band(axis, steps, 100 * values, colour, name)
            axis.set(xlabel="training step", ylabel=f"{part} accuracy (%)", ylim=(0, 101))
        axes[1].legend()


if __name__ == "__main__":
    command.run(main)
