"""`verify`: one input through both sides, every blob that both have compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from tfcaffe.bind import bind
from tfcaffe.errors import UsageError
from tfcaffe.files.weights import Weights
from tfcaffe.load import load_net, load_weights
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import FreeShape, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.preprocess import Preprocessing
from tfcaffe.twin import Twin
from tfcaffe.verify import feeds, reference_net
from tfcaffe.verify.caffe_side import State
from tfcaffe.verify.compare import RTOL, Array
from tfcaffe.verify.job import Job, Mode, Watch, is_preprocessed
from tfcaffe.verify.match import check_shapes, match
from tfcaffe.verify.opening import read_record
from tfcaffe.verify.report import Report

AnyPath = str | PathLike[str]


def verify(
    net: AnyPath,
    weights: AnyPath | Weights | None,
    model: Any,
    *,
    record: Twin | None = None,
    input: Sequence[AnyPath] | Mapping[str, Array] = (),
    samples: int = 2,
    seed: int = 0,
    rtol: float = RTOL,
    mode: Mode = "chained",
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    mean: AnyPath | Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: Literal["bgr", "rgb"] | None = None,
    backend: str = "pycaffe",
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
    oracle: Caffe | OpenCV | None = None,
    watch: Watch | None = None,
) -> Report:
    """Compare a Caffe net with its TensorFlow model, blob by blob.

    Args:
        net: the prototxt; `-` for the net that the caffemodel carries.
        weights: `.caffemodel` or Caffe's `.h5`, or weights in memory; None for a net without any.
        model: a `.keras` file, Keras `.h5`, SavedModel directory or frozen `.pb`; or a Keras
            model in memory.
        record, input and all others: see `prepare`.
        oracle, watch: see `Job.run`.

    Raises:
        ConversionError: the three do not belong together, or one cannot be read or run.
    """
    job = prepare(
        net,
        weights,
        model,
        record=record,
        input=input,
        samples=samples,
        seed=seed,
        rtol=rtol,
        mode=mode,
        phase=phase,
        level=level,
        stage=stage,
        input_shape=input_shape,
        mean=mean,
        scale=scale,
        channel_order=channel_order,
        backend=backend,
        proto=proto,
        plugin=plugin,
    )
    return job.run(oracle=oracle, watch=watch)


def prepare(
    net: AnyPath,
    weights: AnyPath | Weights | None,
    model: Any,
    *,
    record: Twin | None = None,
    input: Sequence[AnyPath] | Mapping[str, Array] = (),
    samples: int = 2,
    seed: int = 0,
    rtol: float = RTOL,
    mode: Mode = "chained",
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    mean: AnyPath | Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: Literal["bgr", "rgb"] | None = None,
    backend: str = "pycaffe",
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
) -> Job:
    """Read and check everything that needs no TensorFlow.

    Args:
        net, weights, model: as for `verify`.
        record: where the blobs are in the model, for one in memory; a file brings its own.
        input: files (see `feeds.file_feeds`), or an array for each input blob by name, in Caffe's
            layout and as the model is fed. Left out: `samples` random inputs from `seed`.
        rtol: the largest difference, relative to the blob's scale, that counts as equal.
        mode: "chained" feeds both sides the same input; "isolated" gives each TensorFlow layer
            Caffe's own bottoms, so that the layer at fault is named exactly.
        mean, scale, channel_order: preprocessing of the input; inside the model if it was built
            in there (a model without a record is taken to have it), else done for both sides.
        backend: "pycaffe" or "opencv".

    Raises:
        ConversionError: see the functions that it calls.
    """
    if mode not in ("chained", "isolated"):
        raise UsageError(f"--mode {mode}: there are chained and isolated")
    if not rtol >= 0:
        raise UsageError(f"--rtol {rtol}: give a number that is not negative")
    load_plugins([Path(path) for path in plugin])
    if isinstance(model, str | PathLike):
        record = record or read_record(Path(model))
    path = weights.path if isinstance(weights, Weights) else weights
    read = load_net(
        net, path, phase=phase, level=level, stages=stage, protos=[Path(p) for p in proto]
    )
    run, reasons = reference_net.derive(read, str(net), record, phase)
    numbers = None if record is None else match(run, record, _name(model))
    shapes: dict[str, FreeShape] = {
        b.blob: b.layout.shape for b in (record.inputs if record else ())
    }
    shapes |= {name: tuple(shape) for name, shape in (input_shape or {}).items()}
    plan = make_plan(run, shapes)
    found = load_weights(weights) if isinstance(weights, str | PathLike) else weights
    notes = [*plan.net.notes, *plan.notes]
    if found is not None:
        notes += bind(plan, found).notes
    elif any(entry.params for entry in plan.layers):
        raise UsageError(f"{net}: has layers with weights: name their file")
    if reasons:
        notes.append(f"Caffe runs a net written for it: {'; '.join(reasons)}")
    preprocessing = Preprocessing.make(plan, mean, scale, channel_order)
    if record is not None:
        _check_preprocessing(record, preprocessing, _name(model))
    items = feeds.inputs_of(plan, shapes)
    if isinstance(input, Mapping):
        arrays = feeds.completed(items, input)
    elif input:
        arrays, more = feeds.file_feeds(items, [Path(file) for file in input], preprocessing)
        notes += more
    else:
        arrays = feeds.random_feeds(items, samples, seed, preprocessing)
    sizes = {name: array.shape for name, array in arrays.items()}
    plan = make_plan(run, sizes)
    if record is not None and numbers is not None:
        check_shapes(plan, record, numbers, _name(model))
    return Job(
        plan=plan,
        file=None if reasons else Path(net),
        weights=found,
        model=model,
        record=record,
        arrays=arrays,
        preprocessing=preprocessing,
        rtol=rtol,
        mode=mode,
        state=State() if reasons else State(phase, level, tuple(stage)),
        backend=backend,
        notes=tuple(notes),
    )


def _check_preprocessing(record: Twin, preprocessing: Preprocessing, model: str) -> None:
    """A model with preprocessing built in can only be verified by someone who says which."""
    for blob in record.inputs:
        if is_preprocessed(record, blob) and preprocessing.blob is None:
            raise UsageError(
                f"{model}: preprocessing of {blob.blob!r} is built in: say it with --mean, "
                "--scale and --channel-order, as it was said to convert"
            )


def _name(model: Any) -> str:
    return str(model) if isinstance(model, str | PathLike) else "the model"
