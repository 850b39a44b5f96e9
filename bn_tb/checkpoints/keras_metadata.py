"""The configuration of a Keras model in `keras_metadata.pb` of a SavedModel of Keras 2.

https://github.com/keras-team/keras/blob/v2.15.0/keras/protobuf/saved_metadata.proto
"""

import json

from bn_tb.checkpoints.contents import CheckpointError
from bn_tb.events import wire

_NODES, _PATH, _METADATA = 1, 3, 5  # numbers of fields
_ROOT = b"root"


def configuration(data: bytes) -> bytes:
    """Returns the JSON of the model, as Keras writes it beside event files.

    Raises:
      CheckpointError: There is none.
    """
    try:
        for number, node in wire.fields(data):
            if number == _NODES and isinstance(node, bytes):
                texts = {k: v for k, v in wire.fields(node) if isinstance(v, bytes)}
                if texts.get(_PATH) == _ROOT:
                    return _model(texts.get(_METADATA, b""))
    except (wire.DecodeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"keras_metadata.pb does not decode: {error}") from None
    raise CheckpointError("keras_metadata.pb holds no model")


def _model(metadata: bytes) -> bytes:
    found = json.loads(metadata)
    if not isinstance(found, dict):
        raise ValueError("no object")
    chosen = {"class_name": found.get("class_name"), "config": found.get("config")}
    return json.dumps(chosen).encode()
