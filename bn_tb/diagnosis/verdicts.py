"""Findings to one verdict per layer and run: the worst that any of them means."""

from collections.abc import Iterable, Sequence

from bn_tb.diagnosis.finding import Finding, LayerDiagnosis
from bn_tb.diagnosis.options import Options
from bn_tb.evidence.lag import Lag, is_warm, may_be_young
from bn_tb.layers import BatchNormLayer, Motion, trajectory
from bn_tb.rules import RULES
from bn_tb.rules.subject import Subject
from bn_tb.rules.verdict import Verdict
from bn_tb.runs.run import Run
from bn_tb.runs.tags import parse_tag

_SILENT = {
    Motion.NOT_LOGGED: Verdict.NOT_LOGGED,
    Motion.SNAPSHOT: Verdict.INSUFFICIENT,
    Motion.INITIAL: Verdict.INSUFFICIENT,
    Motion.CONSTANT: Verdict.FROZEN,
    Motion.HALF: Verdict.SUSPECT,
    Motion.MOVING: Verdict.HEALTHY,
}
"""Verdict on a layer of which no finding speaks; initial values that no rule calls stale belong to
a run that does not train."""


def layer_diagnoses(
    subject: Subject, findings: Sequence[Finding], options: Options
) -> tuple[LayerDiagnosis, ...]:
    """Returns the diagnosis of each layer of a subject, in the same order."""
    verdicts: dict[str, list[Verdict]] = {}
    for finding in findings:
        if (meaning := _meaning(finding)) is not None:
            for name in finding.layers:
                verdicts.setdefault(name, []).append(meaning)
    return tuple(
        _layer_diagnosis(
            layer, lag, min(verdicts.get(layer.name, [_silent(subject, layer, lag, options)]))
        )
        for layer, lag in zip(subject.layers, subject.lags, strict=True)
    )


def run_verdict(
    subject: Subject, layers: Iterable[LayerDiagnosis], findings: Iterable[Finding]
) -> str:
    """Returns the label of the verdict on a run."""
    if subject.modes is None and not _anything_read(subject.run):
        return Verdict.UNREADABLE.label
    verdicts = {Verdict.of(layer.verdict) for layer in layers}
    verdicts.update(
        meaning for one in findings if not one.layers and (meaning := _meaning(one)) is not None
    )
    without = Verdict.NO_BATCH_NORM if _model_is_shown(subject) else Verdict.UNKNOWN
    return min(verdicts, default=without).label


def _model_is_shown(subject: Subject) -> bool:
    """Returns whether a graph, a configuration, a checkpoint or logged weights show a model."""
    graph = subject.graph is not None and not subject.graph.problems
    return graph or bool(subject.run.checkpoints) or any(map(parse_tag, subject.run.histograms))


def _meaning(finding: Finding) -> Verdict | None:
    meaning = RULES[finding.code].meaning.of(finding.severity, finding.confidence)
    return max(meaning, Verdict.SUSPECT) if meaning is not None and finding.over else meaning


def _silent(subject: Subject, layer: BatchNormLayer, lag: Lag, options: Options) -> Verdict:
    """Returns the verdict on a layer of which no finding speaks."""
    if subject.modes is not None:
        return Verdict.HEALTHY
    if layer.motion is Motion.INITIAL and options.freezes(layer):
        return Verdict.FROZEN
    if layer.motion is Motion.SNAPSHOT and is_warm(lag):
        return Verdict.HEALTHY
    if lag.open or may_be_young(layer, lag):
        return Verdict.INSUFFICIENT
    return _SILENT[layer.motion]


def _layer_diagnosis(layer: BatchNormLayer, lag: Lag, verdict: Verdict) -> LayerDiagnosis:
    first, last = layer.steps or (None, None)
    changes = [trajectory.last_change(series) for _, series in layer.statistics]
    return LayerDiagnosis(
        layer=layer.name,
        verdict=verdict.label,
        points=max((series.steps.size for _, series in layer.statistics), default=0),
        first_step=first,
        last_step=last,
        last_change_step=max((step for step in changes if step is not None), default=None),
        momentum=lag.momentum,
        momentum_source=lag.momentum_source,
        initial_weight=lag.weight,
        trusted_from=lag.trusted_from,
        updates=layer.updates if layer.updates is not None else lag.updates,
    )


def _anything_read(run: Run) -> bool:
    """Returns whether a run holds events, or only files that are fine and empty of them."""
    if run.scalars or run.histograms or run.graphs or run.all_tags:
        return True
    if run.sessions or run.checkpoints:
        return True
    return all(file.status == "ok" for file in run.files)
