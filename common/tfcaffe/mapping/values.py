"""What one role of an entry is in TensorFlow: a name, or braces that say more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tfcaffe.mapping.document import Node, Place, Section, Text, wrong
from tfcaffe.mapping.fields import check_keys, expect, number_at, text_at, texts_at
from tfcaffe.mapping.template import Template, name_template

_KERNEL = ("layout", "flatten", "reverse", "rearrange", "part", "gates", "forget_bias")
_VALUE = ("variable", "concat", "along", "constant", "minus", "epsilon", *_KERNEL)


@dataclass(frozen=True)
class Value:
    """What one role of an entry is in TensorFlow.

    Args:
        variables: one name, or several to be joined along the axis `along`; none for a constant.
        constant: Caffe's blob is filled with it, and there is no variable.
        minus: a variable that is subtracted, since Caffe has no blob for it.
        epsilon: TensorFlow's, for a BatchNorm's variance.
        layout: letters of the variable's axes (`HWIO`), where they are not the usual ones.
        flatten: the order of a fully connected layer's input, as (letter, size or 0).
        reverse: letters of axes along which the kernel is turned round.
        rearrange: an einops pattern, TensorFlow's side first.
        part: "input" or "recurrent": the first or last rows of a variable that is both kernels.
        gates: letters of a recurrent layer's gates, in the variable's order.
        forget_bias: what TensorFlow adds to the forget gate's bias when it runs.
    """

    place: Place
    variables: tuple[Template, ...] = ()
    along: str = ""
    constant: float | None = None
    minus: Template | None = None
    epsilon: float | None = None
    layout: str = ""
    flatten: tuple[tuple[str, int], ...] = ()
    reverse: tuple[str, ...] = ()
    rearrange: str = ""
    part: str = ""
    gates: str = ""
    forget_bias: float | None = None

    @property
    def unusual(self) -> bool:
        """Whether it says more than a variable's name."""
        return self != Value(self.place, self.variables)


def value_of(node: Node, key: Template) -> Value:
    """The value that a node is, below this key.

    Raises:
        MappingError: it is none.
    """
    if isinstance(node, Text):
        return Value(node.place, (name_template(node, key),))
    if not isinstance(node, Section):
        raise wrong(node.place, "write a variable's name, or {variable: …}, {constant: …} …")
    check_keys(node, _VALUE, "a role")
    what = [name for name in ("variable", "constant", "concat") if node.get(name)]
    if len(what) != 1:
        raise wrong(node.place, "write exactly one of variable, constant and concat")
    if what == ["constant"]:
        if len(node.items) > 1:
            raise wrong(node.place, "a constant stands alone")
        return Value(node.place, constant=number_at(node, "constant"))
    along, minus = text_at(node, "along"), node.get("minus")
    if bool(along) != (what == ["concat"]):
        raise wrong(node.place, "`concat: [a, b]` and `along: O` belong together")
    if node.get("rearrange") and (node.get("layout") or node.get("flatten")):
        raise wrong(node.place, "`rearrange` says all; `layout` and `flatten` do not go with it")
    part = text_at(node, "part")
    if node.get("part") and (part not in ("input", "recurrent") or what != ["variable"]):
        raise wrong(node.place, "`part` is input or recurrent, and belongs to one `variable`")
    return Value(
        node.place,
        tuple(_names(node, key)),
        along,
        minus=None if minus is None else name_template(expect(Text, minus, "a name"), key),
        epsilon=epsilon_at(node),
        layout=text_at(node, "layout"),
        flatten=tuple(_sizes(node)),
        reverse=tuple(text.value for text in texts_at(node, "reverse")),
        rearrange=text_at(node, "rearrange"),
        part=part,
        gates=text_at(node, "gates"),
        forget_bias=number_at(node, "forget_bias"),
    )


def _names(node: Section, key: Template) -> Iterator[Template]:
    variable = node.get("variable")
    if variable is not None:
        yield name_template(expect(Text, variable, "a variable's name"), key)
        return
    names = list(texts_at(node, "concat"))
    if len(names) < 2:
        raise wrong(node.place, "`concat` takes a list of two variables or more")
    yield from (name_template(name, key) for name in names)


def _sizes(node: Section) -> Iterator[tuple[str, int]]:
    """`[C, H, W]`, or with sizes that the prototxt does not tell: `[C=512, H=7, W=7]`."""
    for text in texts_at(node, "flatten"):
        letter, said, size = text.value.partition("=")
        if len(letter) != 1 or not letter.isupper() or bool(said) != size.isdecimal():
            raise wrong(
                text.place, "`flatten` is a list of letters: [C, H, W] or [C=512, H=7, W=7]"
            )
        yield letter, int(size or 0)


def epsilon_at(section: Section) -> float | None:
    """TensorFlow's epsilon; None if there is no such key."""
    node, value = section.get("epsilon"), number_at(section, "epsilon")
    if node is not None and value is not None and value < 0:
        raise wrong(node.place, f"`epsilon`: {value:g} is below 0; write TensorFlow's, as 0.001")
    return value
