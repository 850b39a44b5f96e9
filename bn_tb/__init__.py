"""Finds batch-norm faults in TensorBoard logs.

    runs = bn_tb.read_logdir("logs")
    diagnoses = bn_tb.diagnose(runs)
    print(bn_tb.render(diagnoses))

Public names are listed once, in `__init__.pyi`, for type checkers and for here: each is imported
when it is first used, so that `import bn_tb` alone costs next to nothing.
"""

import importlib
from typing import Any

with open(f"{__file__}i", encoding="utf-8") as _stub:  # lines `from .home import Name as Name`
    _HOMES = {line.split()[-1]: line.split()[1] for line in _stub if line.startswith("from .")}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bn_tb' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
