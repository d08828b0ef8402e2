"""Which transform a pair has.

The layer's family says how both sides lie (`Param.layout`); a mapping adds only what is unusual.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tfcaffe.layers.base import Param
from tfcaffe.layers.recurrent import KERAS_GATES, gate_places
from tfcaffe.layout import Pattern, Shape
from tfcaffe.mapping.transform import Part, Transform, inputs_of

_AXIS = r"(?:[a-z](?:[a-z0-9_]*[a-z0-9])?|1)\b *"
_SIDE = rf" *(?:{_AXIS}|\( *(?:{_AXIS})+\) *)+"  # of an einops pattern
_CANDIDATES = ("HWIO", "HWOI", "OIHW", "IOHW", "OHWI", "HWIM", "DHWIO", "OIDHW", "WIO", "IO", "OI")


class LayoutError(ValueError):
    """What this layer's blob cannot lie like; says why."""


def default(param: Param) -> Transform:
    """What the layer's family says."""
    return _transform(param, param.layout.text, param.layout.sizes)


def relaid(param: Param, layout: str) -> Transform:
    """With the variable's axes in the order of these letters.

    Letters: O outputs, I inputs, H, W, D the kernel's axes, M a depthwise kernel's multiplier.

    Raises:
        LayoutError: the blob has no such axes.
    """
    text = _text_of(param, layout)
    if not text:
        known = [known for known in _CANDIDATES if _text_of(param, known)]
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise LayoutError(
            f"the layout {layout!r} does not name each axis of this blob once; {takes}"
        )
    return _transform(param, text, param.layout.sizes)


def _text_of(param: Param, layout: str) -> str:
    """The pattern of a layout; "" if the blob has no such axes."""
    tf, caffe = sides(param)
    axes = set(re.findall(r"[a-z]\w*", caffe))
    names = {axis.upper(): axis for axis in axes}
    if {"c", "m"} <= axes:  # a depthwise kernel
        names |= {"I": "c"} if "M" in layout else {"I": "1", "O": "(c m)"}
    elif inputs := inputs_of(tf):
        spatial = set(layout) & set("DHW")
        names["I"] = "c" if spatial else inputs
        if axes == {"c", "o"}:  # the input is flat: a convolution of kernel 1 is meant
            names |= dict.fromkeys(spatial, "1")
    text = " ".join(names.get(letter, "?") for letter in layout)
    whole = "?" not in text and sorted(re.findall(r"[a-z]\w*", text)) == sorted(axes)
    return f"{text} -> {caffe}" if whole else ""


def flattened(param: Param, order: Sequence[tuple[str, int]], layout: str = "") -> Transform:
    """With a fully connected layer's input flattened in this order (letter, size or 0).

    Args:
        layout: of the variable, if it is not the usual one.

    Raises:
        LayoutError: it is no such layer; letters or sizes that are not its input's.
    """
    tf, caffe = sides(param)
    inputs = inputs_of(tf)
    if not inputs:
        raise LayoutError("`flatten` is for the weights of fully connected layers")
    if layout:
        tf = relaid(param, layout).pattern.text.split("->")[0].strip()
        if inputs not in tf:
            raise LayoutError(f"`flatten` is for one axis of inputs, and {layout!r} has several")
    said = {letter.lower(): size for letter, size in order if size}
    known = dict(param.layout.sizes)
    mine = " ".join(letter.lower() for letter, _ in order)
    theirs = " ".join(axis for axis in ("c", "d", "h", "w") if axis in mine.split())
    if len(set(mine.split())) < len(order) or len(theirs.split()) < len(order):
        raise LayoutError("`flatten` names C, H and W (and D) once each")
    old = re.findall(r"\w+", inputs)
    if sorted(old) == ["c", "w"] and "h" in mine.split():  # a Flatten made one of H and W
        if known["c"] != said.get("c", known["c"]):
            raise LayoutError(f"`flatten`: the layer's input has {known['c']} channels")
        if len(said) == len(order):
            old = ["c"]
        elif "h w" in mine:
            mine, theirs = mine.replace("h w", "w"), theirs.replace("h w", "w")
            said = {}
    if len(old) > 1 and sorted(old) != sorted(mine.split()):
        raise LayoutError(f"`flatten`: the layer's input has the axes {', '.join(old).upper()}")
    if len(old) > 1 and any(known.get(axis, size) != size for axis, size in said.items()):
        raise LayoutError(f"`flatten`: the layer's input is {known}")
    if len(old) == 1 and len(said) < len(order):
        raise LayoutError(
            "`flatten`: the prototxt does not tell the sizes; write them: [C=512, H=7, W=7]"
        )
    group = re.compile(r"\([^()]*\)")
    text = f"{group.sub(f'({mine})', tf)} -> {group.sub(f'({theirs})', caffe)}"
    return _transform(param, text, known if len(old) > 1 else said)


