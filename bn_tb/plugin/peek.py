"""Whether the logs have anything to do with batch norm, found out without reading them."""

import re
import threading
from collections.abc import Iterator

from tensorboard import context
from tensorboard.data import provider

from bn_tb.runs.tags import STATISTICS, Role, parse_tag

WAITS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before each look after the start, while TensorBoard loads; later the page asks."""

GRAPHS = 8  # graphs searched in a look; a few megabytes each
_IN_GRAPH = re.compile(rb"FusedBatchNorm|BatchNormalization|moving_variance|running_var")
_IN_TAG = re.compile(r"(?:batch|b)_?norm|(?:^|[/._])bn(?:$|[/._\d])", re.IGNORECASE)
_TELLING = (*STATISTICS, Role.GAMMA, Role.UPDATE_COUNT)
_GRAPH_PLUGINS = ("graphs", "graph_run_metadata_graph", "graph_keras_model")


class Peek:
    """Asks TensorBoard's data layer for tag names in the background, and remembers the answer."""

    def __init__(self, data: provider.DataProvider | None) -> None:
        """Begins to look, if there is a data provider."""
        self._data = data
        self._seen = False
        self._looking = threading.Lock()
        self._look(WAITS)

    def seen(self) -> bool:
        """Returns at once whether batch norm was seen; if not, looks again for the next time."""
        if not self._seen:
            self._look((0.0,))
        return self._seen

    def _look(self, waits: tuple[float, ...]) -> None:
        if self._data is not None and self._looking.acquire(blocking=False):
            threading.Thread(
                target=self._run, args=(waits,), name="bn_tb_peek", daemon=True
            ).start()

    def _run(self, waits: tuple[float, ...]) -> None:
        try:
            for wait in waits:
                threading.Event().wait(wait)
                if self._find():
                    self._seen = True
                    return
        finally:
            self._looking.release()

    def _find(self) -> bool:
        """Looks once; a data layer that fails has shown nothing."""
        try:
            return any(map(_of_batch_norm, self._tags())) or any(
                _IN_GRAPH.search(graph) for graph in self._graphs()
            )
        except Exception:  # whatever a data provider raises, its own tabs report it
            return False

    def _tags(self) -> Iterator[str]:
        assert self._data is not None
        ctx = context.RequestContext()
        for tags in self._data.list_tensors(
            ctx, experiment_id="", plugin_name="histograms"
        ).values():
            yield from tags
        for scalars in self._data.list_scalars(
            ctx, experiment_id="", plugin_name="scalars"
        ).values():
            yield from scalars

    def _graphs(self) -> Iterator[bytes]:
        assert self._data is not None
        ctx = context.RequestContext()
        room = GRAPHS
        for plugin in _GRAPH_PLUGINS:
            found = self._data.read_blob_sequences(
                ctx, experiment_id="", plugin_name=plugin, downsample=1
            )
            for tags in found.values():
                for points in tags.values():
                    for blob in points[-1].values if points and room > 0 else ():
                        room -= 1
                        yield self._data.read_blob(ctx, blob_key=blob.blob_key)


def _of_batch_norm(tag: str) -> bool:
    parsed = parse_tag(tag)
    if parsed is None:
        return False
    return parsed.role in _TELLING or bool(_IN_TAG.search(tag))
