"""TensorBoard inside the test process, without a port, with the BatchNorm tab as only plugin."""

import contextlib

from tensorboard import program
from tensorboard.backend import application
from tensorboard.plugins.core import core_plugin
from werkzeug.test import Client

from bn_tb.plugin.entry import Loader


@contextlib.contextmanager
def served(logdir, *flags):
    """Yields a client of a TensorBoard that has loaded `logdir`, and its data provider.

    `--load_fast=true` starts TensorBoard's own data server, as users have it.
    """
    board = program.TensorBoard(plugins=[core_plugin.CorePluginLoader(), Loader()])
    where = [f"--logdir={logdir}"] if logdir else []
    board.configure(["tensorboard", *where, "--reload_interval=0", *flags])
    if "--load_fast=true" not in flags:
        board.flags.reload_task = "blocking"
    provider, multiplexer = board._make_data_provider()
    app = application.TensorBoardWSGIApp(
        board.flags, board.plugin_loaders, provider, board.assets_zip_provider, multiplexer
    )
    yield Client(app), provider
