"""The nets that the benchmarks measure, as Caffe files: prototxts of our own, weights from a seed.

They are built as their authors' own prototxts are: ResNet-50 and MobileNet with BatchNorm and Scale
in place, MobileNet's classifier as a 1x1 convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path

SIZE = 224


class Prototxt:
    """A net while it is written: each method adds layers and gives the name of their top."""

    def __init__(self, name: str) -> None:
        shape = f"dim: 1 dim: 3 dim: {SIZE} dim: {SIZE}"
        self._lines = [f'name: "{name}"']
        self.layer("Input", "data", [], f"input_param {{ shape {{ {shape} }} }}")

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self._lines) + "\n"

    def layer(
        self, kind: str, name: str, bottoms: list[str], param: str = "", top: str = ""
    ) -> str:
        """Any layer."""
        wires = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self._lines.append(
            f'layer {{ name: "{name}" type: "{kind}" {wires} top: "{top or name}" {param} }}'
        )
        return top or name

    def relu(self, x: str) -> str:
        """In place."""
        return self.layer("ReLU", f"{x}/relu", [x], top=x)

    def convolution(
        self,
        x: str,
        name: str,
        outputs: int,
        kernel: int,
        stride: int = 1,
        group: int = 1,
        bias: bool = True,
    ) -> str:
        """With the pads that keep the size at stride 1."""
        param = (
            f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {kernel // 2} "
            f"group: {group} bias_term: {str(bias).lower()}"
        )
        return self.layer("Convolution", name, [x], f"convolution_param {{ {param} }}")

    def normalised(self, x: str, name: str, outputs: int, kernel: int, **how: int) -> str:
        """A convolution without bias, BatchNorm and Scale."""
        x = self.convolution(x, name, outputs, kernel, bias=False, **how)
        self.layer("BatchNorm", f"{name}/bn", [x], top=x)
        return self.layer("Scale", f"{name}/scale", [x], "scale_param { bias_term: true }", x)

    def pool(self, x: str, name: str, param: str) -> str:
        """Any pooling."""
        return self.layer("Pooling", name, [x], f"pooling_param {{ {param} }}")

    def inner_product(self, x: str, name: str, outputs: int) -> str:
        """A fully connected layer."""
        param = f"inner_product_param {{ num_output: {outputs} }}"
        return self.layer("InnerProduct", name, [x], param)


def vgg16() -> str:
    """Simonyan and Zisserman's net D."""
    net, x = Prototxt("VGG16"), "data"
    for block, (width, count) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for index in range(1, count + 1):
            x = net.relu(net.convolution(x, f"conv{block}_{index}", width, 3))
        x = net.pool(x, f"pool{block}", "kernel_size: 2 stride: 2")
    for name in ("fc6", "fc7"):
        x = net.relu(net.inner_product(x, name, 4096))
        x = net.layer("Dropout", f"{name}/drop", [x], top=x)
    net.layer("Softmax", "prob", [net.inner_product(x, "fc8", 1000)])
    return net.text


def resnet50(group: int = 1, first: int = 64) -> str:
    """He and others' ResNet-50: a stage's stride is in its first 1x1 convolutions.

    With groups (and `first` channels in the first stage) it is of ResNeXt's kind.
    """
    net = Prototxt("ResNet-50")
    x = net.relu(net.normalised("data", "conv1", 64, 7, stride=2))
    x = net.pool(x, "pool1", "kernel_size: 3 stride: 2")
    for stage, count in enumerate([3, 4, 6, 3], 2):
        width, outputs = first << stage - 2, 256 << stage - 2
        for index in range(count):
            name, stride = f"res{stage}{chr(97 + index)}", 2 if stage > 2 and not index else 1
            past = x
            if not index:
                past = net.normalised(x, f"{name}/branch1", outputs, 1, stride=stride)
            x = net.relu(net.normalised(x, f"{name}/branch2a", width, 1, stride=stride))
            x = net.relu(net.normalised(x, f"{name}/branch2b", width, 3, group=group))
            x = net.normalised(x, f"{name}/branch2c", outputs, 1)
            x = net.relu(net.layer("Eltwise", name, [past, x]))
    x = net.pool(x, "pool5", "pool: AVE kernel_size: 7 stride: 1")
    net.layer("Softmax", "prob", [net.inner_product(x, "fc1000", 1000)])
    return net.text


def resnext50() -> str:
    """ResNeXt-50 32x4d, but with ResNet's strides."""
    return resnet50(group=32, first=128)


def mobilenet() -> str:
    """MobileNet v1, full width."""
    net = Prototxt("MobileNet")
    x = net.relu(net.normalised("data", "conv1", 32, 3, stride=2))
    width = 32
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    for index, (outputs, stride) in enumerate([*blocks, (1024, 2), (1024, 1)], 2):
        x = net.relu(net.normalised(x, f"conv{index}/dw", width, 3, stride=stride, group=width))
        x = net.relu(net.normalised(x, f"conv{index}/sep", outputs, 1))
        width = outputs
    x = net.convolution(net.pool(x, "pool6", "pool: AVE global_pooling: true"), "fc7", 1000, 1)
    net.layer("Softmax", "prob", [x])
    return net.text


def alexnet() -> str:
    """AlexNet's convolutions, of which three have two groups; without LRN and inner products."""
    net = Prototxt("AlexNet")
    x = net.relu(net.convolution("data", "conv1", 96, 11, stride=4))
    x = net.pool(x, "pool1", "kernel_size: 3 stride: 2")
    x = net.relu(net.convolution(x, "conv2", 256, 5, group=2))
    x = net.pool(x, "pool2", "kernel_size: 3 stride: 2")
    x = net.relu(net.convolution(x, "conv3", 384, 3))
    x = net.relu(net.convolution(x, "conv4", 384, 3, group=2))
    x = net.relu(net.convolution(x, "conv5", 256, 3, group=2))
    x = net.pool(x, "pool5", "pool: AVE global_pooling: true")
    net.layer("Softmax", "prob", [net.inner_product(x, "fc8", 1000)])
    return net.text


NETS: dict[str, Callable[[], str]] = {
    make.__name__: make for make in (vgg16, resnet50, mobilenet, alexnet, resnext50)
}


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Writes a net's prototxt and caffemodel, a layer at a time.

    The numbers keep the size of what flows through the net, so that none of it is 0 or denormal,
    which would run at another speed.
    """
    import numpy as np

    from tfcaffe.files import caffemodel
    from tfcaffe.files.weights import Blobs, LayerBlobs
    from tfcaffe.load import load_net
    from tfcaffe.plan import make_plan

    net, weights = folder / f"{name}.prototxt", folder / f"{name}.caffemodel"
    net.write_text(NETS[name](), encoding="utf-8")
    random = np.random.default_rng(16)

    def blob(role: str, shape: tuple[int, ...]) -> np.ndarray:
        if role == "weights":
            return random.standard_normal(shape, np.float32) * np.float32(
                (2 / prod(shape[1:])) ** 0.5
            )
        if role in ("gamma", "variance", ""):  # the last is BatchNorm's factor
            return random.uniform(0.5, 1.5, shape).astype(np.float32)
        return random.standard_normal(shape, np.float32) * np.float32(0.1)

    def layers() -> Iterator[LayerBlobs]:
        for entry in make_plan(load_net(net)).layers:
            if entry.params:
                blobs = [blob(param.role, param.shape) for param in entry.params]
                yield LayerBlobs(entry.layer.name, entry.layer.type, Blobs.of(blobs))

    caffemodel.write(weights, layers(), net_name=name)
    return net, weights
