"""A TensorFlow model as `verify` sees it: named inputs, and tensors that can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from tfcaffe.errors import ConversionError
from tfcaffe.verify.compare import Array

_WHERE = ("Graph execution error", "Detected at node", "Node: ", "[[{{node")
Place = tuple[str, int]  # a node's name, and which of its outputs
Visit = Callable[[Place, Array], None]
Instead = Callable[[Place], "Array | None"]


class ModelError(ConversionError):
    """A model that cannot run on what it is fed; carries TensorFlow's own words."""


class Model(Protocol):
    """What is needed of a model.

    Attributes:
        name: what messages call it.
        inputs: the names of its inputs, in order.
        outputs: its outputs, in order.
        by_blob: whether inputs and outputs bear the names of blobs, not of nodes.
        sees_inside: whether tensors besides the outputs can be looked at and replaced.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[Place, ...]
    by_blob: bool
    sees_inside: bool

    def has(self, place: Place) -> bool:
        """Whether there is such a tensor to look at."""

    def feed_at(self, names: Sequence[str]) -> None:
        """Be fed at these tensors (`has`) from now on, in the place of the inputs."""

    def run(
        self,
        feeds: Mapping[str, Array],
        watched: Collection[Place],
        visit: Visit,
        instead: Instead | None = None,
    ) -> None:
        """Run it on these inputs, all as the model lays them.

        Args:
            watched: the tensors to visit; each must be there (`has`).
            visit: is called with each of them and its numbers.
            instead: what takes a watched tensor's place for all that reads it, if not None.

        Raises:
            ModelError: it cannot run on these inputs.
        """


def first_line(error: Exception) -> str:
    """The first line of what an error of a framework says that says something.

    TensorFlow's begin with where an op was defined.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(_WHERE)]
    return (said or [type(error).__name__])[0]
