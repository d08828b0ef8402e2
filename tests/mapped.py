"""What the tests of mappings share: a net as text, variables in memory, a mapping as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.load import load_net
from tfcaffe.mapping.document import Listing, Node, Text, parse
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.resolve import Resolved, resolve
from tfcaffe.plan import Plan, make_plan
from tfcaffe.variables.base import Variable

NET = """
layer { name: "data" type: "Input" top: "data" 
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "dw" type: "Convolution" bottom: "bn" top: "dw"
  convolution_param { num_output: 8 group: 4 kernel_h: 3 kernel_w: 2 bias_term: false } }
layer { name: "relu" type: "ReLU" bottom: "dw" top: "dw" }
layer { name: "fc" type: "InnerProduct" bottom: "dw" top: "fc"
  inner_product_param { num_output: 5 } }
"""
ENTRIES = """
  conv: {weights: k/w, bias: k/b}
  bn: {mean: bn/mean, variance: bn/var}
  scale: {gamma: bn/gamma, beta: bn/beta}
  dw: {weights: d/w}
  fc: {weights: fc/w, bias: fc/b}
"""
SHAPES: dict[str, tuple[int, ...]] = {
    "k/w": (3, 3, 3, 4),
    "k/b": (4,),
    "bn/mean": (4,),
    "bn/var": (4,),
    "bn/gamma": (4,),
    "bn/beta": (4,),
    "d/w": (3, 2, 4, 2),
    "fc/w": (5 * 5 * 8, 5),
    "fc/b": (5,),
}


def plan_of(text: str, folder: Path) -> Plan:
    """The plan of a net."""
    path = folder / "net.prototxt"
    path.write_text(text)
    return make_plan(load_net(path))


def resolved(
    plan: Plan,
    entries: str = ENTRIES,
    shapes: Mapping[str, Sequence[int]] | None = SHAPES,
    *,
    head: str = "",
    partial: bool = False,
) -> Resolved:
    """A mapping of these entries, held against the plan and variables of these shapes."""
    mapping = parse_mapping(f"mapping: 1\n{head}layers:{entries}", Path("m.yaml"))
    known = None if shapes is None else {name: tuple(shape) for name, shape in shapes.items()}
    return resolve(mapping, plan, known, partial=partial)


def variables(
    rng: np.random.Generator, shapes: Mapping[str, Sequence[int]] = SHAPES
) -> dict[str, Variable]:
    """Random numbers, positive where they are variances."""
    found = {}
    for name, shape in shapes.items():
        array = np.asarray(rng.normal(size=tuple(shape)), np.float32)
        found[name] = in_memory(name, np.abs(array) + 1 if name.endswith("var") else array)
    return found


def in_memory(name: str, array: np.ndarray) -> Variable:
    """A variable of these numbers."""
    return Variable(name, array.shape, str(array.dtype), lambda: array)


def strings(text: str) -> Any:
    """A YAML document as lists and dicts of strings, as a JSON Schema wants it."""

    def plain(node: Node) -> Any:
        if isinstance(node, Text):
            return node.value
        if isinstance(node, Listing):
            return [plain(item) for item in node.items]
        return {key.value: plain(value) for key, value in node.items}

    return plain(parse(text, "m.yaml"))
