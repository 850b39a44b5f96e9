"""Rules over layers: findings, causes before consequences, and one verdict per run and layer."""

import dataclasses
import fnmatch
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from bn_tb import graph, trajectory
from bn_tb.events.experiment import by_experiment
from bn_tb.evidence import metrics
from bn_tb.evidence.activity import activity_of
from bn_tb.evidence.clock import clock_of
from bn_tb.evidence.lag import Lag, lags_of
from bn_tb.folding import Folded, fold
from bn_tb.layers import BatchNormLayer, Motion, find_layers
from bn_tb.rules import ALL_RULES
from bn_tb.rules._rule import Confidence, Severity, Subject
from bn_tb.run import Run
from bn_tb.tags import TagPatterns

VERDICTS = (
    "broken",
    "stale",
    "lagging",
    "suspect",
    "frozen",
    "healthy",
    "insufficient",
    "not-logged",
    "no-batch-norm",
    "unreadable",
)
"""Verdicts of a run or a layer, worst first."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A fault of one run as reports show it (design: one entry of `findings` in the JSON report).

    Attributes:
      code: Rule code.
      name: Rule name.
      severity: How much it matters.
      confidence: How well it is proved.
      layers: Names of the layers concerned.
      step: The step it speaks of, or None.
      message: The cause, then the numbers.
      evidence: Lines of proof.
      fix: What to change.
      causes: Codes of the causes that were folded into this finding.
      fingerprint: 16 hex digits, equal for the same fault of the same run and layers in later logs.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    layers: tuple[str, ...]
    step: int | None
    message: str
    evidence: tuple[str, ...]
    fix: str
    causes: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True)
class LayerDiagnosis:
    """The verdict on one layer.

    Attributes:
      layer: Layer name.
      verdict: One of `VERDICTS`.
      points: Number of points of the statistic with more points.
      first_step: First step logged, or None.
      last_step: Last step logged, or None.
      last_change_step: Last step at which a statistic differed from the point before, or None.
      momentum: Weight of the old value per update, or None.
      momentum_source: `graph`, `keras_config`, `flag`, `measured`, or None.
      initial_weight: Share of the initial value that is left at the last step in [0, 1], or None.
      trusted_from: First step whose initial weight is at most 5 %, or None.
    """

    layer: str
    verdict: str
    points: int
    first_step: int | None
    last_step: int | None
    last_change_step: int | None
    momentum: float | None
    momentum_source: str | None
    initial_weight: float | None
    trusted_from: int | None = None


@dataclasses.dataclass(frozen=True)
class RunDiagnosis:
    """The verdict on one run; `subject` holds the series and the graph for charts.

    Attributes:
      subject: What was judged.
      verdict: One of `VERDICTS`.
      layers: One entry per layer of `subject.layers`, in the same order.
      findings: Errors first, then by code.
    """

    subject: Subject
    verdict: str
    layers: tuple[LayerDiagnosis, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may say about the logs.

    Attributes:
      select: Codes or prefixes to report; empty for all.
      ignore: Codes or prefixes not to report.
      momentum: Weight of the old value per update where logs do not say it.
      updates_per_step: Updates of the statistics per logged step where logs do not say it.
      frozen: Shell patterns of layers that are frozen on purpose.
      limits: Overrides of rule limits, `{"BN201": {"lagging": 0.1}}`.
      patterns: Names of statistics taught by the user, those that the logdir was read with.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    momentum: float | None = None
    updates_per_step: float | None = None
    frozen: tuple[str, ...] = ()
    limits: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    patterns: TagPatterns = TagPatterns()


def diagnose(runs: Iterable[Run], options: Options = Options()) -> tuple[RunDiagnosis, ...]:
    """Returns the diagnosis of each run, in the order of `runs`.

    Args:
      runs: Runs in the order of `read_logdir`, which keeps those of one experiment together.
      options: What the user says about the logs.
    """
    diagnoses: list[RunDiagnosis] = []
    # Hostile numbers overflow; rules compare, and no comparison with NaN or infinity is a finding.
    with np.errstate(all="ignore"):
        for experiment in by_experiment(runs):
            explained = False
            for subject in subjects_of(experiment, options):
                diagnosis = _diagnosis(subject, options, frozenset(["BN501"] if explained else []))
                explained |= "BN501" in diagnosis.subject.found
                diagnoses.append(diagnosis)
    return tuple(diagnoses)


def subjects_of(experiment: Iterable[Run], options: Options = Options()) -> tuple[Subject, ...]:
    """Returns what rules judge: the runs of one experiment, each with the others beside it."""
    experiment = tuple(experiment)
    subjects = [_subject(run, experiment, options) for run in experiment]
    return tuple(
        dataclasses.replace(
            subject, related=tuple(other for other in subjects if other is not subject)
        )
        for subject in subjects
    )


def _subject(run: Run, experiment: tuple[Run, ...], options: Options) -> Subject:
    evidence = graph.read(run.graphs) if run.graphs else None
    layers = tuple(
        layer
        if layer.momentum is not None or options.momentum is None
        else dataclasses.replace(layer, momentum=options.momentum, momentum_source="flag")
        for layer in find_layers(run, evidence, options.patterns)
    )
    others = [other for other in experiment if other is not run]
    clock = clock_of(run, others, options.updates_per_step)
    measured = metrics.metrics_of(run)
    return Subject(
        run=run,
        layers=layers,
        graph=evidence,
        clock=clock,
        lags=lags_of(layers, clock),
        activity=activity_of(run, measured),
        metrics=measured,
    )


def _diagnosis(subject: Subject, options: Options, said: frozenset[str]) -> RunDiagnosis:
    """Returns the diagnosis of one run; codes in `said` are told once an experiment, and were."""
    for rule in ALL_RULES:
        if rule.code in said:
            continue
        limits = {name: limit.value for name, limit in rule.limits.items()}
        limits.update(options.limits.get(rule.code, {}))
        judged = _without_frozen(subject, options) if rule.code < "BN3" else subject
        found = tuple(rule.check(judged, limits))
        if found:
            subject = dataclasses.replace(subject, found={**subject.found, rule.code: found})
    findings = [_finding(subject.run, folded) for folded in fold(subject.found)]
    findings.sort(key=lambda finding: (-finding.severity, finding.code, finding.layers))
    layers = _layer_diagnoses(subject, findings, options)
    return RunDiagnosis(
        subject=subject,
        verdict=_run_verdict(subject, layers, findings),
        layers=layers,
        findings=tuple(finding for finding in findings if _reported(finding.code, options)),
    )


def _frozen(layer: BatchNormLayer, options: Options) -> bool:
    return any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in options.frozen)


def _without_frozen(subject: Subject, options: Options) -> Subject:
    """Returns a subject without the layers that the user froze on purpose."""
    if not options.frozen:
        return subject
    kept = [
        (layer, lag)
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
        if not _frozen(layer, options)
    ]
    return dataclasses.replace(
        subject,
        layers=tuple(layer for layer, _ in kept),
        lags=tuple(lag for _, lag in kept),
    )


def _reported(code: str, options: Options) -> bool:
    selected = not options.select or code.startswith(options.select)
    return selected and not (options.ignore and code.startswith(options.ignore))


_RULES = {rule.code: rule for rule in ALL_RULES}
_LONGEST_LINE = 800


def _finding(run: Run, folded: Folded) -> Finding:
    rule, evidence = _RULES[folded.code], folded.evidence
    identity = "\n".join((run.name, rule.code, *sorted(evidence.layers)))
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity if evidence.severity is None else evidence.severity,
        confidence=evidence.confidence,
        layers=evidence.layers,
        step=evidence.step,
        message=_bounded(evidence.message),
        evidence=tuple(map(_bounded, evidence.proof)),
        fix=evidence.fix,
        causes=folded.causes,
        fingerprint=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
    )


def _bounded(line: str) -> str:
    """Returns a line of bounded length; layers and tags are named by files of unknown origin."""
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}..."


def _layer_diagnoses(
    subject: Subject, findings: Sequence[Finding], options: Options
) -> tuple[LayerDiagnosis, ...]:
    verdicts: dict[str, list[str]] = {}
    for finding in findings:
        meaning = _meaning(finding)
        for name in finding.layers if meaning else ():
            verdicts.setdefault(name, []).append(meaning)
    return tuple(
        _layer_diagnosis(
            layer,
            lag,
            min(verdicts.get(layer.name, [_silent(layer, options)]), key=VERDICTS.index),
        )
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
    )


def _silent(layer: BatchNormLayer, options: Options) -> str:
    """Returns the verdict on a layer of which no finding speaks."""
    if layer.motion is Motion.INITIAL and _frozen(layer, options):
        return "frozen"
    return _SILENT[layer.motion]


def _layer_diagnosis(layer: BatchNormLayer, lag: Lag, verdict: str) -> LayerDiagnosis:
    first, last = layer.steps or (None, None)
    changes = [trajectory.last_change(series) for _, series in layer.statistics]
    return LayerDiagnosis(
        layer=layer.name,
        verdict=verdict,
        points=max((series.steps.size for _, series in layer.statistics), default=0),
        first_step=first,
        last_step=last,
        last_change_step=max((step for step in changes if step is not None), default=None),
        momentum=lag.momentum,
        momentum_source=lag.momentum_source,
        initial_weight=lag.weight,
        trusted_from=lag.trusted_from,
    )


_SILENT = {
    Motion.NOT_LOGGED: "not-logged",
    Motion.SNAPSHOT: "insufficient",
    Motion.INITIAL: "insufficient",
    Motion.CONSTANT: "frozen",
    Motion.HALF: "suspect",
    Motion.MOVING: "healthy",
}
"""Verdict on a layer of which no finding speaks; initial values that no rule calls stale belong to
a run that does not train."""

_STALE = ("BN101", "BN103", "BN104", "BN105", "BN106", "BN107")
_STALE_IF_LIKELY = ("BN401", "BN402", "BN403", "BN404")


def _meaning(finding: Finding) -> str:
    """Returns what a finding makes of its layers, or an empty string for mere information."""
    if finding.code.startswith("BN3"):
        return "broken"
    if finding.code in _STALE:
        return "stale"
    if finding.code == "BN102":
        return "frozen"
    if finding.severity <= Severity.INFO:
        return ""
    if finding.code in _STALE_IF_LIKELY and finding.confidence >= Confidence.LIKELY:
        return "stale"
    return "lagging" if finding.code == "BN201" else "suspect"


def _run_verdict(
    subject: Subject, layers: Sequence[LayerDiagnosis], findings: Iterable[Finding]
) -> str:
    verdicts = {layer.verdict for layer in layers}
    verdicts.update(_meaning(finding) for finding in findings if not finding.layers)
    verdicts.discard("")
    if not _anything_read(subject.run):
        return "unreadable"
    return min(verdicts, key=VERDICTS.index, default="no-batch-norm")


def _anything_read(run: Run) -> bool:
    """Returns whether a run holds events, or only files that are fine and empty of them."""
    if run.scalars or run.histograms or run.graphs or run.all_tags or run.sessions:
        return True
    return all(file.status == "ok" for file in run.files)
