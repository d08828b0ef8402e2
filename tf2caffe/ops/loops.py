"""Loops, branches that depend on the data, and state: refused, each with what to do."""

from __future__ import annotations

from typing import NoReturn

from tf2caffe.graph.loops import REASONS
from tf2caffe.net.site import Site
from tf2caffe.ops import no_op


@no_op(*REASONS)
def loop(site: Site) -> NoReturn:
    """A recurrent layer, most likely: a graph does not tell which one."""
    raise site.refusal(REASONS[site.node.op])


@no_op("AssignedVariable")
def assigned(site: Site) -> NoReturn:
    """A function's own state."""
    raise site.refusal(
        "a variable that the network changes while it runs (a counter, a seed, statistics of "
        "training), and Caffe's layers keep no state; export the network for inference"
    )
