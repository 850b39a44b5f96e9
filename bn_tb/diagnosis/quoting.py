"""What a finding rests on, in the words of its log: the files it quotes, steps that are epochs."""

import re
from collections.abc import Iterable

from bn_tb.evidence.clock import Clock
from bn_tb.layers import BatchNormLayer
from bn_tb.rules.subject import Evidence
from bn_tb.runs.run import Run

_STEP = re.compile(r"\b([Ss])tep(s?)(?= \d)|(?<=per )(s)tep\b")
_OTHER_CLOCKS = re.compile(r"(?<![\w/])batch_(?!norm)|_vs_iterations")
"""Parts of Keras' tags whose steps are iterations, in a log of epochs."""


def in_its_unit(line: str, clock: Clock) -> str:
    """Returns a line with `epoch 3` for `step 3`, if the log of the statistics counts epochs."""
    if clock.unit == "step" or _OTHER_CLOCKS.search(line):
        return line
    return _STEP.sub(lambda found: _renamed(clock.unit, *found.groups(default="")), line)


def _renamed(unit: str, first: str, plural: str, alone: str) -> str:
    return (unit.capitalize() if first == "S" else unit) + plural


def with_source(run: Run, layers: Iterable[BatchNormLayer], evidence: Evidence) -> tuple[str, ...]:
    """Returns the proof of a finding; of statistics of checkpoints it ends with the files.

    A proof that names a file already stays as it is.

    Args:
      run: The run.
      layers: Its layers.
      evidence: What a rule found.
    """
    proof = evidence.proof
    if any(one.name in line for one in run.checkpoints for line in proof):
        return proof
    own = set(evidence.layers)
    saved = next((layer for layer in layers if layer.saved and layer.name in own), None)
    line = _source(run, saved, evidence.step) if saved is not None else ""
    return (*proof, line) if line else proof


def _source(run: Run, layer: BatchNormLayer, step: int | None) -> str:
    """Returns the checkpoint of a step, else the last one, and how many there are."""
    series = layer.statistics[0][1]
    steps = set(series.steps.tolist())
    of_layer = [one for one in run.checkpoints if one.step in steps and one.holds(layer.name)]
    if not of_layer:
        return ""
    quoted = next((one for one in of_layer if one.step == step), of_layer[-1])
    channels = f"{series.count[-1]:.0f} channel{'' if series.count[-1] == 1 else 's'}"
    among = f", one of {len(of_layer)} checkpoints" if len(of_layer) > 1 else ""
    return f"{layer.name}: {channels}, read of {quoted.name}, step {quoted.step}{among}"
