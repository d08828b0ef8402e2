"""Two Caffe nets, one made from the other by way of Keras: what is not the same in them.

Layers are compared by name: type, what they read, what their fields mean, and every number, bit for
bit. What a net that is written has no need of is not compared: Split, Silence, Dropout and losses;
which kind of data layer feeds the net; Reshape and Flatten, which move no number (a blob's shape is
compared as far as the next layer sees it). A Scale behind a BatchNorm, which is one layer with it
in Keras, is compared under the BatchNorm's name; a BatchNorm without a Scale gets none. Of several
layers of one name the second is called `name_2`. A Crop may take its size from another blob.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from caffe2tf.merge import batch_norm_scales
from tfcaffe.bind import bind
from tfcaffe.infer import PlannedLayer
from tfcaffe.net import Ref
from tfcaffe.plan import Plan

_PASSED = frozenset({"Dropout", "Split", "Reshape", "Flatten"})
_AXES = frozenset({"axis", "concat_dim", "slice_dim", "num_axes"})


@dataclass(frozen=True)
class Said:
    """One layer: all that must be the same.

    Args:
        bottoms: layers and number of the top, whatever the blobs are called.
        facts: what its fields mean for these shapes.
    """

    kind: str
    bottoms: Sequence[tuple[str, int]]
    facts: Mapping[str, Any]
    numbers: Mapping[str, np.ndarray]

    def differences(self, other: Said) -> Iterator[str]:
        """What is not the same, in words."""
        if self.kind != other.kind:
            yield f"is {other.kind}, was {self.kind}"
            return
        if list(self.bottoms) != list(other.bottoms):
            yield f"reads {other.bottoms}, read {self.bottoms}"
        for fact in sorted({*self.facts, *other.facts}):
            one, two = self.facts.get(fact), other.facts.get(fact)
            if one != two:
                yield f"{fact} is {two}, was {one}"
        for role in sorted({*self.numbers, *other.numbers}):
            one, two = self.numbers.get(role), other.numbers.get(role)
            if one is None or two is None or one.shape != two.shape or not np.array_equal(one, two):
                yield f"{role} has other numbers"


def differences(before: Mapping[str, Said], after: Mapping[str, Said]) -> list[str]:
    """What is not the same in two nets, layer by layer."""
    found = [f"{name} ({said.kind}): is gone" for name, said in before.items() if name not in after]
    found += [f"{name} ({said.kind}): is new" for name, said in after.items() if name not in before]
    for name in before.keys() & after.keys():
        found += [f"{name}: {what}" for what in before[name].differences(after[name])]
    return sorted(found)


def said(plan: Plan, weights: Any) -> dict[str, Said]:
    """All layers that are compared, by name.

    Args:
        weights: the net's, as they are read from a caffemodel.
    """
    binding = bind(plan, weights)
    merged = batch_norm_scales(plan)
    passed = {i for i, entry in enumerate(plan.layers) if entry.layer.type in _PASSED}
    names = _names(plan)
    names |= {i: f"{names[norm]} and its Scale" for i, norm in merged.items()}

    def source(ref: Ref) -> tuple[str, int]:
        entry = plan.layers[ref.layer]
        if ref.layer in passed:
            return source(plan.net.sources[ref.layer][0])
        if entry.family.source:
            return entry.layer.tops[ref.top], 0
        return names[ref.layer], ref.top

    found: dict[str, Said] = {}
    for i, entry in enumerate(plan.layers):
        family = entry.family
        unneeded = family.source or family.training_only or entry.layer.type == "Silence"
        if i in passed or unneeded:
            continue
        bottoms = [source(ref) for ref in plan.net.sources[i]]
        if entry.layer.type == "Crop":  # the second bottom only tells how large
            del bottoms[1:]
        values = binding.values(i) if entry.params else {}
        tops = [_shape(plan, Ref(i, t)) for t in range(len(entry.tops))]
        known = facts(entry, _shape(plan, plan.net.sources[i][0]), tops)
        found[names[i]] = Said(entry.layer.type, bottoms, known, dict(values))
    return found


def _names(plan: Plan) -> dict[int, str]:
    """Of each layer; Caffe takes several of one name, which are told apart in what comes back."""
    seen: Counter[str] = Counter()
    found = {}
    for i, entry in enumerate(plan.layers):
        name = entry.layer.name
        seen[name] += 1
        found[i] = f"{name}_{seen[name]}" if seen[name] > 1 else name
    return found


def _shape(plan: Plan, ref: Ref) -> tuple[int, ...]:
    """Caffe's shape of a top; with a free batch, that of the prototxt."""
    shape = plan.layout(ref).shape
    free = any(size is None for size in shape)
    return plan.shapes[ref.layer][ref.top] if free else tuple(int(size or 0) for size in shape)


