"""Numbers rounded to steps: no layer of Caffe's rounds. Constants are rounded by TensorFlow."""

from __future__ import annotations

from typing import NoReturn

from tf2caffe.graph import Tensor
from tf2caffe.graph.quantised import FAKE
from tf2caffe.net.site import Site
from tf2caffe.ops import no_op

_ROUNDS = "rounds activations to the steps of 8 bits, and no layer of stock Caffe rounds"


@no_op(*FAKE)
def fake(site: Site) -> NoReturn:
    """Refused: not the function that the network was trained as."""
    raise site.refusal(
        f"{_ROUNDS}; --drop-fake-quant leaves such rounding out, and the numbers differ by it; or "
        "export the network without it"
    )


@no_op("QuantizeV2")
def codes(site: Site) -> NoReturn:
    """Refused; alone with its Dequantize it is another fake."""
    readers = site.builder.readers.get(Tensor(site.node), [])
    if all(reader.op == "Dequantize" for reader in readers):
        fake(site)
    raise site.refusal(
        f"{_ROUNDS}, and what is behind it computes with codes; convert the network as it was "
        "before it was quantised, or cut it before this node with --outputs"
    )
