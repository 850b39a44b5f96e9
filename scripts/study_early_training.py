"""Study: why does batch norm not work very early in training?

    python scripts/study_early_training.py --data_dir=FOLDER

Trains ReLU and ReLU_BN (momentum 0.99) side by side on the same batches and evaluates both after
every 50 steps. Writes under `--logdir` a folder of event files for each seed, results.csv, and the
picture early_training.png; prints for each epoch a line a model, and the comparison with the
figures the project began with. A finished seed is not trained again.
"""

import functools
import pathlib

from bn_tb.training import data
from bn_tb.training.study import cell, command, curves, pictures

LOGDIR = command.logdir_flag("logs/study_early_training")
SEEDS = command.count("seeds", "Trainings, each from another seed.", full=5, quick=1)
EPOCHS = command.count("epochs", "Epochs.", full=10, quick=6)
STEPS_PER_EPOCH = command.count("steps_per_epoch", "Steps of an epoch.", full=50, quick=50)
BATCH_SIZE = command.count("batch_size", "Images of a step.", full=100, quick=50)

MODELS = {"ReLU": None, "ReLU_BN": 0.99}  # momentum; 0.99 is tf.layers' default
# Of the experiment that began the project: accuracy in % after each epoch of 50 steps of 100.
REFERENCE_SCHEDULE = {"steps_per_epoch": 50, "batch_size": 100}
REFERENCE = {
    ("ReLU", "test"): (89.53, 93.40, 96.03, 96.43, 97.36, 95.96, 97.92, 97.70, 97.97, 98.29),
    ("ReLU_BN", "train"): (83.16, 95.96, 97.38, 97.26, 97.70, 98.04, 97.92, 97.92, 98.34, 98.08),
    ("ReLU_BN", "test"): (11.35, 11.35, 11.35, 11.35, 12.03, 23.43, 54.03, 64.23, 89.34, 97.73),
}


def main() -> None:
    """Runs the cells that are not finished, then tabulates and draws all."""
    logdir = pathlib.Path(LOGDIR.value)
    mnist = command.read_data()
    schedule = {
        "epochs": EPOCHS.value,
        "steps_per_epoch": STEPS_PER_EPOCH.value,
        "batch_size": BATCH_SIZE.value,
    }
    folders = []
    for seed in range(1, SEEDS.value + 1):
        settings = {"seed": seed, **schedule, "training_images": len(mnist.train)}
        folders.append(logdir / f"seed_{seed}")
        cell.complete(folders[-1], settings, functools.partial(train, folders[-1], settings, mnist))
    rows = cell.gather_tables(folders, cell.RESULTS, logdir)
    comparable = schedule.items() >= REFERENCE_SCHEDULE.items()
    reference = REFERENCE if comparable else {}
    print_comparison(rows, reference)
    draw(rows, reference, command.pictures_folder(logdir) / "early_training.png")


def train(
    folder: pathlib.Path, settings: dict[str, int], mnist: data.Mnist
) -> dict[str, list[cell.Row]]:
    """Trains both models from one seed."""
    from bn_tb.training import model, side_by_side
    from bn_tb.training.study import epochs

    contestants = [
        side_by_side.Contestant(
            name, functools.partial(model.conv_net, recipe=model.Recipe(momentum=momentum))
        )
        for name, momentum in MODELS.items()
    ]
    return {cell.RESULTS: list(epochs.train(folder, contestants, settings, mnist))}


def print_comparison(rows: curves.Table, reference: dict[tuple[str, str], tuple]) -> None:
    """Prints mean and range over the seeds beside the reference figures, as Markdown."""
    heads = ["step"]
    columns = []
    for name in MODELS:
        for part in ("train", "test"):
            steps, values = curves.curve(curves.select(rows, model=name), f"{part}_accuracy")
            heads.append(f"{name} {part} (%)")
            columns.append([curves.mean_and_range(100 * v, ".2f") for v in values.T])
            if (name, part) in reference:
                heads.append("reference")
                columns.append([f"{known:.2f}" for known in reference[name, part]])
    curves.print_table(heads, zip([f"{step:.0f}" for step in steps], *columns, strict=False))


def draw(rows: curves.Table, reference: dict[tuple[str, str], tuple], path: pathlib.Path) -> None:
    """Draws test accuracy with the reference, and training loss, against the step."""
    with pictures.figure(path, columns=2) as (accuracy, loss):
        for name, colour in zip(MODELS, pictures.COLOURS, strict=False):
            mine = curves.select(rows, model=name)
            steps, values = curves.curve(mine, "test_accuracy")
            pictures.band(accuracy, steps, 100 * values, colour, name)
            known = reference.get((name, "test"), ())[: len(steps)]
            if known:
                accuracy.plot(
                    steps[: len(known)], known, ":", color=colour, label=f"{name}, reference"
                )
            pictures.band(loss, *curves.curve(mine, "train_loss"), colour, name)
        accuracy.set(xlabel="training step", ylabel="test accuracy (%)", ylim=(0, 101))
        loss.set(xlabel="training step", ylabel="training loss (nats), mean of an epoch")
        loss.set_yscale("log")
        pictures.plain_numbers(loss.yaxis, [0.05, 0.1, 0.2, 0.5, 1, 2])
        accuracy.legend()
        loss.legend()


if __name__ == "__main__":
    command.run(main)
