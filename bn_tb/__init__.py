"""Finds batch-norm faults in TensorBoard logs.

    runs = bn_tb.read_logdir("logs")
    diagnoses = bn_tb.diagnose(runs)
    print(bn_tb.render(diagnoses))

Public names are listed once, in `__init__.pyi`, and imported when they are first used: `import
bn_tb` alone costs next to nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
