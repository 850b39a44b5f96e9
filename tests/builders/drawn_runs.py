"""Moving statistics drawn at random, with known truth, as the values that the rules judge.

Shapes: U updates, T logged points, L layers, C channels of each. The model: every channel has a
true mean and variance that drift slowly as the weights before it do; a batch of B values sees
them with the noise of B values; the statistics average the batches. Settings are drawn wide:

| what | drawn from |
|---|---|
| layers, channels | 1 to 5, 4 to 32 |
| true means, variances | normal times 10**(-1..1.5), log-normal times 10**(-1..2) |
| values a batch and channel | 64 to 8192, log-uniform (a picture gives many) |
| drift over the run | up to 30 % of the spread and of the variance |
| logged every | 1 to 10 updates, by the updates that there are; 4 to 80 points |
| tags | the writers and frameworks of `STYLES` |
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from bn_tb.runs.run import Run, Session
from bn_tb.runs.series import BAND_LEVELS, HistogramSeries, ScalarSeries

STYLES: tuple[tuple[str, str, str], ...] = (
    ("{}/moving_mean", "{}/moving_variance", "{}/gamma"),
    ("{}/BatchNorm/moving_mean_1", "{}/BatchNorm/moving_variance_1", "{}/BatchNorm/gamma_1"),
    ("ModelVars/{}/moving_mean", "ModelVars/{}/moving_variance", "ModelVars/{}/gamma"),
    ("{}/moving_mean_0/histogram", "{}/moving_variance_0/histogram", "{}/gamma_0/histogram"),
    ("{}.running_mean", "{}.running_var", "{}.weight"),
    ("{}/running_mean", "{}/running_var", "{}/weight"),
    ("batch_stats/{}/mean", "batch_stats/{}/var", "params/{}/scale"),
    ("{}/mean/EMA", "{}/variance/EMA", "{}/gamma"),
    ("{}/~/mean_ema/average", "{}/~/var_ema/average", "{}/scale"),
)
"""Tags of mean, variance and weight, as frameworks and people write them."""

_LAYERS = (
    ("net/conv{}/bn", "block{}/batch_normalization", "resnet/stage{}/norm", "BatchNorm_{}"),
    ("layer{}.0.bn1", "backbone.norm{}", "features.{}.bn", "module.encoder.bn{}"),
)


@dataclasses.dataclass
class Case:
    """A run under construction.

    Attributes:
      random: Where everything is drawn from.
      momentum: Weight of the old value per update.
      updates: Updates since the initial values, U.
      every: Updates between two logged points.
      names: Layer names, L of them.
      statistics: Mean and variance by layer after each update, each float64 `[U + 1, C]`; row 0
        holds the initial values.
      weights: A weight by layer, float64 `[U + 1, C]`.
      style: Index into `STYLES`.
      exact: Whether the writer keeps exact moments (TF1, PyTorch) or 30 buckets (TF2).
      first: Whether the initial values are logged, at step 0.
      sessions: Steps at which a writer started.
      shift: What the log calls the step of update 0; -1 where a first step 0 has one update behind
        it, much more where an earlier training counted on.
    """

    random: np.random.Generator
    momentum: float
    updates: int
    every: int
    names: list[str]
    statistics: dict[str, tuple[np.ndarray, np.ndarray]]
    weights: dict[str, np.ndarray]
    style: int
    exact: bool
    first: bool
    sessions: tuple[int, ...] = (0,)
    shift: int = 0

    @property
    def started(self) -> bool:
        """Whether the statistics began at their initial values, and the log shows it."""
        return self.first and all((mean[0] == 0).all() for mean, _ in self.statistics.values())

    @property
    def share(self) -> float:
        """What is left of the initial 1 in what evaluation divides by, in the worst layer."""
        left = self.momentum**self.updates
        medians = [float(np.median(variance[-1])) for _, variance in self.statistics.values()]
        return max(left, left / min(medians))

    def run(self) -> Run:
        """Returns the run as the reader would."""
        steps = np.arange(0 if self.first else self.every, self.updates + 1, self.every)
        histograms = {}
        for name in self.names:
            values = (*self.statistics[name], self.weights[name])
            for pattern, value in zip(STYLES[self.style], values, strict=True):
                histograms[pattern.format(name)] = histogram_series(
                    steps + self.shift, value[steps], self.exact
                )
        shown = steps + self.shift
        loss = ScalarSeries(shown, steps * 1.0, 2.0 / (1 + steps / 50) + self.random.random(1))
        return Run(
            name=".",
            logdir="logs",
            scalars={"loss": loss},
            histograms=histograms,
            sessions=tuple(
                Session("events", float(step), step + self.shift) for step in self.sessions
            ),
            first_step=int(shown[0]),
            last_step=int(shown[-1]),
            all_tags=(*histograms, "loss"),
        )

    def change(self, change: Callable[[np.ndarray, np.ndarray], None], some: bool = False) -> None:
        """Changes (mean, variance) `[U + 1, C]` of all layers, or of at least one, in place."""
        chosen = self.names
        if some:
            chosen = list(self.random.permutation(self.names))
            chosen = chosen[: int(self.random.integers(1, len(chosen) + 1))]
        for name in chosen:
            change(*self.statistics[name])


def case(
    seed: int,
    *,
    left: tuple[float, float] = (1e-12, 0.01),
    momentum: tuple[float, float] = (0.5, 0.998),
    points: tuple[int, int] = (4, 80),
    every: int | None = None,
    batch: tuple[int, int] = (64, 8192),
    initial: bool = True,
    standardised: bool = False,
) -> Case:
    """Returns a healthy case.

    Args:
      seed: Seed of everything that is drawn.
      left: Range of the share of the initial value at the end, momentum ** updates.
      momentum: Range of momentum, drawn evenly in log(1 - momentum).
      points: Range of the number of logged points.
      every: Updates between two points; drawn to fit where None.
      batch: Range of the number of values a batch has per channel.
      initial: Whether the statistics begin at 0 and 1, or at those of a pretrained network.
      standardised: Whether the true means and variances are 0 and 1, without drift.
    """
    random = np.random.default_rng(seed)
    low, high = np.log(1 - momentum[1]), np.log(1 - momentum[0])
    decay = 1 - float(np.exp(random.uniform(low, high)))
    share = float(np.exp(random.uniform(*np.log(left))))
    wanted = int(np.clip(np.ceil(np.log(share) / np.log(decay)), 4, 2000))
    count = int(random.integers(points[0], points[1] + 1))
    every = every or max(1, round(wanted / count))
    updates = -(-max(wanted, every * points[0]) // every) * every
    style = int(random.integers(len(STYLES)))
    names = _names(random, style)
    built = Case(
        random=random,
        momentum=decay,
        updates=updates,
        every=every,
        names=names,
        statistics={},
        weights={},
        style=style,
        exact=bool(random.random() < 0.6),
        first=bool(random.random() < 0.5),
    )
    size = float(np.exp(random.uniform(*np.log(batch))))
    widths = random.integers(4, 33, len(names))
    ends = np.cumsum(widths)
    truth = _truth(random, updates, widths)
    if standardised:
        truth = np.zeros_like(truth[0]), np.ones_like(truth[1])
    means, variances = _averages(random, decay, size, truth, initial)
    for name, end, width in zip(names, ends, widths, strict=True):
        part = slice(end - width, end)
        built.statistics[name] = means[:, part].copy(), variances[:, part].copy()
        built.weights[name] = 1 + np.cumsum(random.normal(0, 0.01, (updates + 1, 4)), axis=0)
    return built


def _names(random: np.random.Generator, style: int) -> list[str]:
    patterns = _LAYERS[1 if ".running" in STYLES[style][0] else 0]
    pattern = patterns[int(random.integers(len(patterns)))]
    return [pattern.format(number) for number in range(int(random.integers(1, 6)))]


def _truth(
    random: np.random.Generator, updates: int, widths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns true means and variances `[U, C]` of the channels of all layers side by side."""
    channels = int(widths.sum())
    layer = np.repeat(np.arange(len(widths)), widths)
    progress = np.linspace(0, 1, updates)[:, None]
    variance = 10 ** random.uniform(-1, 2, len(widths))[layer]
    variance = variance * np.exp(random.normal(0, 0.5, channels))
    mean = 10 ** random.uniform(-1, 1.5, len(widths))[layer] * random.normal(0, 1, channels)
    mean = mean + 0.3 * random.uniform(-1, 1, channels) * np.sqrt(variance) * progress
    return mean, variance * (1 + 0.3 * random.uniform(-1, 1, channels) * progress)


