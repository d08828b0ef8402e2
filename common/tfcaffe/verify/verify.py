"""`verify`: one input through both sides, every blob that both have compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Unpack

from tfcaffe.bind import bind
from tfcaffe.errors import NetError, UsageError, WeightsError
from tfcaffe.files import pairing
from tfcaffe.files.weights import Weights
from tfcaffe.load import load_net, load_weights
from tfcaffe.net import Net
from tfcaffe.oracle.opencv import OpenCV
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import FreeShape, Plan, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.preprocess import Preprocessing
from tfcaffe.twin import Twin
from tfcaffe.verify import feeds, reference_net
from tfcaffe.verify.caffe_side import State
from tfcaffe.verify.compare import Array
from tfcaffe.verify.job import Job, Watch, is_preprocessed
from tfcaffe.verify.match import check_shapes, match
from tfcaffe.verify.opening import read_record, record_beside
from tfcaffe.verify.options import AnyPath, Options, with_defaults
from tfcaffe.verify.report import Report


def verify(
    net: AnyPath,
    weights: AnyPath | Weights | None,
    model: Any,
    *,
    oracle: Caffe | OpenCV | None = None,
    watch: Watch | None = None,
    **options: Unpack[Options],
) -> Report:
    """Compare a Caffe net with its TensorFlow model, blob by blob.

    Args:
        net: the prototxt; `-` for the net that the caffemodel carries.
        weights: `.caffemodel` or Caffe's `.h5`, or weights in memory; None for a net without any.
        model: a `.keras` file, Keras `.h5`, SavedModel directory or frozen `.pb`; or a Keras
            model in memory.
        oracle, watch: see `Job.run`.
        options: `tfcaffe.verify.Options` has them all, with their defaults.

    Raises:
        ConversionError: the three do not belong together, or one cannot be read or run.
        TypeError: there is no such option.
    """
    return prepare(net, weights, model, **options).run(oracle=oracle, watch=watch)


def prepare(
    net: AnyPath, weights: AnyPath | Weights | None, model: Any, **options: Unpack[Options]
) -> Job:
    """Read and check everything that needs no TensorFlow.

    Raises:
        ConversionError: see the functions that it calls.
        TypeError: there is no such option.
    """
    given = with_defaults(options)
    load_plugins([Path(path) for path in given["plugin"]])
    path = weights.path if isinstance(weights, Weights) else weights
    try:
        return _prepared(net, weights, model, given)
    except (NetError, UsageError, WeightsError) as error:
        apart = path is not None and pairing.apart(Path(net), Path(path))
        if not apart:
            raise
        raise type(error)(f"{apart}, and they do not fit: {error}") from error


def _prepared(net: AnyPath, weights: AnyPath | Weights | None, model: Any, given: Options) -> Job:
    record = given["record"]
    if isinstance(model, str | PathLike):
        record = record or read_record(Path(model))
    path = weights.path if isinstance(weights, Weights) else weights
    if record is None and path is not None:
        record = record_beside(Path(path))
    read = _read(net, weights, given)
    run, reasons = reference_net.derive(read, str(net), record, given["phase"])
    numbers = None if record is None else match(run, record, _name(model))
    shapes: dict[str, FreeShape] = {
        b.blob: b.layout.shape for b in (record.inputs if record else ())
    }
    shapes |= {name: tuple(shape) for name, shape in (given["input_shape"] or {}).items()}
    plan = make_plan(run, shapes)
    found, notes = _weights(net, weights, plan)
    if reasons:
        notes.append(f"Caffe runs a net written for it: {'; '.join(reasons)}")
    turned = "bgr" if record is not None and record.of_source else "rgb"
    preprocessing = Preprocessing.make(
        plan, given["mean"], given["scale"], given["channel_order"], turned
    )
    if record is not None:
        _check_preprocessing(record, preprocessing, _name(model))
    whole = record.whole if record is not None else ()
    arrays, more = _inputs(feeds.inputs_of(plan, shapes, whole), preprocessing, given)
    plan = make_plan(run, {name: array.shape for name, array in arrays.items()})
    if record is not None and numbers is not None:
        check_shapes(plan, record, numbers, _name(model))
    state = State(given["phase"], given["level"], tuple(given["stage"]))
    return Job(
        plan=plan,
        file=None if reasons else Path(net),
        weights=found,
        model=model,
        record=record,
        arrays=arrays,
        preprocessing=preprocessing,
        rtol=given["rtol"],
        mode=given["mode"],
        state=State() if reasons else state,
        backend=given["backend"],
        trust=given["trust"],
        notes=(*notes, *more),
    )


def _read(net: AnyPath, weights: AnyPath | Weights | None, given: Options) -> Net:
    return load_net(
        net,
        weights.path if isinstance(weights, Weights) else weights,
        phase=given["phase"],
        level=given["level"],
        stages=given["stage"],
        protos=[Path(path) for path in given["proto"]],
    )


def _weights(
    net: AnyPath, weights: AnyPath | Weights | None, plan: Plan
) -> tuple[Weights | None, list[str]]:
    """The weights, and notes on what was read."""
    notes = [*plan.net.notes, *plan.notes]
    if weights is None:
        lacking = [entry.layer for entry in plan.layers if entry.params]
        if lacking:
            raise UsageError(
                f"{net}: {lacking[0]} has weights: name their file between the net and the model"
            )
        return None, notes
    found = weights if isinstance(weights, Weights) else load_weights(weights)
    return found, [*notes, *bind(plan, found).notes]


def _inputs(
    items: Sequence[feeds.Input], preprocessing: Preprocessing, given: Options
) -> tuple[dict[str, Array], list[str]]:
    """What both sides are fed, and notes on it."""
    if isinstance(given["input"], Mapping):
        return feeds.completed(items, given["input"]), []
    if given["input"]:
        return feeds.file_feeds(items, [Path(file) for file in given["input"]], preprocessing)
    return feeds.random_feeds(items, given["samples"], given["seed"], preprocessing), []


def _check_preprocessing(record: Twin, preprocessing: Preprocessing, model: str) -> None:
    """Preprocessing that is built in can only be verified by someone who says which."""
    for blob in record.inputs:
        if is_preprocessed(record, blob) and preprocessing.blob is None:
            which = "the net" if record.of_source else model
            raise UsageError(
                f"{which}: preprocessing of {blob.blob!r} is built in: say it with --mean, "
                "--scale and --channel-order, as it was said to convert"
            )


def _name(model: Any) -> str:
    return str(model) if isinstance(model, str | PathLike) else "the model"
