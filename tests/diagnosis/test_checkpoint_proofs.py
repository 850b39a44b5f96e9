"""What a finding rests on is named: the file, the step, the channels."""

import numpy as np
import pytest

import bn_tb
from tests.builders import checkpoint_bytes as cb

C = 6  # channels
RNG = np.random.default_rng(0)


def write(folder, step, mean, variance, gamma=None, **others):
    """Writes a checkpoint of one layer, `bn`, whose counter says how often it was updated."""
    gamma = RNG.normal(1, 0.1, C) if gamma is None else gamma
    tensors = {
        "bn.running_mean": mean,
        "bn.running_var": variance,
        "bn.weight": gamma,
        "bn.bias": RNG.normal(0, 0.1, C),
        **others,
    }
    values = {name: ("F32", np.float32(value)) for name, value in tensors.items()}
    values["bn.num_batches_tracked"] = ("I64", np.int64(step))
    (folder / f"model-{step}.safetensors").write_bytes(cb.safetensors(values))


def moved():
    return RNG.normal(3, 1, C), RNG.uniform(2, 5, C)


def never_updated(folder):
    for step in (100, 200):
        write(folder, step, np.zeros(C), np.ones(C))


def half_updated(folder):
    for step in (100, 200):
        write(folder, step, np.zeros(C), moved()[1])


def broken(folder):
    write(folder, 100, *moved())
    write(folder, 200, moved()[0], np.full(C, np.nan))


def negative(folder):
    write(folder, 200, moved()[0], np.full(C, -1.0))


def frozen(folder):
    values = moved()
    for step in (100, 200):
        write(folder, step, *values)


def copied(folder):
    for step in (100, 200):
        copy = {
            "ema.bn.running_mean": np.zeros(C),
            "ema.bn.running_var": np.ones(C),
            "ema.bn.weight": RNG.normal(1, 0.1, C),
            "ema.bn.bias": RNG.normal(0, 0.1, C),
        }
        write(folder, step, *moved(), **copy)


LAST = "6 of 6 channels exactly {} in model-200.safetensors, step 200, and in 1 checkpoint before"
READ = "bn: 6 channels, read of model-200.safetensors, step 200"
CASES = {
    "BN101": (never_updated, f"moving_mean of bn: {LAST.format(0)}"),
    "BN105": (half_updated, f"moving_mean of bn: {LAST.format(0)}"),
    "BN107": (copied, f"moving_variance of ema.bn: {LAST.format(1)}"),
    "BN301": (broken, f"{READ}, one of 2 checkpoints"),
    "BN302": (negative, READ),
    "BN102": (frozen, f"{READ}, one of 2 checkpoints"),
}


@pytest.mark.parametrize("code", CASES)
def test_the_proof_quotes_file_step_and_channels(code, tmp_path):
    make, line = CASES[code]
    make(tmp_path)
    (finding,) = [one for one in bn_tb.diagnose(tmp_path).findings if one.code == code]
    assert line in finding.evidence


def test_what_event_files_prove_names_no_checkpoint():
    from tests.builders import synthetic

    steps = np.arange(0, 50, 5)
    run = synthetic.run(synthetic.layer("bn", *[synthetic.constant(v, 10) for v in (0, 1)], steps))
    proofs = [line for one in bn_tb.diagnose([run]).findings for line in one.evidence]
    assert proofs
    assert not any("checkpoint" in line or "read of" in line for line in proofs)


def test_the_title_of_a_run_says_that_checkpoints_hold_its_statistics(tmp_path):
    never_updated(tmp_path)
    diagnoses = bn_tb.diagnose(tmp_path)
    title = bn_tb.render(diagnoses, "markdown").splitlines()
    assert any("1 layer, steps 100 to 200, from 2 checkpoints" in line for line in title)
