"""Whole small nets against real Caffe: architectures in miniature, odd names."""

from collections.abc import Iterator
from dataclasses import replace

from parity import Case, Parity, below, each, prove_fresh
from prototxts import blob_shape, data, layer, param


def conv(bottom: str, top: str, outputs: int, **fields: object) -> str:
    return layer(
        "Convolution", bottom, top, param("convolution_param", num_output=outputs, **fields)
    )


def fc(bottom: str, top: str, outputs: int, extra: str = "", **fields: object) -> str:
    options = param("inner_product_param", num_output=outputs, **fields)
    return layer("InnerProduct", bottom, top, f"{extra} {options}")


def pool(bottom: str, top: str, **fields: object) -> str:
    return layer("Pooling", bottom, top, param("pooling_param", **fields))


def relu(blob: str) -> str:
    return layer("ReLU", blob, blob, name=f"{blob}_relu")


def norm(blob: str) -> str:
    """BatchNorm and Scale in place, as ResNet's prototxts have them."""
    scale = layer("Scale", blob, blob, "scale_param { bias_term: true }", name=f"{blob}_scale")
    return layer("BatchNorm", blob, blob, name=f"{blob}_bn") + scale


def architectures() -> Iterator[Case]:
    """The turns that real nets take, in small."""
    image = data(2, 3, 13, 16)
    yield Case(
        "lenet",
        data(3, 1, 12, 14)
        + conv("data", "c1", 4, kernel_size=3)
        + pool("c1", "p1", kernel_size=2, stride=2)
        + conv("p1", "c2", 6, kernel_size=2)
        + pool("c2", "p2", kernel_size=2, stride=2)
        + fc("p2", "f1", 8)
        + relu("f1")
        + fc("f1", "f2", 5)
        + layer("Softmax", "f2", "prob"),
    )
    yield Case(
        "alexnet",
        data(2, 3, 23, 27)
        + conv("data", "c1", 6, kernel_size=5, stride=2)
        + relu("c1")
        + layer("LRN", "c1", "n1", "lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 }")
        + pool("n1", "p1", kernel_size=3, stride=2)
        + conv("p1", "c2", 8, kernel_size=3, pad=1, group=2)
        + relu("c2")
        + pool("c2", "p2", kernel_size=3, stride=2)
        + fc("p2", "f1", 7)
        + relu("f1")
        + layer("Dropout", "f1", "f1", name="drop")
        + fc("f1", "f2", 5)
        + layer("Softmax", "f2", "prob"),
    )
    yield Case(
        "googlenet",
        image
        + conv("data", "c", 6, kernel_size=3, stride=2, pad=1)
        + relu("c")
        + conv("c", "a", 3, kernel_size=1)
        + conv("c", "b1", 4, kernel_size=1)
        + relu("b1")
        + conv("b1", "b", 5, kernel_size=3, pad=1)
        + conv("c", "d1", 2, kernel_size=1)
        + conv("d1", "d", 3, kernel_size=5, pad=2)
        + pool("c", "e1", kernel_size=3, stride=1, pad=1)
        + conv("e1", "e", 4, kernel_size=1)
        + layer("Concat", ["a", "b", "d", "e"], "y")
        + pool("y", "g", pool="AVE", kernel_h=7, kernel_w=8)
        + fc("g", "z", 5),
    )
    yield Case(
        "resnet",
        image
        + conv("data", "c", 4, kernel_size=7, stride=2, pad=3, bias_term=False)
        + norm("c")
        + relu("c")
        + pool("c", "p", kernel_size=3, stride=2)
        + conv("p", "s", 6, kernel_size=1, stride=2, bias_term=False)
        + norm("s")
        + conv("p", "r", 6, kernel_size=3, stride=2, pad=1, bias_term=False)
        + norm("r")
        + relu("r")
        + conv("r", "t", 6, kernel_size=3, pad=1, bias_term=False)
        + norm("t")
        + layer("Eltwise", ["s", "t"], "u")
        + relu("u")
        + pool("u", "g", pool="AVE", global_pooling=True)
        + fc("g", "z", 5),
    )
    yield Case(
        "preactivation-resnet",
        image
        + conv("data", "c", 4, kernel_size=3, pad=1)
        + layer("BatchNorm", "c", "n")
        + layer("Scale", "n", "n", "scale_param { bias_term: true }", name="n_scale")
        + relu("n")
        + conv("n", "r", 4, kernel_size=3, pad=1)
        + layer("Eltwise", ["c", "r"], "u"),
    )
    yield Case(
        "mobilenet",
        image
        + conv("data", "c", 4, kernel_size=3, stride=2, pad=1, bias_term=False)
        + norm("c")
        + relu("c")
        + conv("c", "dw", 4, kernel_size=3, pad=1, group=4, bias_term=False)
        + norm("dw")
        + relu("dw")
        + conv("dw", "pw", 6, kernel_size=1, bias_term=False)
        + norm("pw")
        + layer("ReLU", "pw", "pw", "relu_param { negative_slope: 0.1 }", name="pw_relu")
        + pool("pw", "g", pool="AVE", global_pooling=True)
        + conv("g", "z", 5, kernel_size=1)
        + layer("Flatten", "z", "flat")
        + layer("Softmax", "flat", "prob"),
    )
    groups = f"reshape_param {{ {blob_shape((0, 3, 4, 7, 8))} }}"
    yield Case(
        "shufflenet",
        image
        + conv("data", "c", 6, kernel_size=3, stride=2, pad=1)
        + conv("c", "g1", 12, kernel_size=1, group=3)
        + layer("Reshape", "g1", "r1", groups)
        + layer("Slice", "r1", ["h0", "h1", "h2", "h3"], param("slice_param", axis=2))
        + layer("Concat", ["h0", "h1", "h2", "h3"], "r2", param("concat_param", axis=1))
        + layer("Reshape", "r2", "r3", f"reshape_param {{ {blob_shape((0, -1, 7, 8))} }}")
        + conv("r3", "dw", 12, kernel_size=3, pad=1, group=12)
        + conv("dw", "z", 6, kernel_size=1, group=3),
    )
    yield Case(
        "squeezenet",
        image
        + conv("data", "s", 3, kernel_size=1)
        + relu("s")
        + conv("s", "e1", 4, kernel_size=1)
        + conv("s", "e3", 4, kernel_size=3, pad=1)
        + layer("Concat", ["e1", "e3"], "y")
        + pool("y", "p", kernel_size=3, stride=2)
        + pool("p", "g", pool="AVE", global_pooling=True)
        + layer("Softmax", "g", "prob"),
    )
    yield Case(
        "densenet",
        image
        + conv("data", "c", 4, kernel_size=3, pad=1)
        + layer("BatchNorm", "c", "n1")
        + layer("Scale", "n1", "n1", "scale_param { bias_term: true }", name="n1_scale")
        + relu("n1")
        + conv("n1", "c1", 3, kernel_size=3, pad=1)
        + layer("Concat", ["c", "c1"], "d1")
        + layer("BatchNorm", "d1", "n2")
        + layer("Scale", "n2", "n2", "scale_param { bias_term: true }", name="n2_scale")
        + conv("n2", "c2", 3, kernel_size=3, pad=1)
        + layer("Concat", ["d1", "c2"], "d2")
        + pool("d2", "z", pool="AVE", kernel_size=2, stride=2),
    )
    yield Case(
        "senet",
        image
        + conv("data", "c", 6, kernel_size=3)
        + pool("c", "g", pool="AVE", global_pooling=True)
        + fc("g", "f1", 3)
        + layer("ReLU", "f1", "f1", "relu_param { negative_slope: 0.2 }", name="f1_relu")
        + fc("f1", "f2", 6)
        + layer("Sigmoid", "f2", "gate")
        + layer("Scale", ["c", "gate"], "y", "scale_param { axis: 0 }"),
    )
    yield Case(
        "face",
        data(2, 3, 12, 10)
        + conv("data", "c1", 5, kernel_size=3)
        + layer("PReLU", "c1", "c1", name="prelu1")
        + pool("c1", "p1", kernel_size=2, stride=2)
        + conv("p1", "c2", 4, kernel_size=3)
        + layer("PReLU", "c2", "c2", name="prelu2")
        + fc("c2", "f", 6)
        + layer("PReLU", "f", "f", name="prelu3")
        + fc("f", "score", 2)
        + fc("f", "box", 4)
        + layer("Softmax", "score", "prob"),
    )
    maxout = layer("Slice", "f", ["m1", "m2"], "slice_param { axis: 1 }") + layer(
        "Eltwise", ["m1", "m2"], "y", "eltwise_param { operation: MAX }"
    )
    yield Case("light-cnn", data(2, 3, 8, 7) + conv("data", "f", 8, kernel_size=3) + maxout)
    upsampled = param(
        "convolution_param", num_output=3, kernel_size=4, stride=2, bias_term=False, group=3
    )
    fcn = (
        conv("data", "c1", 4, kernel_size=3, pad=3)
        + relu("c1")
        + pool("c1", "p1", kernel_size=2, stride=2)
        + conv("p1", "s", 3, kernel_size=1)
        + layer("Deconvolution", "s", "up", upsampled)
        + conv("c1", "k", 3, kernel_size=1)
        + layer("Crop", ["up", "data"], "y", "crop_param { axis: 2 offset: 1 }")
        + layer("Crop", ["k", "y"], "v", "crop_param { axis: 2 offset: 2 }")
        + layer("Eltwise", ["y", "v"], "z")
    )
    yield Case("fcn", data(2, 3, 9, 12) + fcn)
    style = (
        conv("data", "c", 4, kernel_size=3, pad=1)
        + layer("MVN", "c", "m")
        + layer("Scale", "m", "n", "scale_param { bias_term: true }")
        + layer("TanH", "n", "t")
        + layer("Power", "t", "y", "power_param { scale: 127.5 shift: 127.5 }")
    )
    case = Case("style", image + style)
    yield case
    yield replace(
        case,
        id="style-free",
        free={"data": (2, 3, None, None)},
        sizes=({"data": (2, 3, 9, 11)}, {"data": (1, 3, 14, 8)}),
    )


