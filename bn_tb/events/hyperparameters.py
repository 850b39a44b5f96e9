"""Hyperparameters that TensorBoard's HPARAMS plugin wrote: the start of a session.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/hparams/plugin_data.proto
"""

from typing import Any

from bn_tb.events import protos, wire
from bn_tb.runs.hyperparameters import Value, Values, number_of

TAG = "_hparams_/session_start_info"
MOST = 500
"""Hyperparameters of a run that are kept; files are of unknown origin."""

LARGEST = 1 << 20
"""Bytes of metadata that are decoded; hyperparameters have some hundreds."""


def decode(metadata: bytes) -> Values:
    """Returns the hyperparameters in the metadata of a summary value; empty if there are none."""
    if len(metadata) > LARGEST:
        return {}
    try:
        content = protos.parse("Metadata", metadata).plugin_data.content
        session = protos.parse("HParams", content).session_start_info
    except wire.DecodeError:
        return {}
    return {
        entry.key.decode("utf-8", "replace"): _value(entry.value)
        for entry in session.hparams[:MOST]
        if entry.HasField("value")
    }


def _value(value: Any) -> Value:
    kind = value.WhichOneof("one")
    if kind == "number_value":
        return number_of(value.number_value)
    if kind == "bool_value":
        return bool(value.bool_value)
    text: str = value.string_value.decode("utf-8", "replace")
    return text
