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
import math
import pathlib

import numpy as np

from bn_tb.training import data
from bn_tb.training.study import cell, command, curves, pictures

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
TICKS = (20, 50, 100, 200, 500, 1000, 3000)
RECOVERED = 0.05  # of accuracy below what the re-estimated statistics give, at most
ESTIMATED = "re-estimated"
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
    print_defaults()
    print_recovery(rows)
    print_mixtures(mixtures)
    print_late(rows)
    folder = command.pictures_folder(logdir)
    draw_recovery(rows, folder / "momentum_recovery.png")
    draw_tolerance(mixtures, folder / "momentum_tolerance.png")


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


def print_defaults() -> None:
    """Prints which momentum people use without choosing it, and how long it remembers."""
    from bn_tb.training.tf1 import tf

    keras = tf.keras.layers.BatchNormalization().momentum
    defaults = {"PyTorch (its momentum 0.1)": 0.9, "Keras, tf.layers": keras, "slim": 0.999}
    heads = ["default of", "momentum", "5 % of the initial value left after step", "1 % after"]
    curves.print_table(
        heads,
        [
            [name, f"{momentum:g}", *(str(step_of(momentum, weight)) for weight in (0.05, 0.01))]
            for name, momentum in defaults.items()
        ],
    )


def step_of(momentum: float, initial_weight: float) -> int:
    """Returns the first step after which the initial value weighs at most `initial_weight`."""
    return math.ceil(math.log(initial_weight) / math.log(momentum))


def print_recovery(rows: curves.Table) -> None:
    """Prints from which step on each average was good enough, and what was left at that step."""
    heads = ["statistics", "batch size", "seed", "recovered at step", "initial weight then"]
    curves.print_table(
        heads,
        [
            [name, batch_size, seed, *recovery(curves.select(mine, seed=seed), name)]
            for batch_size, mine in curves.by(rows, "batch_size").items()
            for seed in curves.by(mine, "seed")
            for name in curves.by(rows, "statistics")
            if name != ESTIMATED
        ],
    )


def recovery(rows: curves.Table, name: str) -> tuple[str, str]:
    """Returns the first evaluated step from which the accuracy stays good, and the weight then."""
    best = {
        row["step"]: float(row["test_accuracy"])
        for row in curves.select(rows, statistics=ESTIMATED)
    }
    found = "not", ""
    for row in reversed(curves.select(rows, statistics=name)):
        if float(row["test_accuracy"]) < best[row["step"]] - RECOVERED:
            break
        found = row["step"], f"{float(row['initial_weight']):.2%}"
    return found


def print_mixtures(mixtures: curves.Table) -> None:
    """Prints the test accuracy with more and less of the initial statistics."""
    groups = [
        (f"step {step}, batch size {batch_size} (%)", curves.select(mine, step=step))
        for batch_size, mine in curves.by(mixtures, "batch_size").items()
        for step in curves.by(mine, "step")
    ]
    columns = []
    for _, mine in groups:
        weights, values = curves.curve(mine, "test_accuracy", "initial_weight")
        columns.append([curves.mean_and_range(100 * v, ".2f") for v in values.T])
    heads = ["initial weight", *(head for head, _ in groups)]
    curves.print_table(heads, zip([f"{w:.0%}" for w in weights], *columns, strict=True))


def print_late(rows: curves.Table) -> None:
    """Prints how the averages do over the last quarter of the training."""
    heads = [
        "batch size",
        "statistics",
        "test accuracy (%), mean",
        "standard deviation",
        "error of the means (standard deviations)",
        "error of the logarithms of the variances",
    ]
    curves.print_table(
        heads,
        [
            [batch_size, name, *late(curves.select(mine, statistics=name))]
            for batch_size, mine in curves.by(rows, "batch_size").items()
            for name in curves.by(rows, "statistics")
        ],
    )


def late(rows: curves.Table) -> list[str]:
    """Returns the columns of `print_late` for the averages of one name."""
    accuracy, mean, variance = (
        curves.curve(rows, column)[1][:, -LATE_EVALUATIONS:]
        for column in ("test_accuracy", "mean_error", "log_variance_error")
    )
    deviation = np.mean(np.std(100 * accuracy, axis=1, ddof=1))
    return [
        f"{100 * accuracy.mean():.2f}",
        f"{deviation:.2f}",
        f"{mean.mean():.3f}",
        f"{variance.mean():.3f}",
    ]


def draw_recovery(rows: curves.Table, path: pathlib.Path) -> None:
    """Draws test accuracy against the step, and the weight of the initial value beside it."""
    groups = curves.by(rows, "batch_size")
    with pictures.figure(path, columns=len(groups), sharey=True, squeeze=False) as axes:
        for axis, (batch_size, mine) in zip(axes[0], groups.items(), strict=True):
            steps, best = curves.curve(curves.select(mine, statistics=ESTIMATED), "test_accuracy")
            axis.plot(steps, 100 * best.mean(axis=0), color="black", label=ESTIMATED)
            for momentum, colour in zip(MOMENTA, pictures.COLOURS, strict=False):
                named = curves.select(mine, statistics=f"momentum {momentum:g}")
                steps, values = curves.curve(named, "test_accuracy")
                pictures.band(axis, steps, 100 * values, colour, f"momentum {momentum:g}")
                every = np.geomspace(steps[0], steps[-1], 200)
                axis.plot(every, 100 * momentum**every, "--", color=colour)
            axis.plot([], [], "--", color="grey", label="weight of the initial value")
            axis.set(xscale="log", xlabel="training step", title=f"batches of {batch_size}")
            pictures.plain_numbers(axis.xaxis, [t for t in TICKS if steps[0] <= t <= steps[-1]])
        axes[0][0].set(ylabel="test accuracy (%), or weight (%)", ylim=(0, 101))
        pictures.legend(axes[0][0])


def draw_tolerance(mixtures: curves.Table, path: pathlib.Path) -> None:
    """Draws test accuracy against the share of initial values in the statistics."""
    with pictures.figure(path, figsize=(8, 3.4)) as axes:  # the legend is beside it
        colours = iter(pictures.COLOURS)
        for batch_size, mine in curves.by(mixtures, "batch_size").items():
            for step, rows in curves.by(mine, "step").items():
                weights, values = curves.curve(rows, "test_accuracy", "initial_weight")
                label = f"step {step}, batches of {batch_size}"
                pictures.band(axes, 100 * weights, 100 * values, next(colours), label)
        axes.set(
            xlabel="weight of the initial mean 0 and variance 1 (%)",
            ylabel="test accuracy (%)",
            xlim=(0, 100),
            ylim=(0, 101),
        )
        axes.set_xscale("symlog", linthresh=2)  # logarithmic, and shows 0
        axes.set_xticks([0, 2, 5, 10, 20, 50, 100], ["0", "2", "5", "10", "20", "50", "100"])
        pictures.legend(axes)


if __name__ == "__main__":
    command.run(main)