def rearranged(param: Param, text: str) -> Transform:
    """By an einops pattern, TensorFlow's side first.

    Raises:
        LayoutError: it is none, or does not fit the blob.
    """
    if not re.fullmatch(f"{_SIDE}->{_SIDE}", text):
        raise LayoutError(f"{text!r} is no pattern like h w i o -> o i h w")
    known = re.findall(r"\w+", text)
    return _transform(param, text, {a: n for a, n in param.layout.sizes.items() if a in known})


def gate_order(param: Param, letters: str) -> tuple[int, ...]:
    """For each of the blob's gates its number in a variable that orders them like `letters`.

    `c`, the cell's candidate, is also called g or j.

    Raises:
        LayoutError: letters that are not the blob's gates.
    """
    if not param.gates:
        return ()
    said = letters.replace("g", "c").replace("j", "c")
    if sorted(said) != sorted(param.gates):
        raise LayoutError(f"`gates` names i, f, c (or g, or j) and o once each, not {letters!r}")
    return gate_places(param.gates, said)


def part_of(transform: Transform, first: int, whole: int) -> Part:
    """The rows of a kernel from `first` on, of `whole` rows; one row for each input.

    Raises:
        LayoutError: the variable's inputs are no dimension of their own.
    """
    outputs = dimension(transform, "o")
    if len(transform.joined) != 2:
        raise LayoutError("`part` is for a kernel with one axis of inputs and one of outputs")
    return Part(1 - outputs, first, whole)


def fitting(param: Param, shape: Shape) -> Iterator[str]:
    """Layouts that a variable of this shape can have, where the usual one does not fit."""
    for layout in _CANDIDATES:
        try:
            if relaid(param, layout).joined == shape:
                yield f"layout: {layout}"
        except LayoutError:
            continue
    if [size for size in shape if size > 1] == [n for n in default(param).joined if n > 1]:
        yield from _with_ones(param, shape)


def _with_ones(param: Param, shape: Shape) -> Iterator[str]:
    """The usual order, with axes of size 1 more or fewer."""
    tf, caffe = sides(param)
    sizes = Pattern(param.layout.text, param.layout.sizes).axis_sizes(param.shape)
    groups = [re.findall(r"[a-z]\w*", group) for group in re.findall(r"\([^()]*\)|\w+", tf)]
    long = [[axis for axis in group if sizes[axis] > 1] for group in groups]
    if any(len(group) > 1 for group in long):
        return
    axes = iter([group[0] for group in long if group])
    text = " ".join("1" if size == 1 else next(axes) for size in shape)
    kept = re.sub(r"[a-z]\w*", lambda axis: axis[0] if sizes[axis[0]] > 1 else "1", caffe)
    kept = re.sub(r"\(([^()]*)\)", lambda group: _long(group.group(1)), kept)
    pattern = f"{text} -> {kept}"
    yield f'rearrange: "{pattern.replace("a0", "c")}"'


def _long(group: str) -> str:
    """Of a group's axes the one that is longer than 1."""
    return next((axis for axis in group.split() if axis != "1"), "1")


def axis_of(transform: Transform, letter: str) -> str:
    """The pattern's axis that a letter means (`H` is h, `I` the inputs).

    Raises:
        LayoutError: the variable has none of that name that lies alone.
    """
    tf = transform.pattern.text.split("->")[0]
    axes: list[str] = re.findall(r"[a-z]\w*", tf)
    if letter.lower() in axes:
        return letter.lower()
    if letter == "I" and "c" in axes:
        return "c"
    if letter in "OIC" and len(axes) == 1:  # a number for each channel
        return axes[0]
    raise LayoutError(f"the variable has no axis {letter}: it has {tf.strip()}")


def dimension(transform: Transform, axis: str) -> int:
    """The variable's dimension that is this axis.

    Raises:
        LayoutError: it is merged with others.
    """
    dims = re.findall(r"\([^()]*\)|\w+", transform.pattern.text.split("->")[0])
    if axis not in dims:
        whole = next((i for i, dim in enumerate(dims) if axis in re.findall(r"\w+", dim)), None)
        if whole is None or len(re.findall(r"\w+", dims[whole])) > 1:
            raise LayoutError(f"the variable's axis {axis.upper()} is merged with others")
        return whole
    return dims.index(axis)


def sides(param: Param) -> tuple[str, str]:
    """TensorFlow's and Caffe's side of the family's own pattern."""
    tf, caffe = (side.strip() for side in param.layout.text.split("->"))
    return tf, caffe


def _transform(param: Param, text: str, sizes: Mapping[str, int]) -> Transform:
    tf, caffe = (sorted(re.findall(r"[a-z]\w*", side)) for side in text.split("->"))
    if tf != caffe or len(set(tf)) < len(tf):
        raise LayoutError(f"{text!r} does not have the same axes, each once, on both sides")
    try:
        full = Pattern(text, Pattern(text, sizes).axis_sizes(param.shape))
        full.tf_shape(param.shape)
    except ValueError as error:
        raise LayoutError(str(error)) from error
    return Transform(full, param.shape, gates=gate_order(param, KERAS_GATES))
