"""What all tests share. The environment is set first: TensorFlow reads it once, on import."""

import os

# One worker's share of the cores, so that TensorFlow's and OpenBLAS's threads do not fight.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = str(max(1, (os.cpu_count() or 1) // _WORKERS))
for _variable in (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
):
    os.environ.setdefault(_variable, _THREADS)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

from corpus import CORPUS, NO_CORPUS  # noqa: E402

pytest_plugins = ["desk", "oracles", "parity", "verify_nets"]  # `desk`, `caffe`, `opencv`, …


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the corpus of real nets; skips the test where it is absent."""
    if not CORPUS.is_dir():
        pytest.skip(NO_CORPUS)
    return CORPUS


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run, whatever the order of the tests."""
    return np.random.default_rng(20240229)
