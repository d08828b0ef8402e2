"""What a mapping cannot see: orders of numbers between layers, and readers of pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe2tf
import tf2caffe
from mapped import plan_of
from tfcaffe.mapping import orders
from tfcaffe.mapping.check import check
from tfcaffe.mapping.flow import follow
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.resolve import resolve
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.variables.keras_config import Ordering

PICTURE = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
"""
VECTOR = PICTURE.replace("dim: 3 dim: 6 dim: 5", "dim: 60")
RESHAPED = """layer { name: "r" type: "Reshape" bottom: "data" top: "r"
  reshape_param { shape { dim: 0 dim: 3 dim: 4 dim: 5 } } }
"""
CHANNELS = "mapping: 1\nchannels: {caffe: bgr, tensorflow: rgb}\nlayers: {c: {weights: w}}\n"


def layer(kind: str, name: str, bottoms: str, more: str = "") -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {read} top: "{name}" {more} }}\n'


def conv(name: str, bottom: str, more: str = "") -> str:
    said = f"num_output: 6 kernel_size: 3 bias_term: false {more}"
    return layer("Convolution", name, bottom, f"convolution_param {{ {said} }}")


def fc(name: str, bottoms: str) -> str:
    return layer("InnerProduct", name, bottoms, "inner_product_param { num_output: 60 }")


FLAT = PICTURE + conv("c", "data") + layer("Flatten", "flat", "c")


def dense() -> Any:
    import keras

    return keras.layers.Dense(60, name="fc")


def flat(name: str) -> Any:
    """A convolution of a name, and its output as a vector."""
    import keras

    return lambda x: keras.layers.Flatten()(keras.layers.Conv2D(6, 3, use_bias=False, name=name)(x))


def norm(x: Any) -> Any:
    import keras

    return keras.layers.BatchNormalization(epsilon=1e-5, name="bn")(x)


def prelu(x: Any) -> Any:
    import keras

    return keras.layers.PReLU(name="p")(x)


def joined(*parts: Any) -> Any:
    import keras

    return keras.layers.Concatenate()(list(parts))


def picture(x: Any) -> Any:
    import keras

    return keras.layers.Reshape((4, 5, 3))(x)


C = "  c: {weights: c/kernel}\n"
FC = "  fc: {weights: fc/kernel, bias: fc/bias}\n"
BN = "  bn: {mean: bn/moving_mean, variance: bn/moving_variance}\n"
SCALE = "  s: {gamma: bn/gamma, beta: bn/beta}\n"
TO_PICTURE = RESHAPED.replace('m: "data"', 'm: "fc"')
NORM = layer("BatchNorm", "bn", "flat") + layer(
    "Scale", "s", "bn", "scale_param { bias_term: true }"
)
BRANCH = conv("a", "data", "kernel_w: 2").replace("kernel_size: 3", "kernel_h: 3")
# What Caffe computes, its entries, and the same in Keras, where nobody transposes.
EXACT: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "BatchNorm and Scale": (
        FLAT + NORM + fc("fc", "s"),
        C + BN + SCALE + FC,
        lambda x: dense()(norm(flat("c")(x))),
    ),
    "PReLU": (
        FLAT + layer("PReLU", "p", "flat") + fc("fc", "p"),
        C + "  p: {slope: p/alpha}\n" + FC,
        lambda x: dense()(prelu(flat("c")(x))),
    ),
    "Softmax": (
        FLAT
        + layer("Power", "less", "flat", "power_param { scale: 0.1 }")
        + layer("Softmax", "soft", "less")
        + fc("fc", "soft"),
        C + FC,
        lambda x: dense()(soft(flat("c")(x))),
    ),
    "two branches and a vector": (
        FLAT
        + BRANCH
        + layer("Flatten", "flat_a", "a")
        + fc("v", "data")
        + layer("Concat", "all", "flat v flat_a")
        + fc("fc", "all"),
        C + "  a: {weights: a/kernel}\n  v: {weights: v/kernel, bias: v/bias}\n" + FC,
        lambda x: dense()(joined(flat("c")(x), vector(x), branch(x))),
    ),
    "a vector becomes a picture": (
        PICTURE
        + fc("fc", "data")
        + layer("BatchNorm", "bn", "fc")
        + layer("Scale", "s", "bn", "scale_param { bias_term: true }")
        + RESHAPED.replace('m: "data"', 'm: "s"')
        + conv("c", "r"),
        FC + BN + SCALE + C,
        lambda x: conv_of(picture(norm(dense()(vectors(x))))),
    ),
    "a vector becomes a picture that goes out": (
        PICTURE + fc("fc", "data") + TO_PICTURE,
        FC,
        lambda x: picture(dense()(vectors(x))),
    ),
    "a picture and its vector, transposed": (
        PICTURE
        + fc("fc", "data").replace("num_output: 60", "num_output: 60 transpose: true")
        + TO_PICTURE
        + fc("g", "r").replace("num_output: 60", "num_output: 7 transpose: true")
        + layer("Flatten", "again", "r")
        + fc("h", "again").replace("num_output: 60", "num_output: 7")
        + layer("Eltwise", "sum", "g h"),
        FC + "  g: {weights: g/kernel, bias: g/bias}\n  h: {weights: h/kernel, bias: h/bias}\n",
        lambda x: both(vectors(picture(dense()(vectors(x))))),
    ),
}


