"""A whole network in Caffe's layers: from the graph, node by node, to a net that can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tf2caffe import dialect, folding, patterns, preprocess
from tf2caffe.dialect import Dialect
from tf2caffe.graph import Graph, Node, Tensor, block_lstm, lstm, quantised
from tf2caffe.net import ahead, axes, windows
from tf2caffe.net.families import family, message
from tf2caffe.net.merging import readers
from tf2caffe.net.overhang import overhangs
from tf2caffe.net.site import Builder, Site
from tf2caffe.net.sizes import limits
from tf2caffe.net.tidy import tidy
from tf2caffe.net.value import Blob, NewLayer, Value
from tf2caffe.ops import keras_layers, ops
from tf2caffe.options import Options
from tf2caffe.problems import told
from tfcaffe.errors import ConversionError, NetError, UnsupportedError
from tfcaffe.infer import check_size
from tfcaffe.layout import Layout
from tfcaffe.plugins import plugin_of
from tfcaffe.twin import BlobTwin, Twin
from tfcaffe.variables.base import some


@dataclass(frozen=True)
class Network:
    """A net that can be written.

    Args:
        layers: named and in order.
        twin: where each blob is in the source, to compare them.
        fixed: layers that hold for this height and width only.
        multiples: of which height and width may change by multiples, where nothing fixes them.
    """

    name: str
    layers: Sequence[NewLayer]
    twin: Twin
    notes: Sequence[str]
    fixed: Sequence[str]
    multiples: Sequence[int] = (1,)


def build(name: str, graph: Graph, options: Options) -> Network:
    """Say every node in Caffe's layers.

    Raises:
        UnsupportedError: all that cannot be said exactly, at once.
    """
    if options["drop_fake_quant"]:
        quantised.drop(graph)
    written = dialect.load(str(options["dialect"]))
    block_lstm.expanded(graph)
    if written.has("LSTM"):
        lstm.rolled(graph)
    patterns.rewrite(graph)
    if options["fold_bn"]:
        folding.fold(graph)
    raw = preprocess.build_in(graph, options)
    builder = Builder(graph, written)
    for title, tensor in graph.inputs.items():
        _add_input(builder, title, tensor)
    problems: dict[str, None] = {}
    lost: set[Node] = set()
    for node in graph.reached():
        if node.op == "Placeholder":
            continue
        if any(t.node in lost for t in node.inputs):
            lost.add(node)
            continue
        try:
            _say(builder, node)
        except UnsupportedError as error:
            problems[str(error)] = None
            lost.add(node)
    for title, tensor in graph.outputs.items():
        try:
            if tensor.node not in lost:
                _put_in_order(builder, title, tensor)
        except UnsupportedError as error:
            problems[str(error)] = None
    if problems:
        raise UnsupportedError(told(list(problems)))
    outputs = [builder.values[t].blob for t in graph.outputs.values()]
    layers = tidy(builder.layers, outputs, builder.dialect)
    if all(layer.type in ("Input", "Parameter") for layer in layers):
        raise UnsupportedError(
            "there is nothing to compute: every output is an input as it lies in Caffe's blob; "
            "feed that to what comes behind, or give a network with layers"
        )
    fixed, multiples = limits(builder.layers, layers, builder.sizes)
    builder.notes += [
        f"the loop {scope!r} is written step by step, {count} times"
        for scope, count in graph.stepwise()
    ]
    builder.notes += _portability(builder.dialect, layers)
    _check_layers(builder.dialect, layers)
    notes = [*graph.notes, *builder.notes]
    return Network(name, layers, _twin(builder, layers, raw), notes, fixed, multiples)


def _put_in_order(builder: Builder, title: str, tensor: Tensor) -> None:
    """Have an output's numbers lie as TensorFlow has them, or with the last dimension second.

    Where readers cannot be asked for a Slice's top, a layer copies it. What changes its input's
    shape alone is a Reshape.
    """
    if tensor not in builder.values:
        raise UnsupportedError(f"output {title!r}: is constant, it depends on no input")
    value = builder.values[tensor]
    sizes, fine = value.tf_shape, [value.plain()]
    if len(sizes) > 2:
        fine.append(Layout.of_tensor(sizes))
    site = Site(builder, tensor.node)
    if not any(axes.alike(value.layout, layout) for layout in fine) or _kind(value) == "Input":
        value = site.to(value, value.plain())
    if _kind(value) == "Slice" and not builder.dialect.allows("Slice", ends=True):
        value = site.power(value, hint="copy")
    if builder.graph.free and sizes and sizes[0] == 1 and not value.layout.dims[0]:
        builder.notes.append(
            f"output {title!r}: its blob has no axis for the batch; the net is sure to hold for a "
            "batch of 1 alone"
        )
    builder.values[tensor] = value


def _kind(value: Value) -> str:
    return value.blob.maker.type if value.blob.maker else ""


def _portability(written: Dialect, layers: Sequence[NewLayer]) -> list[str]:
    """Which layers not all of the readers take that the dialect `portable` is for."""
    portable = dialect.load("portable")
    if written.eps == portable.eps:
        return []
    faults: dict[str, list[str]] = {}
    read = readers(layers)
    for layer in layers:
        field = family(layer.type).field
        own = getattr(layer.message, field) if field else None
        more: dict[str, Any] = {"overhang": overhangs(layer)} if layer.type == "Pooling" else {}
        if layer.type == "Slice":
            more["ends"] = not all(top in read for top in layer.tops)
        if own is not None and layer.type == "Convolution" and own.group == own.num_output > 1:
            more["thin"] = windows.thin(layer.blobs[0].shape[2:], layer.bottoms[0].shape[2:])
        more["axes"] = len(layer.bottoms[0].shape) if layer.bottoms else 0
        for fault in dialect.faults_of(portable, layer.type, len(layer.bottoms), own, **more):
            faults.setdefault(fault, []).append(layer.name)
    if not faults:
        return []
    listed = "; ".join(f"{fault}: {some(names)}" for fault, names in faults.items())
    return [f"not every reader of Caffe's files takes these layers right ({listed})"]


def _check_layers(written: Dialect, layers: Sequence[NewLayer]) -> None:
    """Refuse names that the dialect's reader would cut, and blobs that Caffe does not make.

    Raises:
        UnsupportedError: all such layers.
    """
    long = [
        f"layer {la.name!r}: its name has {len(la.name)} characters, the dialect {written.name} "
        f"takes {written.longest}; rename the Keras layer"
        for la in layers
        if written.longest and len(la.name) > written.longest
    ]
    if long:
        raise UnsupportedError(told(long, "names are too long"))
    large = []
    for layer in layers:
        try:
            for shape in (blob.shape for blobs in (layer.tops, layer.blobs) for blob in blobs):
                check_size(f"layer {layer.name!r}: a blob", shape)
        except NetError as error:
            large.append(f"{error}; say a smaller --input-shape, or change the model")
    if large:
        raise UnsupportedError(told(large, "layers have blobs that are too large"))


def _say(builder: Builder, node: Node) -> None:
    site = Site(builder, node)
    rules = keras_layers() if node.op == "KerasLayer" else ops()
    kind = node.attrs["class"] if node.op == "KerasLayer" else node.op
    if kind not in rules:
        raise site.refusal(
            "no rule says this op in Caffe's layers; cut the net before it with --outputs, or add "
            "one with a plugin"
        )
    own = plugin_of(rules[kind])
    try:
        made = rules[kind](site)
        values = [made] if isinstance(made, Value) else list(made)
        shapes = [value.tf_shape for value in values]
    except ConversionError:
        raise
    except Exception as error:  # whatever foreign code raises
        if not own:
            raise
        what = f"{type(error).__name__}: {error}"
        raise site.refusal(f"the rule of the plugin {own} fails: {what}") from error
    for index, (value, shape) in enumerate(zip(values, shapes, strict=True)):
        tensor = Tensor(node, index)
        if shape != tensor.shape:
            fault = f"the plugin {own}" if own else "the converter, please report it"
            raise site.refusal(
                f"its value would be {list(shape)}, not {list(tensor.shape)}: this is a fault of "
                f"{fault}"
            )
        builder.values[tensor] = value


def _add_input(builder: Builder, title: str, tensor: Tensor) -> None:
    tensor.node.origin = title
    layout = _input_layout(builder, tensor)
    shape = axes.fixed(layout.shape)
    said = message("Input")
    said.input_param.shape.add().dim.extend(shape)
    blob = Blob(shape)
    layer = NewLayer("Input", said, [], [blob], [], title)
    blob.maker = layer
    builder.layers.append(layer)
    builder.values[tensor] = Value(blob, layout)


def _input_layout(builder: Builder, tensor: Tensor) -> Layout:
    """How the input lies, so that the first layer with a kernel reads it as it is."""
    shape = tensor.shape
    usual = Layout.caffe(shape)
    if not shape:
        return Layout(((),), ())  # Caffe's readers have no blob without an axis
    if len(shape) < 3:
        return usual
    last = Layout.of_tensor(shape)
    choice = [last, usual] if len(shape) in (4, 5) else [usual, last]
    if len(shape) == 5:  # images in time, which are read as a batch
        n, t, h, w, c = shape
        choice.append(Layout(((n,), (t,), (c,), (h,), (w,)), ((0,), (1,), (3,), (4,), (2,))))
    return choice[ahead.best(builder, tensor, choice)]


def _twin(builder: Builder, layers: Sequence[NewLayer], raw: str) -> Twin:
    """Which blob is which tensor that users know, in the net's order.

    Args:
        raw: the input that has preprocessing behind it, so that both sides are fed other numbers.
    """
    number = {layer: i for i, layer in enumerate(layers)}
    graph = builder.graph

    def twin(node: str, output: int, tensor: Tensor) -> BlobTwin | None:
        value = builder.values.get(tensor)
        maker = value.blob.maker if value else None
        if value is None or maker is None or maker not in number:
            return None
        if value.blob in builder.shuffled:
            return None
        return BlobTwin(maker.name, value.blob.name, node, output, value.layout, number[maker])

    inputs = [twin(title, 0, tensor) for title, tensor in graph.inputs.items()]
    marks = graph.marks or {(t.node.name, t.index): t for t in builder.values}
    fed = {(title, 0): tensor for title, tensor in graph.inputs.items() if title != raw}
    marks = fed | {mark: t for mark, t in marks.items() if t != graph.inputs.get(raw)}
    blobs: dict[tuple[str, str, int], BlobTwin] = {}
    for (node, output), tensor in marks.items():
        found = twin(node, output, tensor)
        if found is not None:
            blobs.setdefault((found.layer, found.blob, found.index), found)
    known = {t: mark for mark, t in reversed(marks.items())} if graph.marks else {}
    outputs = [
        twin(*known.get(tensor, (title, 0)), tensor) for title, tensor in graph.outputs.items()
    ]
    ordered = sorted(blobs.values(), key=lambda b: b.index)
    return Twin(
        tuple(t for t in inputs if t),
        tuple(ordered),
        tuple(t for t in outputs if t),
        of_source=True,
        whole=tuple(
            builder.values[tensor].blob.name
            for tensor in graph.inputs.values()
            if "int" in tensor.dtype and tensor in builder.values
        ),
        given=tuple(graph.given.items()),
    )