def inputs_and_outputs() -> Iterator[Case]:
    """Several of either."""
    two = data(2, 3, 6, 7, name="left") + data(2, 2, 6, 7, name="right")
    yield Case(
        "two-inputs",
        two + layer("Concat", ["left", "right"], "both") + conv("both", "y", 4, kernel_size=3),
    )
    yield Case("two-branches", two + conv("left", "a", 2, kernel_size=3) + fc("right", "b", 3))
    one_layer = layer(
        "Input",
        [],
        ["a", "b"],
        "input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } shape { dim: 2 dim: 6 } }",
        name="in",
    )
    yield Case("one-input-layer", one_layer + fc("a", "c", 6) + layer("Eltwise", ["b", "c"], "y"))
    old = 'input: "data" input_dim: 2 input_dim: 3 input_dim: 5 input_dim: 6\n'
    yield Case("input-field", old + conv("data", "y", 3, kernel_size=2))
    words = layer("Embed", "words", "e", "embed_param { input_dim: 9 num_output: 6 }")
    yield Case(
        "image-and-words",
        data(2, 3, 4, 5)
        + data(2, 4, name="words")
        + words
        + layer("Reduction", "e", "r", "reduction_param { axis: 2 operation: MEAN }")
        + fc("data", "f", 4)
        + layer("Eltwise", ["r", "f"], "y", "eltwise_param { operation: PROD }"),
        {"words": below(9)},
    )
    yield Case(
        "outputs-of-every-layout",
        data(2, 3, 6, 7)
        + conv("data", "c", 4, kernel_size=3)
        + layer("Flatten", "c", "flat")
        + layer("Reshape", "c", "rows", f"reshape_param {{ {blob_shape((0, 0, -1))} }}")
        + layer("Reshape", "c", "deep", f"reshape_param {{ {blob_shape((0, 2, 2, 4, 5))} }}")
        + layer("ReLU", "c", "map"),
    )
    yield Case(
        "v1",
        "".join(
            (
                'input: "data" input_dim: 2 input_dim: 3 input_dim: 6 input_dim: 5\n',
                'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" ',
                "convolution_param { num_output: 4 kernel_size: 3 } }\n",
                'layers { name: "r" type: RELU bottom: "c" top: "c" }\n',
                'layers { name: "p" type: POOLING bottom: "c" top: "p" ',
                "pooling_param { kernel_size: 3 stride: 2 } }\n",
            )
        ),
    )