def soft(x: Any) -> Any:
    import keras

    return keras.layers.Softmax()(keras.layers.Rescaling(0.1)(x))


def vectors(x: Any) -> Any:
    import keras

    return keras.layers.Flatten()(x)


def vector(x: Any) -> Any:
    import keras

    return keras.layers.Dense(60, name="v")(vectors(x))


def branch(x: Any) -> Any:
    import keras

    return vectors(keras.layers.Conv2D(6, (3, 2), use_bias=False, name="a")(x))


def conv_of(x: Any) -> Any:
    import keras

    return keras.layers.Conv2D(6, 3, use_bias=False, name="c")(x)


def both(x: Any) -> Any:
    import keras

    return keras.layers.Add()([keras.layers.Dense(7, name=name)(x) for name in "gh"])


@pytest.mark.parametrize("name", EXACT)
def test_orders_that_follow_from_the_prototxt(
    name: str, tmp_path: Path, rng: np.random.Generator, caffe: Caffe
) -> None:
    """Real Caffe computes what Keras does, and every number comes back."""
    import keras

    net, entries, make = EXACT[name]
    (tmp_path / "n.prototxt").write_text(net)
    (tmp_path / "m.yaml").write_text(f"mapping: 1\nlayers:\n{entries}")
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, make(inputs))
    for variable in model.weights:
        numbers = rng.normal(0, 0.5, variable.shape)
        variable.assign(np.abs(numbers) + 0.3 if "variance" in variable.path else numbers)
    model.save(tmp_path / "m.keras")
    sides = tmp_path / "m.yaml", tmp_path / "n.prototxt"
    found = check(*sides, checkpoint=tmp_path / "m.keras", run=True)
    assert found.good, found.to_text()
    assert "differ" not in found.to_text()
    tf2caffe.convert(
        tmp_path / "m.keras", tmp_path / "n.caffemodel", prototxt=sides[1], mapping=sides[0]
    )
    caffe2tf.convert(sides[1], tmp_path / "n.caffemodel", tmp_path / "back.npz", mapping=sides[0])
    with np.load(tmp_path / "back.npz") as back:
        for variable in model.weights:
            np.testing.assert_array_equal(back[variable.path], variable.numpy())


