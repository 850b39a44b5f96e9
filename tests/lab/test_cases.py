"""Public bug reports, re-enacted as small programs beside the project, get the right answers."""

import subprocess
import sys

import pytest

import bn_tb
from bn_tb.rules.verdict import Severity
from tests.places import SHARED, unmeasured

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not here")
CLEAN = ()

EXPECTED = {
    "b01_mmdet_norm_eval_scratch": {
        "full": ("BN101", "held in evaluation mode", ("backbone.bn1", "backbone.bn2")),
        "healthy": CLEAN,
    },
    "b02_inception_momentum0": {"full": ("BN101", "momentum=0", None), "healthy": CLEAN},
    "b09_timm_ema_decay": {
        "full": ("BN201", "82 %", ("ema.backbone.bn1", "ema.backbone.bn2", "ema.neck_bn")),
        "healthy": CLEAN,
    },
    "b11_qat_freeze_bn": {"full": CLEAN, "healthy": CLEAN},
    "h07_warmup_poison": {
        "full": ("BN304", "poisoned by one batch", ("backbone.bn1",)),
        "last": ("BN304", "at the end", ("backbone.bn1",)),
        "healthy": CLEAN,
    },
    "h12_frozenbn_folded": {"folded": CLEAN},
    "h17_sorted_batches": {"full": ("BN204", "no random samples", None), "healthy": CLEAN},
    "h28_bn_not_in_optimizer": {
        "full": ("BN108", "never given to the optimizer", None),
        "healthy": CLEAN,
    },
    "k1_maskrcnn_train_bn_false": {
        "full": ("BN101", "training=False", ("bn_conv1", "bn_conv2")),
        "healthy": CLEAN,
    },
    "k4_keras_batch1_dense": {"full": ("BN303", "one value per channel", None), "healthy": CLEAN},
    "t1_timedistributed_tf1": {
        "full": ("BN101", "never updated", ("train/td_bn",)),
        "healthy": CLEAN,
    },
}
HARMLESS = {"BN501", "BN102", "BN202"}
"""Codes that are true beside the expected one."""


@pytest.fixture(scope="module", params=EXPECTED)
def case(request, tmp_path_factory):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("tf_keras")
    out = tmp_path_factory.mktemp(request.param)
    subprocess.run(
        [sys.executable, str(CASES / f"{request.param}.py"), str(out)],
        cwd=CASES, check=True, capture_output=True,
        env={**unmeasured(), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return request.param, out


def test_a_report_gets_its_cause_and_its_healthy_twin_none(case):
    name, out = case
    for run, expected in EXPECTED[name].items():
        findings = bn_tb.diagnose(out / run).findings
        warned = {one.code: one for one in findings if one.severity >= Severity.WARNING}
        if not expected:
            assert warned == {}, (run, warned)
            continue
        code, words, layers = expected
        assert set(warned) - HARMLESS == {code}, (run, list(warned))
        text = " ".join([warned[code].message, *warned[code].evidence])
        assert words in " ".join(text.split()), text
        assert layers in (None, warned[code].layers)
