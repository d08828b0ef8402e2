"""Runs `.keras` files with Keras alone: in an environment of one backend, without our packages.

One JSON task per line comes in, one JSON answer per line goes out. The arguments are packages that
must not be imported here, for an environment that has them.
"""

import importlib
import json
import sys
import time
import traceback
from pathlib import Path

answers, sys.stdout = sys.stdout, sys.stderr  # whatever prints, the answers stay whole
for package in sys.argv[1:]:
    sys.modules[package] = None  # type: ignore[assignment]  # importing it is an error from here on

import keras  # noqa: E402
import numpy as np  # noqa: E402


def about(packages):
    """Which Keras this is, and which of these packages can be imported."""
    found = []
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            continue
        found.append(package)
    return {"backend": keras.backend.backend(), "keras": keras.__version__, "found": found}


def predict(folder):
    """Load the model, safe mode on, and write what it answers to the feeds."""
    began = time.perf_counter()
    model = _load(folder)
    seconds = time.perf_counter() - began
    outputs = model.predict_on_batch(_feeds(folder))
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    np.savez(Path(folder, "outputs.npz"), *map(keras.ops.convert_to_numpy, outputs))
    return {"load": seconds}


def train(folder):
    """One step on the feeds; which variables it changed, and which it was allowed to train."""
    model, feeds = _load(folder), _feeds(folder)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mean_squared_error")
    before = {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in model.variables}
    shape = model.predict_on_batch(feeds).shape
    loss = model.train_on_batch(feeds, np.ones(shape, np.float32))
    after = {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}
    changed = [path for path, array in before.items() if not np.array_equal(array, after[path])]
    trainable = [v.path for v in model.trainable_variables]
    return {"loss": float(loss), "changed": changed, "trainable": trainable}


def _load(folder):
    return keras.saving.load_model(Path(folder, "model.keras"), compile=False)


def _feeds(folder):
    with np.load(Path(folder, "feeds.npz")) as feeds:
        return [feeds[name] for name in feeds.files]


TASKS = {task.__name__: task for task in (about, predict, train)}
for line in sys.stdin:
    name, argument = json.loads(line)
    try:
        answer = {"done": TASKS[name](argument)}
    except Exception:  # the test shows it, whatever it is
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), file=answers, flush=True)
