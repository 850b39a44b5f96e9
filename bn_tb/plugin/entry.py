"""The entry point that TensorBoard loads; nothing here may fail, and nothing heavy is imported.

TensorBoard loads entry points unguarded (tensorboard/default.py, get_dynamic_plugins): an exception
while this module is imported would end TensorBoard.
"""

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):
    """Loads the BatchNorm tab, or leaves TensorBoard without it."""

    def load(self, context: base_plugin.TBContext) -> base_plugin.TBPlugin | None:
        """Returns the tab, or None with one line in TensorBoard's log if it cannot be made."""
        try:
            from bn_tb.plugin.plugin import BatchNormPlugin

            return BatchNormPlugin(context)
        except Exception as error:  # whatever is broken here, TensorBoard must start
            from tensorboard.util import tb_logging

            tb_logging.get_logger().warning(
                "The BatchNorm tab is off: %s: %s", type(error).__name__, error
            )
            return None