def _averages(
    random: np.random.Generator,
    decay: float,
    size: float,
    truth: tuple[np.ndarray, np.ndarray],
    initial: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns moving means and variances `[U + 1, C]` of batches that see the truth `[U, C]`."""
    mean, variance = truth
    updates, channels = mean.shape
    noise = random.standard_normal((2, updates, channels))
    seen = mean + np.sqrt(variance / size) * noise[0]
    # Of 64 values and more the chi-squared distribution is close to this normal one.
    spread = variance * np.maximum(1 + np.sqrt(2 / (size - 1)) * noise[1], 0.01)
    start = np.concatenate([np.zeros(channels), np.ones(channels)])
    if not initial:
        start = np.concatenate([mean[0], variance[0]])
    averages = _average(start, np.concatenate([seen, spread], axis=1), decay)
    return averages[:, :channels], averages[:, channels:]


def _average(start: np.ndarray, batches: np.ndarray, decay: float) -> np.ndarray:
    """Returns the moving average `[U + 1, C]` of batches `[U, C]`, as float32 rounds it."""
    averages = np.empty((len(batches) + 1, len(start)))
    averages[0] = start
    new = (1 - decay) * batches
    for at in range(len(batches)):
        np.multiply(averages[at], decay, out=averages[at + 1])
        averages[at + 1] += new[at]
    return averages.astype(np.float32).astype(float)


def histogram_series(steps: np.ndarray, values: np.ndarray, exact: bool = True) -> HistogramSeries:
    """Returns the series of values `[T, C]`, as read from HistogramProto or from 30 buckets."""
    with np.errstate(invalid="ignore"):
        low, high = values.min(1), values.max(1)
        shown = values if exact else _bucket_middles(values, low, high)
        bands = np.quantile(shown, BAND_LEVELS, axis=1).T
        lost = ~np.isfinite(values).all(1) & (not exact)
    return HistogramSeries(
        steps=np.asarray(steps, np.int64),
        wall_times=np.asarray(steps, float),
        minimum=np.where(lost, np.nan, low),
        maximum=np.where(lost, np.nan, high),
        count=np.where(lost, 0.0, values.shape[1]),
        total=np.where(lost, np.nan, shown.sum(1)),
        sum_squares=np.where(lost, np.nan, (shown * shown).sum(1)),
        bands=bands.astype(np.float32),
        identity=np.array([hash(row.tobytes()) for row in values], np.int64).view(np.uint64),
        exact_moments=exact,
    )


def _bucket_middles(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Returns each value moved to the middle of its bucket, 30 equal ones a point."""
    width = ((high - low) / 30)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bucket = np.clip(np.floor((values - low[:, None]) / width), 0, 29)
        middles = low[:, None] + (bucket + 0.5) * width
    return np.where(width > 0, middles, values)
