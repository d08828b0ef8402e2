"""Random numbers."""

from __future__ import annotations

from typing import NoReturn

from tf2caffe.graph.noise import RANDOM
from tf2caffe.net.site import Site
from tf2caffe.ops import no_op

_MORE = (
    *("RandomUniformInt", "RandomShuffle", "Multinomial", "StatelessMultinomial"),
    *("StatelessRandomGetKeyCounter", "StatelessRandomNormal", "StatelessRandomNormalV2"),
    *("StatelessRandomUniformInt", "StatelessRandomUniformIntV2", "StatelessTruncatedNormalV2"),
)


@no_op(*sorted(RANDOM), *_MORE)
def drawn(site: Site) -> NoReturn:
    """Refused; dropout is gone before (graph/noise.py)."""
    raise site.refusal(
        "draws random numbers at each call, and no layer of Caffe does; export the network for "
        "inference, without augmentation and noise, or cut the net behind it with --inputs"
    )
