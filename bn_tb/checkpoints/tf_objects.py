"""Names that people know for the paths of TensorFlow 2's object graph.

https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/protobuf/trackable_object_graph.proto
"""

import collections
import re
from collections.abc import Iterator, Mapping

from bn_tb.checkpoints.contents import CheckpointError, Stored
from bn_tb.events import wire

KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_END = "/.ATTRIBUTES/VARIABLE_VALUE"


def names(graph: bytes) -> dict[str, str]:
    """Returns full names of variables by their keys in the checkpoint.

    Raises:
      CheckpointError: The graph does not decode.
    """
    try:
        return dict(_full_names(graph))
    except wire.DecodeError as error:
        raise CheckpointError(f"the object graph does not decode: {error}") from None


def renamed(tensors: Mapping[str, Stored], known: Mapping[str, str]) -> dict[str, Stored]:
    """Returns tensors under the names that people know, where those are unique and tell a layer.

    Some versions of Keras 3 call each variable just `moving_mean`: there the path of objects says
    more. Others list a variable again, by number: `variables/4` of an exported model.
    """
    often = collections.Counter(known.get(key, key) for key in tensors if not _LISTED.search(key))
    found = dict[str, Stored]()
    for key, stored in sorted(tensors.items(), key=lambda item: bool(_LISTED.search(item[0]))):
        full = known.get(key, "")
        path = key.removesuffix(_END)
        clear = "/" in full and often[full] <= 1 and "/.OPTIMIZER_SLOT/" not in key
        if clear and not _counts(path):
            found.setdefault(full, stored)
        else:
            found[path] = stored
    return found


_LISTED = re.compile(rf"(?:^|/)_?(?:all_|trainable_|non_trainable_)?variables/\d+{_END}$")
"""Keys of lists of variables, which the object graph holds beside the layers."""


def _counts(path: str) -> bool:
    """Returns whether a path is an optimizer's own: its name (`Adam/iter`) hides what it counts."""
    return path.startswith("optimizer/") and "trainable_variables/" not in path


def _full_names(graph: bytes) -> Iterator[tuple[str, str]]:
    for number, node in wire.fields(graph):
        if number != 1 or not isinstance(node, bytes):
            continue
        for field, attribute in wire.fields(node):
            if field == 2 and isinstance(attribute, bytes):
                texts = {k: v for k, v in wire.fields(attribute) if isinstance(v, bytes)}
                yield _text(texts.get(3, b"")), _text(texts.get(2, b""))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
