"""Rules over the layers of runs: the diagnosis of each."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator

import numpy as np

from bn_tb import graph
from bn_tb.diagnosis.finding import Finding, RunDiagnosis
from bn_tb.diagnosis.folding import Folded, fold
from bn_tb.diagnosis.options import Options
from bn_tb.diagnosis.quoting import in_its_unit, with_source
from bn_tb.diagnosis.remark import GAP, remark_of
from bn_tb.diagnosis.verdicts import layer_diagnoses, run_verdict
from bn_tb.errors import fault_in_words
from bn_tb.evidence import metrics
from bn_tb.evidence.activity import activity_of
from bn_tb.evidence.clock import clock_of
from bn_tb.evidence.copies import copies_beside, copies_of
from bn_tb.evidence.lag import Lag, lags_of
from bn_tb.evidence.modes import Modes
from bn_tb.layers import BatchNormLayer, find_layers
from bn_tb.rules import ALL_RULES, RULES
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Subject, beside_each_other
from bn_tb.rules.verdict import Verdict
from bn_tb.runs.experiment import by_experiment
from bn_tb.runs.run import Run

_LONGEST_LINE = 800


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
            diagnoses += _judged(experiment, options)
    return tuple(diagnoses)


def _judged(experiment: tuple[Run, ...], options: Options) -> list[RunDiagnosis]:
    """Returns the diagnoses of one experiment; a fault of ours costs the run that it is in."""
    try:
        return list(_diagnoses(experiment, options))
    except Exception as error:
        if len(experiment) > 1:
            return [one for run in experiment for one in _judged((run,), options)]
        verdict = Verdict.UNREADABLE.label
        return [RunDiagnosis(Subject(experiment[0]), verdict, problem=fault_in_words(error))]


def _diagnoses(experiment: tuple[Run, ...], options: Options) -> Iterator[RunDiagnosis]:
    rules = ALL_RULES
    for subject in subjects_of(experiment, options):
        diagnosis = _diagnosis(subject, options, rules)
        rules = tuple(rule for rule in rules if not _told(rule, diagnosis))
        yield diagnosis


IN_MEMORY = ("BN301", "BN302", "BN503")
"""Rules that judge a model in memory."""


def judge_modes(name: str, modes: Modes) -> RunDiagnosis:
    """Returns the diagnosis of a model in memory, as that of a run of this name."""
    layers = tuple(BatchNormLayer(one.name, momentum=one.momentum) for one in modes.layers)
    lags = tuple(Lag(weight=one.share, momentum=one.momentum) for one in modes.layers)
    subject = Subject(Run(name, name), layers, lags=lags, modes=modes)
    return _diagnosis(subject, Options(), [RULES[code] for code in IN_MEMORY])


def subjects_of(experiment: Iterable[Run], options: Options = Options()) -> tuple[Subject, ...]:
    """Returns what rules judge: the runs of one experiment, each with the others beside it."""
    experiment = tuple(experiment)
    beside = beside_each_other([_subject(run, experiment, options) for run in experiment])
    return tuple(map(_with_copies, beside))


def _with_copies(subject: Subject) -> Subject:
    """Returns a subject as a copy of one of those beside it, if it is one."""
    copies = dict(subject.copies)
    for other in subject.related:
        found = copies_beside(subject.run, subject.layers, other.run, other.layers)
        copies = {**found, **copies}
    if len(copies) == len(subject.copies):
        return subject
    lags = lags_of(subject.layers, subject.clock, copies)
    return dataclasses.replace(subject, copies=copies, lags=lags)


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
    copies = copies_of(layers, run.histograms)
    return Subject(
        run=_without_graphs(run),
        layers=layers,
        graph=evidence,
        clock=clock,
        copies=copies,
        lags=lags_of(layers, clock, copies),
        activity=activity_of(run, measured),
        metrics=measured,
    )


def _without_graphs(run: Run) -> Run:
    """Returns a run that names its graphs and no longer holds them: megabytes each, and read."""
    graphs = tuple(dataclasses.replace(source, data=b"") for source in run.graphs)
    return dataclasses.replace(run, graphs=graphs) if graphs else run


def _told(rule: Rule, diagnosis: RunDiagnosis) -> bool:
    """Returns whether a rule that speaks once an experiment has spoken."""
    return rule.once and bool(diagnosis.subject.found.of(rule.code))


def _diagnosis(subject: Subject, options: Options, rules: Iterable[Rule]) -> RunDiagnosis:
    """Returns the diagnosis of one run by some rules."""
    for rule in rules:
        limits = options.limits_of(rule)
        judged = _without_frozen(subject, options) if rule.about_updates else subject
        if evidence := tuple(rule.check(judged, limits)):
            found = subject.found.plus(rule.code, evidence)
            subject = dataclasses.replace(subject, found=found)
    findings = [_finding(subject, folded) for folded in fold(subject.found)]
    findings.sort(key=lambda finding: (-finding.severity, finding.code, finding.layers))
    layers = layer_diagnoses(subject, findings, options)
    verdict = run_verdict(subject, layers, findings)
    return RunDiagnosis(
        subject=subject,
        verdict=verdict,
        layers=layers,
        findings=tuple(finding for finding in findings if _wanted(finding, options)),
        remark=remark_of(subject, verdict, findings, options.limits_of(GAP)),
        wiring_judged=subject.graph is not None and bool(subject.graph.layers),
    )


def _wanted(finding: Finding, options: Options) -> bool:
    """Returns whether to report a finding; what only says what ignored ones cost goes with them."""
    told = RULES[finding.code].tells_cost and all(map(options.ignores, finding.causes))
    return options.reports(finding.code) and not told


def _without_frozen(subject: Subject, options: Options) -> Subject:
    """Returns a subject without the layers that the user froze on purpose."""
    if not options.frozen:
        return subject
    kept = [
        (layer, lag)
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
        if not options.freezes(layer)
    ]
    return dataclasses.replace(
        subject,
        layers=tuple(layer for layer, _ in kept),
        lags=tuple(lag for _, lag in kept),
    )


def _finding(subject: Subject, folded: Folded) -> Finding:
    rule, evidence, run = RULES[folded.code], folded.evidence, subject.run
    identity = "\n".join((run.name, rule.code, *sorted(evidence.layers)))
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=rule.severity if evidence.severity is None else evidence.severity,
        confidence=evidence.confidence,
        layers=evidence.layers,
        step=evidence.step,
        message=_bounded(in_its_unit(evidence.message, subject.clock)),
        evidence=tuple(
            _bounded(in_its_unit(line, subject.clock))
            for line in with_source(run, subject.layers, evidence)
        ),
        fix=evidence.fix,
        causes=folded.causes,
        fingerprint=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        over=evidence.over,
    )


def _bounded(line: str) -> str:
    """Returns a line of bounded length; layers and tags are named by files of unknown origin."""
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 3]}..."
