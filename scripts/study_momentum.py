"""Study: is the momentum of the moving averages the culprit?

    python scripts/study_momentum.py --data_dir=FOLDER

Trains one ReLU_BN net and keeps moving averages of its batch statistics with several momenta at
once, with and without their initial value, and re-estimates the statistics from training images.
At chosen steps the same weights are evaluated with each. Also evaluates mixtures of initial and
re-estimated statistics, which says how much of the initial value the net can bear. Writes under
`--logdir` a folder of event files for each batch size and seed, results.csv, mixtures.csv and the
pictures momentum_*.png; prints the tables of docs/studies.md.
"""

import functools
import pathlib

import numpy as np

from bn_tb.training import data
from bn_tb.training.study import cell, command

LOGDIR = command.logdir_flag("logs/study_momentum")
SEEDS = command.count("seeds", "Trainings of a batch size, each from another seed.", 2, 1)
STEPS = command.count("steps", "Training steps.", full=4000, quick=300)
BATCH_SIZES = command.counts("batch_sizes", "Images of a step.", full="100,10", quick="25")

MOMENTA = (0.9, 0.99, 0.999)
DEBIASED = (0.99, 0.999)
EARLY_STEPS = (20, 35, 50, 100, 150, 200, 250, 300, 350, 400, 500, 700, 1000, 2000)
LATE_EVALUATIONS = 6  # over the last quarter of the training
MIXED_STEPS = (500,)  # and the last one
INITIAL_WEIGHTS = (1.0, 0.9, 0.7, 0.5, 0.37, 0.2, 0.1, 0.05, 0.02, 0.0)
MIXTURES = "mixtures.csv"


def main() -> None:
    """Runs the cells that are not finished, then tabulates and draws all."""
    logdir = pathlib.Path(LOGDIR.value)
    mnist = command.read_data()
    folders = []
    for seed in range(1, SEEDS.value + 1):
        for batch_size in map(int, BATCH_SIZES.value):
            settings = {
                "batch_size": batch_size,
                "seed": seed,
                "steps": STEPS.value,
                "training_images": len(mnist.train),
            }
            folders.append(logdir / f"batch_{batch_size}_seed_{seed}")
            cell.complete(
                folders[-1], settings, functools.partial(train, folders[-1], settings, mnist)
            )
    mixtures = cell.gather_tables(folders, MIXTURES, logdir)
    rows = cell.gather_tables(folders, cell.RESULTS, logdir)
    report(rows, mixtures, command.pictures_folder(logdir))


def train(
    folder: pathlib.Path, settings: dict[str, int], mnist: data.Mnist
) -> dict[str, list[cell.Row]]:
    """Trains one net."""
    from bn_tb.training.study import momenta

    steps = settings["steps"]
    plan = momenta.Plan(
        settings["seed"],
        settings["batch_size"],
        steps,
        MOMENTA,
        DEBIASED,
        evaluated=evaluation_steps(steps),
        mixed=(*MIXED_STEPS, steps),
        initial_weights=INITIAL_WEIGHTS,
    )
    what = f"batch size {plan.batch_size}, seed {plan.seed}"
    with command.progress(what, steps) as advance:
        rows, mixtures = momenta.train(plan, folder, mnist, advance)
    print(f"{what}: trained for {steps} steps", flush=True)
    known = {"batch_size": plan.batch_size, "seed": plan.seed}
    return {
        MIXTURES: [{**known, **row} for row in mixtures],
        cell.RESULTS: [{**known, **row} for row in rows],
    }


def evaluation_steps(total: int) -> tuple[int, ...]:
    """Returns the steps after which the net is evaluated: dense early, and dense at the end."""
    late = np.linspace(0.75 * total, total, LATE_EVALUATIONS).astype(int).tolist()
    return tuple([step for step in EARLY_STEPS if step < late[0]] + late)


def report(rows: list[dict[str, str]], mixtures: list[dict[str, str]], pictures_in: pathlib.Path):
    """Prints the tables and draws the pictures."""


if __name__ == "__main__":
    command.run(main)
