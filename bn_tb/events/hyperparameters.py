"""Hyperparameters that TensorBoard's HPARAMS plugin wrote: the start of a session.

https://github.com/tensorflow/tensorboard/blob/2.21.0/tensorboard/plugins/hparams/plugin_data.proto
"""

from collections.abc import Iterator

from bn_tb.events import wire
from bn_tb.runs.hyperparameters import Value, Values, number_of

TAG = "_hparams_/session_start_info"
MOST = 500
"""Hyperparameters of a run that are kept; files are of unknown origin."""

_PLUGIN_DATA, _CONTENT = 1, 2  # of SummaryMetadata, of its PluginData
_SESSION_START, _HPARAMS = 3, 1  # of HParamsPluginData, of its SessionStartInfo
_KEY, _VALUE = 1, 2  # of an entry of a map
_NUMBER, _TEXT, _BOOL = 2, 3, 4  # of google.protobuf.Value


def decode(metadata: bytes) -> Values:
    """Returns the hyperparameters in the metadata of a summary value; empty if there are none."""
    found: dict[str, Value] = {}
    try:
        for plugin_data in _parts(metadata, _PLUGIN_DATA):
            for content in _parts(plugin_data, _CONTENT):
                for session in _parts(content, _SESSION_START):
                    for entry in _parts(session, _HPARAMS):
                        parts = dict(wire.fields(entry))
                        name, value = parts.get(_KEY), parts.get(_VALUE)
                        if isinstance(name, bytes) and isinstance(value, bytes):
                            found[name.decode("utf-8", "replace")] = _value(value)
                        if len(found) == MOST:
                            return found
    except wire.DecodeError:
        return found
    return found


def _parts(message: bytes, wanted: int) -> Iterator[bytes]:
    for number, part in wire.fields(message):
        if number == wanted and isinstance(part, bytes):
            yield part


def _value(message: bytes) -> Value:
    for number, value in wire.fields(message):
        if number == _NUMBER and isinstance(value, float):
            return number_of(value)
        if number == _TEXT and isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if number == _BOOL:
            return bool(value)
    return ""
