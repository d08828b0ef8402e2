"""Layers that are one: said twice; Reshapes, Powers, Eltwises and the factors before them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tf2caffe.dialect import Dialect
from tf2caffe.net.value import Blob, NewLayer


def merged(layers: list[NewLayer], outputs: Iterable[Blob], dialect: Dialect) -> list[NewLayer]:
    """The same net of fewer layers, each of which the dialect has; outputs stay."""
    fixed = set(outputs)
    layers = _merge_reshapes(_merge_same(layers, fixed), fixed)
    layers = _merge_powers(layers, fixed)
    return _merge_factors(_merge_eltwises(layers, fixed, dialect), fixed, dialect)


def readers(layers: Iterable[NewLayer]) -> dict[Blob, list[NewLayer]]:
    """Who reads each blob; twice if as two bottoms."""
    found: dict[Blob, list[NewLayer]] = {}
    for layer in layers:
        for blob in layer.bottoms:
            found.setdefault(blob, []).append(layer)
    return found


def _merge_same(layers: list[NewLayer], fixed: set[Blob]) -> list[NewLayer]:
    """Of two layers without weights that make the same of the same blobs one is enough.

    But for those that compute nothing they are of one Keras layer: two of those stay two.
    """
    kept = []
    first_of: dict[tuple[object, ...], Sequence[Blob]] = {}
    instead: dict[Blob, Blob] = {}
    for layer in layers:
        layer.bottoms = [instead.get(blob, blob) for blob in layer.bottoms]
        if layer.bottoms and not layer.blobs:
            message = layer.message  # with the Keras layer
            if layer.type in ("Slice", "Concat"):
                message = getattr(message, f"{layer.type.lower()}_param")
            said = message.SerializeToString(deterministic=True)
            what = layer.tops[0].shape if layer.type == "Reshape" else said
            same = first_of.setdefault((layer.type, what, *layer.bottoms), layer.tops)
            if same is not layer.tops and not fixed & set(layer.tops):
                instead.update(zip(layer.tops, same, strict=True))
                continue
        kept.append(layer)
    return kept


def _merge_reshapes(layers: list[NewLayer], fixed: set[Blob]) -> list[NewLayer]:
    """Of two Reshapes in a row the second is enough, and none if they end where they began."""
    read = readers(layers)
    gone = set()
    instead: dict[Blob, Blob] = {}
    for layer in layers:
        layer.bottoms = [instead.get(blob, blob) for blob in layer.bottoms]
        if layer.type != "Reshape":
            continue
        before = layer.bottoms[0].maker
        if before is None or before.type != "Reshape" or before.tops[0] in fixed:
            continue
        if len(read[before.tops[0]]) == 1:
            gone.add(before)
            (source,) = layer.bottoms = before.bottoms
            read[source] = [layer if reader is before else reader for reader in read[source]]
            (top,) = layer.tops
            first, *rest = top.shape
            layer.message.reshape_param.Clear()
            kept = 0 if source.shape[0] == first else -1
            layer.message.reshape_param.shape.dim.extend([kept, *rest])
            if source.shape == top.shape and top not in fixed:
                gone.add(layer)
                instead[top] = source
                read[source] = [r for r in read[source] if r is not layer] + read.pop(top, [])
    return [layer for layer in layers if layer not in gone]


def _merge_powers(layers: list[NewLayer], fixed: set[Blob]) -> list[NewLayer]:
    """Two Powers in a row, the first with power 1, are one."""
    read = readers(layers)
    gone = set()
    for layer in layers:
        if layer.type != "Power":
            continue
        before = layer.bottoms[0].maker
        while (
            before is not None
            and before.type == "Power"
            and before not in gone
            and before.message.power_param.power == 1
            and len(read[before.tops[0]]) == 1
            and before.tops[0] not in fixed
        ):
            one, two = before.message.power_param, layer.message.power_param
            scale, shift = two.scale * one.scale, two.shift + two.scale * one.shift
            two.ClearField("scale")
            two.ClearField("shift")
            if scale != 1:
                two.scale = scale
            if shift != 0:
                two.shift = shift
            gone.add(before)
            layer.bottoms = before.bottoms
            read[before.bottoms[0]] = [
                layer if reader is before else reader for reader in read[before.bottoms[0]]
            ]
            before = layer.bottoms[0].maker
        own = layer.message.power_param
        if (own.scale, own.shift, own.power) == (1, 0, 1) and layer.tops[0] not in fixed:
            gone.add(layer)  # two of them were each other's inverse
            for reader in read[layer.tops[0]]:
                reader.bottoms = [
                    layer.bottoms[0] if blob is layer.tops[0] else blob for blob in reader.bottoms
                ]
    return [layer for layer in layers if layer not in gone]


def _merge_eltwises(layers: list[NewLayer], fixed: set[Blob], dialect: Dialect) -> list[NewLayer]:
    """Operations of two bottoms within one layer of the network are one Eltwise of all of them.

    Source: eltwise_layer.cpp, which takes them from the first to the last, too.
    """
    read = readers(layers)
    gone = set()
    for layer in layers:
        before = layer.bottoms[0].maker if layer.type == "Eltwise" else None
        if (
            before is not None
            and before.type == "Eltwise"
            and layer.message.eltwise_param == before.message.eltwise_param
            and not layer.message.eltwise_param.coeff
            and before.origin == layer.origin
            and before.tops[0] not in fixed
            and len(read[before.tops[0]]) == 1
            and dialect.allows("Eltwise", bottoms=len(before.bottoms) + len(layer.bottoms) - 1)
        ):
            gone.add(before)
            layer.bottoms = [*before.bottoms, *layer.bottoms[1:]]
    return [layer for layer in layers if layer not in gone]


def _merge_factors(layers: list[NewLayer], fixed: set[Blob], dialect: Dialect) -> list[NewLayer]:
    """A factor before a sum is a coefficient of the Eltwise.

    Source: eltwise_layer.cpp: `coeff` is one number for each bottom.
    """
    read = readers(layers)
    gone = set()
    for layer in layers:
        own = layer.message.eltwise_param
        if layer.type != "Eltwise" or own.operation != own.SUM:
            continue
        factors = [
            maker
            for blob in layer.bottoms
            if (maker := blob.maker) is not None
            and _is_factor(maker)
            and blob not in fixed
            and len(read[blob]) == 1
        ]
        numbers = {factor.tops[0]: factor.message.power_param.scale for factor in factors}
        before = list(own.coeff) or [1.0] * len(layer.bottoms)
        coeff = [c * numbers.get(b, 1.0) for c, b in zip(before, layer.bottoms, strict=True)]
        instead = {factor.tops[0]: factor.bottoms[0] for factor in factors}
        bottoms = [instead.get(blob, blob) for blob in layer.bottoms]
        if coeff == [-1, 1]:  # a difference as every reader takes it
            coeff, bottoms = coeff[::-1], bottoms[::-1]
        if factors and dialect.allows("Eltwise", bottoms=len(coeff), coeff=coeff):
            gone.update(factors)
            layer.bottoms = bottoms
            own.coeff[:] = coeff
    return [layer for layer in layers if layer not in gone]


def _is_factor(layer: NewLayer) -> bool:
    own = layer.message.power_param
    return layer.type == "Power" and (own.power, own.shift) == (1, 0) and own.scale != 0
