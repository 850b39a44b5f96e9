"""`python -m tests.lab BENCH LOGDIR [SCENARIO ...]` trains scenarios into LOGDIR/SCENARIO."""

import os
import shutil
import sys
import time

from tests.lab import BENCHES


def main(bench: str, logdir: str, *names: str) -> None:
    """Trains the scenarios of one bench and prints the seconds each took."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tf.compat.v1.layers is in tf_keras
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["OMP_NUM_THREADS"] = "1"  # threads cost tiny networks more than they give
    BENCHES[bench].prepare()
    for scenario in BENCHES[bench].scenarios:
        if not names or scenario.name in names:
            start = time.perf_counter()
            folder = os.path.join(logdir, scenario.name)
            shutil.rmtree(folder, ignore_errors=True)
            scenario.log(folder)
            print(f"{time.perf_counter() - start:5.2f} s  {scenario.name}", flush=True)


main(*sys.argv[1:])
