"""The net as a person would have written it: nothing spare, in place, with names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tf2caffe.dialect import Dialect
from tf2caffe.net.families import family, message
from tf2caffe.net.merging import merged, readers
from tf2caffe.net.naming import caffe_layer
from tf2caffe.net.value import Blob, NewLayer
from tfcaffe.errors import UnsupportedError

_NOT_IN_PLACE = frozenset({"Eltwise", "MVN", "Softmax"})  # right in Caffe, not with every reader


def tidy(layers: Sequence[NewLayer], outputs: Iterable[Blob], dialect: Dialect) -> list[NewLayer]:
    """The layers that outputs need, named, in place where that is right for every reader.

    Raises:
        UnsupportedError: nobody reads a top, and the dialect has no Silence for it.
    """
    kept = merged(_needed(layers, outputs), outputs, dialect)
    kept = _silenced(kept, outputs, dialect)
    _in_place(kept, outputs)
    _name(kept)
    return kept


def _needed(layers: Sequence[NewLayer], outputs: Iterable[Blob]) -> list[NewLayer]:
    wanted = set(outputs)
    kept = []
    for layer in reversed(layers):
        if layer.type == "Input" or not wanted.isdisjoint(layer.tops):
            wanted.update(layer.bottoms)
            kept.append(layer)
    return kept[::-1]


def _silenced(
    layers: Iterable[NewLayer], outputs: Iterable[Blob], dialect: Dialect
) -> list[NewLayer]:
    """Tops that nobody reads go into a Silence, so that they are no outputs."""
    used = {*readers(layers), *outputs}
    found = []
    for layer in layers:
        found.append(layer)
        unread = [top for top in layer.tops if top not in used and layer.type != "Input"]
        if unread and not dialect.has("Silence"):
            raise UnsupportedError(
                f"layer {layer.origin!r}: nobody reads one of its parts, and the dialect "
                f"{dialect.name} has no Silence for it; choose another --dialect, or cut by a slice"
            )
        if unread:
            found.append(
                NewLayer("Silence", message("Silence"), unread, [], [], layer.origin, "unused")
            )
    return found


def _in_place(layers: Sequence[NewLayer], outputs: Iterable[Blob]) -> None:
    """A layer writes where it reads if nobody else reads that, and it is no input or output."""
    fixed, read = set(outputs), readers(layers)
    for layer in layers:
        blob = layer.bottoms[0] if len(layer.bottoms) == 1 == len(layer.tops) else None
        layer.in_place = (
            blob is not None
            and layer.type not in _NOT_IN_PLACE
            and family(layer.type).in_place
            and all(len(read[b]) == 1 and b not in fixed for b in _memory(blob))
            and _kind(_memory(blob)[-1]) not in ("", "Input", "Parameter")
        )


def _kind(blob: Blob) -> str:
    return blob.maker.type if blob.maker else ""


def _memory(blob: Blob) -> list[Blob]:
    """The blob, and those before it whose memory it has: a Reshape's top is its bottom's."""
    found = [blob]
    while (maker := found[-1].maker) and maker.type in ("Reshape", "Flatten"):
        found += maker.bottoms
    return found


def _name(layers: Sequence[NewLayer]) -> None:
    """The layer with the Keras layer's weights bears its name, its helpers `name_what`.

    Blobs are called after the layer that makes them.
    """
    groups: dict[str, list[NewLayer]] = {}
    first_calls = {caffe_layer(layer.origin) for layer in layers if "#" not in layer.origin}
    for layer in layers:
        title = caffe_layer(layer.origin)
        if "#" in layer.origin and title in first_calls:  # of another layer
            title = layer.origin.replace("#", "_call")
        groups.setdefault(title, []).append(layer)
    taken = set(groups)
    for origin, group in groups.items():
        main = _main(group)
        counts: Counter[str] = Counter()
        for layer in group:
            if layer is main:
                layer.name = origin
                continue
            hint = layer.hint or layer.type.lower()
            while not layer.name or layer.name in taken:
                counts[hint] += 1
                number = str(counts[hint]) if counts[hint] > 1 else ""
                layer.name = f"{origin}_{hint}{number}"
            taken.add(layer.name)
    for layer in layers:
        layer.message.name = layer.name
        for i, top in enumerate(layer.tops):
            top.name = layer.name if i == 0 else f"{layer.name}_{i}"
            while i and top.name in taken:  # another layer is called so
                top.name += "_"
            taken.add(top.name)
            if layer.in_place:
                top.name = layer.bottoms[0].name
        del layer.message.bottom[:], layer.message.top[:]
        layer.message.bottom.extend(blob.name for blob in layer.bottoms)
        layer.message.top.extend(blob.name for blob in layer.tops)


def _main(group: Sequence[NewLayer]) -> NewLayer:
    """The first layer with weights of the network's own; where none has, the last."""
    made = [layer for layer in group if layer.tops]
    return next((layer for layer in made if layer.learned), made[-1])