# What nobody can tell, the entries, and what a user who knows says instead of them.
UNKNOWN = {
    "an input becomes a picture": (
        VECTOR + RESHAPED + conv("c", "r"),
        C,
        '  c: {weights: {variable: c/kernel, rearrange: "h w i o -> o i h w"}}\n',
    ),
    "a slice": (
        FLAT
        + layer("Slice", "cut", "flat", 'top: "rest" slice_param { slice_point: 9 }')
        + layer("Silence", "no", "rest").replace(' top: "no"', "")
        + fc("fc", "cut"),
        C + FC,
        C + "  fc: {weights: {variable: fc/kernel, flatten: [C=9]}, bias: fc/bias}\n",
    ),
    "a picture reshaped": (
        PICTURE
        + layer("Reshape", "r", "data", "reshape_param { shape { dim: 0 dim: 5 dim: 6 dim: 3 } }")
        + conv("c", "r", "kernel_w: 2").replace("kernel_size: 3", "kernel_h: 3"),
        C,
        '  c: {weights: {variable: c/kernel, rearrange: "h w i o -> o i h w"}}\n',
    ),
    "two that are added": (
        FLAT
        + PICTURE.replace("data", "other").replace("dim: 3 dim: 6 dim: 5", "dim: 72")
        + layer("Eltwise", "sum", "flat other")
        + layer("BatchNorm", "bn", "sum"),
        C + BN,
        C
        + '  bn: {mean: {variable: bn/moving_mean, rearrange: "c -> c"}, '
        + 'variance: {variable: bn/moving_variance, rearrange: "c -> c"}}\n',
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_orders_that_nobody_can_tell_are_refused(name: str, tmp_path: Path) -> None:
    net, entries, said = UNKNOWN[name]
    plan = plan_of(net, tmp_path)

    def problems(entries: str) -> list[str]:
        mapping = parse_mapping(f"mapping: 1\nlayers:\n{entries}", tmp_path / "m.yaml")
        return [str(problem) for problem in resolve(mapping, plan).problems]

    refused = problems(entries)
    assert refused and all("m.yaml:" in text and "unless your code" in text for text in refused)
    assert all("rearrange" in text for text in refused)
    assert problems(said) == []


def test_a_user_who_transposes_says_so(tmp_path: Path) -> None:
    """`rearrange` and `flatten` are taken as they are written, whatever the prototxt says."""
    as_it_is = ', rearrange: "c -> c"}'
    entries = C + (
        f"  bn: {{mean: {{variable: m{as_it_is}, variance: {{variable: v{as_it_is}}}\n"
        f"  s: {{gamma: {{variable: g{as_it_is}, beta: {{variable: b{as_it_is}}}\n"
        "  fc: {weights: {variable: w, flatten: [C=6, H=4, W=3]}, bias: fc/bias}\n"
    )
    plan = plan_of(FLAT + NORM + fc("fc", "s"), tmp_path)
    found = resolve(parse_mapping(f"mapping: 1\nlayers:\n{entries}", tmp_path / "m.yaml"), plan)
    assert found.fits
    assert [pair.words for pair in found.pairs][1:5] == ["as it is"] * 4
    usual = C + BN + SCALE + FC
    found = resolve(parse_mapping(f"mapping: 1\nlayers:\n{usual}", tmp_path / "m.yaml"), plan)
    assert [pair.words for pair in found.pairs][1] == "numbers in TensorFlow's order"


def test_a_picture_that_goes_out_is_noted(tmp_path: Path) -> None:
    (note,) = orders.notes(plan_of(VECTOR + RESHAPED, tmp_path))
    assert note.startswith("the output r is") and "--run" in note


@pytest.mark.parametrize(
    "net",
    [
        FLAT + layer("ReLU", "relu", "flat") + layer("Dropout", "drop", "relu") + fc("fc", "drop"),
        FLAT + layer("Softmax", "soft", "flat"),
        PICTURE + conv("c", "data") + fc("fc", "c") + layer("BatchNorm", "bn", "fc"),
        VECTOR
        + RESHAPED.replace("dim: 3 dim: 4 dim: 5", "dim: -1 dim: 1 dim: 1")
        + conv("c", "r", "pad: 1"),
    ],
)
def test_what_the_plan_says_stays(net: str, tmp_path: Path) -> None:
    plan = plan_of(net, tmp_path)
    assert follow(plan).blobs == {} and orders.notes(plan) == ()


@pytest.mark.parametrize(
    ("net", "reader"),
    [
        (PICTURE + conv("c", "data", "group: 3"), "c (Convolution)"),
        (PICTURE + layer("BatchNorm", "bn", "data") + conv("c", "bn"), "bn (BatchNorm)"),
        (PICTURE + layer("Power", "p", "data") + conv("c", "p"), "p (Power)"),
        (PICTURE + fc("c", "data"), "c (InnerProduct)"),
    ],
)
def test_pictures_that_channels_does_not_turn(net: str, reader: str, tmp_path: Path) -> None:
    mapping = parse_mapping(CHANNELS, tmp_path / "m.yaml")
    said = [str(problem) for problem in resolve(mapping, plan_of(net, tmp_path)).problems]
    assert len([text for text in said if f"`channels`: {reader} reads" in text]) == 1


@pytest.mark.parametrize("net", [PICTURE + conv("c", "data"), VECTOR + fc("c", "data")])
def test_pictures_that_it_turns(net: str, tmp_path: Path) -> None:
    mapping = parse_mapping(CHANNELS, tmp_path / "m.yaml")
    assert not list(orders.colours(mapping, plan_of(net, tmp_path)))


def test_a_number_for_each_channel_can_be_turned_by_hand(tmp_path: Path) -> None:
    net = PICTURE + layer("BatchNorm", "bn", "data") + layer("Scale", "s", "bn")
    turned = "reverse: [C]"
    text = (
        f"mapping: 1\nlayers:\n  bn: {{mean: {{variable: m, {turned}}}, "
        f"variance: {{variable: v, {turned}}}}}\n  s: {{gamma: {{variable: g, {turned}}}}}\n"
    )
    found = resolve(parse_mapping(text, tmp_path / "m.yaml"), plan_of(net, tmp_path))
    assert found.fits
    assert all("turned round" in pair.words for pair in found.pairs)


@pytest.mark.parametrize(
    ("model", "entries", "way", "mended"),
    [
        (Ordering(flat=True), C + FC, "flatten: [C, H, W]", "fc/kernel"),
        (Ordering(turned=True), C + FC, "reverse: [H, W]", "c/kernel"),
        (Ordering(kernels=True), C + FC, "layout: OIHW", "c/kernel"),
    ],
)
def test_what_the_model_says_of_its_order_has_to_be_said(
    model: Ordering, entries: str, way: str, mended: str, tmp_path: Path
) -> None:
    plan = plan_of(FLAT + fc("fc", "flat"), tmp_path)

    def problems(text: str) -> list[str]:
        mapping = parse_mapping(f"mapping: 1\nlayers:\n{text}", tmp_path / "m.yaml")
        return [str(p) for p in resolve(mapping, plan, ordering=model).problems]

    (said,) = problems(entries)
    wanted = f"{{variable: {mended}, {way}}}"
    assert "m.yaml:" in said and said.endswith(f"write `{wanted}`")
    assert problems(entries.replace(f" {mended}", f" {wanted}")) == []


@pytest.mark.parametrize("order", ["[C, H, W]", "[C=6, H=4, W=3]", "[W=3, C=6, H=4]", "[H, W, C]"])
def test_the_order_behind_a_flatten_can_be_said(order: str, tmp_path: Path) -> None:
    """Where H and W are one axis already, too; sizes are needed only where they are apart."""
    plan = plan_of(FLAT + fc("fc", "flat"), tmp_path)
    said = FC.replace(" fc/kernel", f" {{variable: fc/kernel, flatten: {order}}}")
    text = f"mapping: 1\nlayers:\n{C}{said}"
    found = resolve(parse_mapping(text, tmp_path / "m.yaml"), plan)
    assert found.fits, found.problems
    (transform,) = [p.transform for p in found.pairs if str(p.blob) == "fc.weights"]
    assert transform is not None
    numbers = np.arange(72 * 60, dtype=np.float32).reshape(60, 72)
    letters = "".join(letter for letter in order if letter.isalpha()).lower()
    apart = numbers.reshape(60, 6, 4, 3).transpose(*["ochw".index(letter) for letter in letters], 0)
    np.testing.assert_array_equal(transform.to_tf(numbers)[0], apart.reshape(72, 60))
    wrong = parse_mapping(text.replace(order, "[C=3, H=4, W=6]"), tmp_path / "m.yaml")
    assert any("has 6 channels" in str(p) for p in resolve(wrong, plan).problems)