def facts(
    entry: PlannedLayer, shape: tuple[int, ...], tops: Sequence[tuple[int, ...]]
) -> dict[str, Any]:
    """What a layer's fields mean, the same for all ways to say it.

    Args:
        shape: of the first bottom.
    """
    family: Any = entry.family
    layer = entry.layer
    found: dict[str, Any] = {"sizes": [prod(top) for top in tops]}
    if not family.field:
        return found
    options = family.options(layer)
    if layer.type in ("Convolution", "Deconvolution"):
        g = family.geometry(layer, shape)
        found["windows"] = (g.kernel, g.stride, g.pad, _dilation(g))
        return found | {"group": options.group, "outputs": options.num_output}
    if layer.type == "Pooling":
        g = family.geometry(layer, shape)
        whole = not any(g.pad) and all(k >= n for k, n in zip(g.kernel, shape[2:], strict=True))
        windows = "all" if whole else (g.kernel, g.stride, g.pad)
        return found | {"pool": options.pool, "windows": windows}
    if layer.type == "Crop":
        return found | {"offsets": list(family.offsets(layer, len(shape)))}
    if layer.type == "BatchNorm":
        return found | {"eps": options.eps}
    if layer.type == "Eltwise":
        found["coeff"] = list(options.coeff) or [1.0] * len(layer.bottoms)
    if layer.type == "Slice":
        return found | {"axis": _around(shape, family.axis(layer, len(shape)))}
    fields = {f: getattr(options, f) for f in family.reads - _AXES}
    found |= {f: v for f, v in fields.items() if isinstance(v, int | float)}
    if hasattr(family, "axis") and (axis := family.axis(layer, len(shape))) is not None:
        found["axis"] = _around(shape, axis)
    return found


def _around(shape: Sequence[int], axis: int) -> tuple[int, int]:
    """How many numbers lie before and behind an axis, however many axes these are."""
    return prod(shape[:axis]), prod(shape[axis + 1 :])


def _dilation(g: Any) -> tuple[int, ...]:
    """Along a kernel of size 1 any dilation is the same."""
    return tuple(d if k > 1 else 1 for k, d in zip(g.kernel, g.dilation, strict=True))


def returned(
    net: Path, weights: Path, folder: Path, dialect: str, **options: Any
) -> tuple[Path, Path]:
    """A Caffe net through Keras and back: the two files."""
    import caffe2tf
    import tf2caffe

    model = caffe2tf.load(net, weights, **options)
    tf2caffe.convert(model, folder / "back", dialect=dialect, overwrite=True)
    return folder / "back.prototxt", folder / "back.caffemodel"


def weight_differences(before: Any, after: Any) -> tuple[list[str], int]:
    """What weights are not the same in two Keras models, layer by layer.

    A SeparableConv2D comes back as two layers, the second called `name_…`; a Normalization is a
    factor and a term in Caffe, and not compared. Gives how many kernels have got rows of zeros,
    too, which say a padding of TensorFlow's.
    """
    layers = {layer.name: layer for layer in after._flatten_layers() if layer.weights}
    found, enlarged = [], 0
    for layer in before._flatten_layers(include_self=False):
        if type(layer).__name__ == "Normalization":
            continue
        name = layer.name
        parts = [la for other, la in layers.items() if f"{other}_".startswith(f"{name}_")]
        have = [np.asarray(v) for part in parts for v in part.weights]
        for variable in layer.weights if name in layers else []:
            wanted = np.asarray(variable)
            if any(np.array_equal(wanted, array) for array in have):
                continue
            if wanted.ndim > 2 and any(_bare(wanted, array) for array in have):
                enlarged += 1
            else:
                found.append(f"{name}: {variable.name} has other numbers")
        if layer.weights and name not in layers:
            found.append(f"{name}: is gone")
    return found, enlarged


def _bare(kernel: np.ndarray, larger: np.ndarray) -> bool:
    """Whether a kernel [h, w, …] lies in a larger one that is zero elsewhere."""
    if kernel.ndim != larger.ndim or kernel.shape[2:] != larger.shape[2:] or not larger.any():
        return False
    used = np.argwhere(np.abs(larger).sum(axis=tuple(range(2, larger.ndim))) != 0)
    (top, left), (bottom, right) = used.min(0), used.max(0) + 1
    return np.array_equal(larger[top:bottom, left:right], kernel)
