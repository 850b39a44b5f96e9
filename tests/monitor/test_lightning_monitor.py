"""The Lightning callback in a real trainer."""

import logging
import warnings

import pytest

lightning = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")
import torch  # noqa: E402

import bn_tb  # noqa: E402
from bn_tb.monitor.lightning import BatchNormMonitor  # noqa: E402
from tests.builders import toy_torch as toy  # noqa: E402

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Module(lightning.LightningModule):
    """The toy net."""

    def __init__(self, momentum):
        super().__init__()
        self.net = toy.net(momentum)

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, index):
        self.net(batch[0])

    def configure_optimizers(self):
        return toy.sgd(self.net)


def fitted(folder, momentum, **options):
    """Fits over 20 batches an epoch; returns the trainer."""
    data = torch.utils.data.TensorDataset(*toy.batch(640))
    trainer = lightning.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=lightning.loggers.CSVLogger(folder),
        callbacks=[BatchNormMonitor(every=10, **options)], max_epochs=5,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")
        loader = torch.utils.data.DataLoader(data, 32)
        trainer.fit(Module(momentum), loader, loader)
    return trainer


def test_a_healthy_training_is_left_in_peace_and_logged_in_the_trainers_folder(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", bn_tb.BatchNormWarning)
        trainer = fitted(tmp_path, 0.1)
    judged = bn_tb.diagnose(trainer.log_dir)
    assert (judged.verdict, judged[0].layers[0].layer) == ("healthy", "net.1")
    (run,) = bn_tb.read_logdir(trainer.log_dir)
    assert run.scalars["net.1/training_passes"].values[-1] == 100
    assert run.scalars["net.1/evaluation_passes"].values[-1] > 80


def test_stop_ends_the_fit_on_an_error(tmp_path):
    with pytest.warns(bn_tb.BatchNormWarning, match="BN101"):
        trainer = fitted(tmp_path, 0.0, stop=True)
    assert trainer.global_step < 100
    assert bn_tb.diagnose(trainer.log_dir).verdict == "stale"