def names() -> Iterator[Case]:
    """Whatever Caffe takes as a name."""
    odd = {
        "slash": "conv1/3x3_s2",
        "slashes": "/a//b/",
        "space": "my layer",
        "quotes": "a'b\"c",
        "backslash": "a\\b",
        "braces": "{x} [y] (z)",
        "german": "Größe",
        "chinese": "卷积",
        "keyword": "lambda",
        "underscores": "__a__b_",
        "number": "1",
        "dot": "a.b",
        "percent": "%s>h1",
        "colon": "y:0",
        "at": "@a",
        "dash": "-a",
        "long": "n" * 300,
    }
    for name, text in odd.items():
        yield Case(
            f"name-{name}",
            data(2, 3, 5, 6, name=text)
            + layer(
                "Convolution",
                text,
                f"{text}'",
                "convolution_param { num_output: 2 kernel_size: 2 }",
                name=f"{text}+",
            )
            + layer("ReLU", f"{text}'", f"{text}'", name=f"{text}!"),
        )
    yield Case(
        "names-that-differ-in-case",
        data(2, 3, 4, 5, name="A") + layer("ReLU", "A", "a") + layer("TanH", "a", "Aa"),
    )
    yield Case(
        "layers-of-one-name",
        data(2, 3, 4, 5)
        + layer("ReLU", "data", "a", name="same")
        + layer("TanH", "a", "b", name="same")
        + layer("Sigmoid", "b", "c", name="same"),
    )
    yield Case(
        "layer-named-as-another-blob",
        data(2, 3, 4, 5)
        + layer("TanH", "data", "a", name="b")
        + layer("Sigmoid", "a", "b", name="a"),
    )


CASES = [*architectures(), *inputs_and_outputs(), *names()]


@each(CASES)
def test_equal(case: Case, parity: Parity) -> None:
    parity.prove(case)


@each(CASES)
def test_saved(case: Case, parity: Parity) -> None:
    parity.prove_saved(case)


def test_saved_and_loaded_with_keras_alone(parity: Parity) -> None:
    prove_fresh(CASES[::4], parity)
