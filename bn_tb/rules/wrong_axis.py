"""## What it does
Finds Keras batch-norm layers that normalise another axis than the channels.

## Why is this bad?
`axis` names the axis that keeps its own statistics. With `axis=1` on channels-last pictures every
row of the picture is a "channel", of a sequence every time step: the layer has as many gammas as
the picture has rows, and normalises over columns and colours. It trains, worse, and breaks on
pictures of another height.

## How it is decided
The Keras configuration of the model has the layer's axis and the data format of its convolutions.
The input of the layer has three to five axes (its `build_config` says so), and the axis is 1 where
all convolutions and poolings of the model for such data (1D, 2D or 3D) say `channels_last`, or the
last one where all of them say `channels_first`. A model whose convolutions disagree, a layer behind
a dense one, whose only axis is 1, and one whose input the configuration does not tell are left
alone.

## Example
    Conv2D              data_format channels_last
    BatchNormalization  axis 1

## When it is wrong
Data that are permuted inside the model on purpose.

## How to fix it
Leave `axis` at -1 for channels-last data, set it to 1 for channels-first data, and train anew: the
statistics that were learned are those of rows.

## References
- https://keras.io/api/layers/normalization_layers/batch_normalization/
- https://stackoverflow.com/questions/42521005
"""

from collections.abc import Iterator, Mapping

from bn_tb.graph.graph_evidence import LayerWiring
from bn_tb.rules._words import layers_in_words
from bn_tb.rules.rule import Rule
from bn_tb.rules.subject import Evidence, Subject
from bn_tb.rules.verdict import Confidence, Severity

FIX = """\
Normalise the channels, and train anew:

    layers.BatchNormalization(axis=-1)  # channels_first data: axis=1"""


def check(subject: Subject, limits: Mapping[str, float]) -> Iterator[Evidence]:
    """Yields one piece of evidence for all such layers."""
    found = {
        layer.name: layer.wiring
        for layer in subject.layers
        if layer.wiring is not None and _wrong(layer.wiring)
    }
    if found:
        name, wiring = next(iter(found.items()))
        yield Evidence(
            message=(
                f"The Keras configuration has {layers_in_words(list(found))} normalise axis "
                f"{wiring.axis[0]} of {wiring.data_format} data: each position along it has "
                "statistics of its own, and the channels share them."
            ),
            proof=(f"{name}: axis {wiring.axis[0]}, convolutions {wiring.data_format}",),
            fix=FIX,
            layers=tuple(found),
            confidence=Confidence.LIKELY,
        )


def _wrong(wiring: LayerWiring) -> bool:
    if wiring.data_format == "channels_last":
        return wiring.axis == (1,)
    return wiring.data_format == "channels_first" and wiring.axis == (-1,)


RULE = Rule("BN410", "wrong-axis", Severity.WARNING, check, __doc__ or "")
