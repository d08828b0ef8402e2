"""A layer type of a forked Caffe: HardSigmoid, min(max(alpha · x + beta, 0), 1).

caffe2tf convert examples/plugin.prototxt -o gate.keras \
    --proto examples/plugin.proto --plugin examples/plugin.py
"""

from collections.abc import Sequence

from caffe2tf.site import Site, Tensor, builds
from tfcaffe.errors import UnsupportedError
from tfcaffe.layers.base import Elementwise, Layer, fields, register


@register("HardSigmoid")
class HardSigmoid(Elementwise):
    """One number in, one number out: shapes and layouts are the bottom's."""

    field = "hard_sigmoid_param"
    reads = fields("alpha beta")

    def check(self, layer: Layer) -> None:
        if self.options(layer).alpha <= 0:
            raise UnsupportedError(f"{layer}: hard_sigmoid_param.alpha must be positive")


@builds("HardSigmoid")
def hard_sigmoid(site: Site, bottoms: Sequence[Tensor]) -> Tensor:
    """Two Keras layers; the second bears the Caffe layer's name by itself."""
    line = site.add("Rescaling", bottoms[0], scale=site.options.alpha, offset=site.options.beta)
    return site.add("ReLU", line, max_value=1.0)
