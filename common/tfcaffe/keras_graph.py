"""What a functional Keras model is made of: its calls of layers and operations, and its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def calls(model: Any) -> Iterator[Any]:
    """Inputs and calls of layers and operations, in an order in which they can run.

    Keras has no public way to see these; `keras.Function` itself runs a graph like this.
    """
    by_depth = model._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if node.operation is not None)


def tensors(model: Any) -> dict[tuple[str, int], Any]:
    """The symbolic tensors of a functional model, by its node's name and which output it is.

    Of a node that the model calls more than once the name is the first call's: the first that was
    made; another may lie nearer to the inputs. Those of the second are called `name#2`, and so on.
    """
    mine = set(map(id, calls(model)))
    found: dict[tuple[str, int], Any] = {}
    for operation in model.operations:
        own = (node for node in operation._inbound_nodes if id(node) in mine)
        for call, node in enumerate(own, 1):
            name = operation.name if call == 1 else f"{operation.name}#{call}"
            found.update({(name, i): tensor for i, tensor in enumerate(node.outputs)})
    return found
