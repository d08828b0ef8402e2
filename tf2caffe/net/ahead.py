"""A look at who will read a tensor, where there is a choice of how it lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tf2caffe.graph import Node, Tensor
from tf2caffe.net import axes
from tf2caffe.net.site import Builder, Site
from tfcaffe.layout import Layout, Shape

_FAR = 20  # nodes that are looked at
_RESHAPES = frozenset({"Reshape", "ExpandDims", "Squeeze"})


def best(builder: Builder, tensor: Tensor, layouts: Sequence[Layout]) -> int:
    """Which of some layouts of a tensor the next layer with a kernel reads as it is; else 0."""
    found = (i for i, layout in enumerate(layouts) if _suits(builder, tensor, layout))
    return next(found, 0)


def split(builder: Builder, tensor: Tensor) -> Shape:
    """Into which sizes the next reshape splits the last dimension; empty if it does not."""
    for current, node in _readers(builder, tensor):
        if node.op in _RESHAPES:
            shape, rest = list(Tensor(node).shape), current.shape[-1]
            tail: list[int] = []
            while shape and rest > 1 and rest % shape[-1] == 0:
                rest //= shape[-1]
                tail.insert(0, shape.pop())
            return tuple(tail) if rest == 1 and len(tail) > 1 else ()
        if node.attrs.get("data_format") or Tensor(node).shape != current.shape:
            break
    return ()


def _suits(builder: Builder, tensor: Tensor, layout: Layout) -> bool:
    for current, node in _readers(builder, tensor):
        if node.op == "Transpose":
            order = [int(i) for i in Site(builder, node).constant(1)]
            layout = axes.transposed(layout, order)
        elif node.op in _RESHAPES:
            after = axes.reshaped(layout, Tensor(node).shape)
            if after is None:
                return False
            layout = after
        elif node.attrs.get("data_format"):
            return axes.alike(layout, Site(builder, node).image_layout(current.shape))
        elif Tensor(node).shape != current.shape:
            break
    sizes = axes.fixed(layout.tf_shape)
    if len(sizes) not in (4, 5):
        return False
    return axes.alike(layout, Layout.of_tensor(sizes))


def _readers(builder: Builder, tensor: Tensor) -> Iterator[tuple[Tensor, Node]]:
    """The first reader of a tensor, that of what it makes, and so on."""
    for _ in range(_FAR):
        readers = builder.readers.get(tensor, [])
        if not readers:
            return
        yield tensor, readers[0]
        tensor = Tensor(readers[0])
