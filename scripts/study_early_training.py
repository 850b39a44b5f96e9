"""Study: why does batch norm not work very early in training?

    python scripts/study_early_training.py --data_dir=FOLDER

Trains ReLU and ReLU_BN (momentum 0.99) side by side on the same batches and evaluates both after
every 50 steps. Writes under `--logdir` a folder of event files for each seed, results.csv, and the
picture early_training.png; prints for each epoch a line a model, and the comparison with the
figures the project began with.
"""

import functools
import pathlib
from collections.abc import Iterator

import numpy as np

from bn_tb.training.study import cell, command, pictures

LOGDIR = command.logdir_flag("logs/study_early_training")
SEEDS = command.count("seeds", "Trainings, each from another seed.", full=5, quick=1)
EPOCHS = command.count("epochs", "Epochs.", full=10, quick=8)
STEPS_PER_EPOCH = command.count("steps_per_epoch", "Steps of an epoch.", full=50, quick=50)
BATCH_SIZE = command.count("batch_size", "Images of a step.", full=100, quick=50)

MOMENTUM = 0.99  # of ReLU_BN; tf.layers' default
MODELS = {"ReLU": None, "ReLU_BN": MOMENTUM}
# Of the experiment that began the project: accuracy in % after each epoch of 50 steps of 100.
REFERENCE = {
    ("ReLU", "test"): (89.53, 93.40, 96.03, 96.43, 97.36, 95.96, 97.92, 97.70, 97.97, 98.29),
    ("ReLU_BN", "train"): (83.16, 95.96, 97.38, 97.26, 97.70, 98.04, 97.92, 97.92, 98.34, 98.08),
    ("ReLU_BN", "test"): (11.35, 11.35, 11.35, 11.35, 12.03, 23.43, 54.03, 64.23, 89.34, 97.73),
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
        if not cell.is_finished(folders[-1], settings):
            cell.start(folders[-1], settings)
            rows = list(train(folders[-1], settings, mnist))
            cell.write_table(folders[-1] / cell.RESULTS, rows)
    rows = cell.gather_tables(folders, cell.RESULTS, logdir)
    print_comparison(rows)
    draw(rows, command.pictures_folder(logdir) / "early_training.png")


def train(folder: pathlib.Path, settings: dict[str, int], mnist) -> Iterator[cell.Row]:
    """Trains both models from one seed; yields a row of the table a model and epoch."""
    from bn_tb.training import loop, model, side_by_side

    contestants = [
        side_by_side.Contestant(
            name, functools.partial(model.conv_net, recipe=model.Recipe(momentum=momentum))
        )
        for name, momentum in MODELS.items()
    ]
    epochs, steps = settings["epochs"], settings["steps_per_epoch"]
    schedule = loop.Schedule(epochs, steps, settings["batch_size"], 1, settings["seed"])
    results = side_by_side.train(contestants, folder, mnist, schedule)
    for epoch, scores in command.epochs(f"seed {settings['seed']}", results, epochs * steps):
        for name, score in zip(MODELS, scores, strict=True):
            print(f"{name:8}{command.epoch_line(epoch, epochs, score)}", flush=True)
            yield {
                "seed": settings["seed"],
                "model": name,
                "epoch": epoch,
                "step": epoch * steps,
                "train_accuracy": score.train.accuracy,
                "train_loss": score.train.loss,
                "test_accuracy": score.test.accuracy,
                "test_loss": score.test.loss,
            }


def curve(rows: list[dict[str, str]], name: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps, int `[E]`, and the values of all seeds, float `[S, E]`."""
    mine = [row for row in rows if row["model"] == name]
    seeds = sorted({int(row["seed"]) for row in mine})
    values = [[float(row[column]) for row in mine if int(row["seed"]) == seed] for seed in seeds]
    steps = [int(row["step"]) for row in mine if int(row["seed"]) == seeds[0]]
    return np.array(steps), np.array(values)


def print_comparison(rows: list[dict[str, str]]) -> None:
    """Prints mean and range over the seeds beside the reference figures, as Markdown."""
    columns = [(name, part) for name in MODELS for part in ("train", "test")]
    print("\n| step | " + " | ".join(f"{n} {p} | reference" for n, p in columns) + " |")
    print("|---" * (1 + 2 * len(columns)) + "|")
    ours = {key: curve(rows, key[0], f"{key[1]}_accuracy") for key in columns}
    for index, step in enumerate(ours["ReLU", "test"][0]):
        cells = [str(step)]
        for key in columns:
            values = 100 * ours[key][1][:, index]
            cells.append(f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})")
            known = REFERENCE.get(key, ())
            cells.append(f"{known[index]:.2f}" if index < len(known) else "")
        print("| " + " | ".join(cells) + " |")


def draw(rows: list[dict[str, str]], path: pathlib.Path) -> None:
    """Draws test accuracy with the reference, and training loss, against the step."""
    with pictures.figure(path, columns=2) as (accuracy, loss):
        for name, colour in zip(MODELS, pictures.COLOURS, strict=False):
            steps, values = curve(rows, name, "test_accuracy")
            pictures.band(accuracy, steps, 100 * values, colour, f"{name}, {len(values)} seeds")
            known = REFERENCE[name, "test"][: len(steps)]
            accuracy.plot(
                steps[: len(known)], known, "--", color=colour, label=f"{name}, reference"
            )
            pictures.band(loss, *curve(rows, name, "train_loss"), colour, name)
        accuracy.set(xlabel="training step", ylabel="test accuracy (%)", ylim=(0, 100))
        loss.set(xlabel="training step", ylabel="training loss, mean of 50 steps (nats)")
        loss.set_yscale("log")
        accuracy.legend()
        loss.legend()


if __name__ == "__main__":
    command.run(main)
