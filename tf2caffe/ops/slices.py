"""StridedSlice and Slice: parts of a blob along any of its axes."""

from __future__ import annotations

from collections.abc import Sequence

from tf2caffe.graph import Tensor
from tf2caffe.net import axes, windows
from tf2caffe.net.batch import of_steps
from tf2caffe.net.cropping import cropped
from tf2caffe.net.linear import chosen, resized, spread
from tf2caffe.net.site import Site
from tf2caffe.net.slices import Cut, cuts
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tf2caffe.ops.padding import one_hot, padded
from tfcaffe.layout import Layout


@op("StridedSlice", "Slice")
def part(site: Site) -> Value:
    """Depthwise convolutions that move numbers cut H and W; a Slice, if all its parts are used.

    Any other choice is a product with a one-hot matrix.
    """
    found = cuts(site.node, site.graph)
    if found is None:
        raise site.refusal("where it cuts depends on the net's inputs; say it in numbers")
    x = site.value(0)
    old = [cut for cut in found if not cut.new]
    varied = [d for d, cut in enumerate(old) if not cut.whole]
    if varied:
        x = _cut(site, x, old, varied)
    shape = Tensor(site.node).shape
    layout = axes.reshaped(x.layout, shape)
    if layout is None:
        raise site.refusal("its dimensions cannot be told apart; keep them with tf.reshape")
    return Value(x.blob, layout)


def _cut(site: Site, x: Value, old: Sequence[Cut], varied: Sequence[int]) -> Value:
    x = spread(site, x, varied)
    by_axis = {int(x.axis_of(d) or 0): old[d] for d in varied}
    if 0 in by_axis:
        (first,) = (d for d in varied if x.axis_of(d) == 0)
        if not of_steps(site.node.inputs[0], first, site.graph):
            raise site.refusal("cuts the batch, which Caffe's layers never change; cut other axes")
    if len(by_axis) == 1:
        ((axis, cut),) = by_axis.items()
        shared = _sliced(site, x, axis, cut)
        if shared is not None:
            return shared
    if 0 in by_axis:
        x = _steps(site, x, by_axis.pop(0))
    return taken(site, x, by_axis) if by_axis else x


def _steps(site: Site, x: Value, cut: Cut) -> Value:
    """Some of the steps on axis 0: one top of a Slice, or a product with a one-hot matrix."""
    if cut.step != 1 or not site.dialect.allows("Slice", ends=True):
        return chosen(site, x, 0, cut.index, hint="steps")
    points = [point for point in (cut.start, cut.stop) if 0 < point < cut.size]
    blob = site.slices(x, 0, points, "steps")[cut.start > 0].blob
    return Value(blob, resized(x, blob.shape))


def taken(site: Site, x: Value, by_axis: dict[int, Cut]) -> Value:
    """Parts of some axes of a blob, each of which is one factor; not of the batch."""
    if not all(cut.anchored for axis, cut in by_axis.items() if axis > 1):
        site.fixes(x)
    turned = any(cut.step < 0 for cut in by_axis.values())
    for axis in [a for a in by_axis if a == 1 or turned]:
        x = chosen(site, x, axis, by_axis.pop(axis).index, hint="slice")
    return _windows(site, x, by_axis) if by_axis else x


def _windows(site: Site, x: Value, by_axis: dict[int, Cut]) -> Value:
    """Cuts of the spatial axes."""
    if all(cut.step == 1 for cut in by_axis.values()):
        if len(x.shape) == 4:
            whole = [by_axis.get(axis, Cut(x.shape[axis], 0, x.shape[axis])) for axis in (2, 3)]
            by_other = cropped(site, x, [c.start for c in whole], [len(c.index) for c in whole])
            if by_other is not None:
                site.fixes(x)
                return by_other
        sides = {axis: (-cut.start, cut.stop - cut.size) for axis, cut in by_axis.items()}
        return padded(site, x, [sides.get(axis, (0, 0)) for axis in range(2, len(x.shape))])
    kernel, at, stride = [], [], []
    for axis in range(2, len(x.shape)):
        size = x.shape[axis]
        cut = by_axis.get(axis, Cut(size, 0, size))
        count = len(cut.index)
        first = int(cut.index[0])
        kernel.append(max(first + 1, size - count * cut.step + 1))
        at.append(first)
        stride.append(cut.step)
    site.changes_by(x, stride)
    fields = windows.fields(kernel=kernel, stride=stride)
    return one_hot(site, x, kernel, at, "slice", **fields)


def _sliced(site: Site, x: Value, axis: int, cut: Cut) -> Value | None:
    """One top of a Slice, where other nodes use all the other parts of the blob."""
    if cut.step != 1:
        return None
    others = [cuts(node, site.graph) for node in site.builder.readers.get(site.node.inputs[0], [])]
    ranges = {(cut.start, cut.stop)}
    for found in others:
        kept = [c for c in found or [] if not c.new and not c.whole]
        if len(kept) == 1 and kept[0].step == 1:
            same = [c for c in found or [] if not c.new].index(kept[0])
            if x.axis_of(same) == axis:
                ranges.add((kept[0].start, kept[0].stop))
    ordered = sorted(ranges)
    ends = [0, *(stop for _, stop in ordered)]
    if [start for start, _ in ordered] != ends[:-1] or ends[-1] != cut.size:
        return None
    number = ordered.index((cut.start, cut.stop))
    for layer in site.builder.layers:
        if layer.type == "Slice" and layer.bottoms == [x.blob]:
            options = layer.message.slice_param
            if options.axis == axis and list(options.slice_point) == ends[1:-1]:
                blob = layer.tops[number]
                break
    else:
        blob = site.slices(x, axis, ends[1:-1])[number].blob
    return Value(blob, Layout(tuple((s,) for s in blob.shape), x.layout.dims))
