"""Loops and branches that depend on the data: refused, each with what to do."""

from __future__ import annotations

from typing import NoReturn

from tf2caffe.graph.loops import LOOP, LOOPS
from tf2caffe.net.site import Site
from tf2caffe.ops import no_op


@no_op(*LOOPS)
def loop(site: Site) -> NoReturn:
    """A recurrent layer, most likely: a graph does not tell which one."""
    raise site.refusal(LOOP)


@no_op("Switch", "Merge", "If", "StatelessIf", "Case", "StatelessCase")
def branch(site: Site) -> NoReturn:
    """`tf.cond` whose condition is computed."""
    raise site.refusal(
        "a branch that depends on the net's inputs; Caffe computes the same layers for every "
        "input. If the condition is the learning phase, it is fed by no bool placeholder: freeze "
        "the graph for inference"
    )
