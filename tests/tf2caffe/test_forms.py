"""What no written prototxt has, and what it has instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forms import faults
from tfcaffe.errors import UnsupportedError
from tfcaffe.oracle.pycaffe import Caffe
from whole import check, written

INPUT = 'name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 4 dim: 6 dim: 5 } }'


def layer(name: str, kind: str, said: str = "", bottoms: str = "x", tops: str = "") -> str:
    """A layer as a prototxt has it."""
    wires = [f'bottom: "{b}"' for b in bottoms.split()] + [
        f'top: "{t}"' for t in (tops or name).split()
    ]
    return f'name: "{name}" type: "{kind}" {" ".join(wires)} {said}'


CONV = layer("conv", "Convolution", "convolution_param { num_output: 4 kernel_size: 1 }")
WRONG: dict[str, tuple[list[str], str]] = {
    "list": (
        [layer("y", "Convolution", "convolution_param { num_output: 2 kernel_size: [1, 3] }")],
        "y: has a list for kernel_size",
    ),
    "pair": (
        [layer("y", "Pooling", "pooling_param { pool: MAX kernel_h: 2 kernel_w: 2 stride: 2 }")],
        "y: says ['kernel_h', 'kernel_w'] alike",
    ),
    "default": (
        [layer("y", "Power", "power_param { power: 1 scale: 2 }")],
        "y: says power: 1.0",
    ),
    "empty": ([layer("y", "Softmax", "softmax_param {}")], "y: an empty softmax_param"),
    "axis": ([layer("y", "Softmax", "softmax_param { axis: -1 }")], "y: counts axis -1"),
    "silent concat": (
        [CONV, layer("y", "Concat", "concat_param {}", "x conv")],
        "y: does not say its axis",
    ),
    "stride": (
        [layer("y", "Deconvolution", "convolution_param { num_output: 4 kernel_size: 2 }")],
        "y: does not say its stride",
    ),
    "global": (
        [layer("y", "Pooling", "pooling_param { pool: AVE kernel_h: 6 kernel_w: 5 }")],
        "y: is global",
    ),
    "global and more": (
        [layer("y", "Pooling", "pooling_param { pool: AVE global_pooling: true stride: 1 }")],
        "y: says more than global_pooling",
    ),
    "unread": (
        [
            layer("s", "Slice", "slice_param { axis: 1 slice_point: 2 }", tops="s s_1"),
            layer("y", "TanH", bottoms="s"),
        ],
        "s: nobody reads s_1",
    ),
    "points": (
        [
            layer("s", "Slice", "slice_param { axis: 1 }", tops="s s_1"),
            layer("y", "Eltwise", "eltwise_param { operation: SUM }", "s s_1"),
        ],
        "s: has no slice points",
    ),
    "not in place": ([CONV, layer("y", "ReLU", bottoms="conv")], "y: could work in place"),
    "in place on the input": ([layer("y", "ReLU", tops="x")], "y: works in place"),
    "identity": ([layer("y", "Power")], "y: does nothing"),
    "twice": (
        [
            layer("r", "Reshape", "reshape_param { shape { dim: [0, 20, 6] } }"),
            layer("y", "Reshape", "reshape_param { shape { dim: [0, 120] } }", "r"),
        ],
        "y: is the second Reshape in a row",
    ),
    "batch": (
        [layer("y", "Reshape", "reshape_param { shape { dim: [1, 120] } }")],
        "y: says [1, 120] for [0, 120]",
    ),
    "three": (
        [CONV, layer("y", "Eltwise", "eltwise_param { operation: SUM }", "x conv x")],
        "y: Eltwise with bottoms 3",
    ),
    "name": ([layer("y", "TanH", tops="z")], "y: its blob is called z"),
    "again": (
        [
            layer("y_tanh", "TanH"),
            layer("y_tanh2", "TanH"),
            layer("y", "Eltwise", "eltwise_param { operation: PROD }", "y_tanh y_tanh2"),
        ],
        "y_tanh2: says what y_tanh says",
    ),
    "scale": (
        [
            CONV,
            layer("bn", "BatchNorm", bottoms="conv", tops="conv"),
            layer("y_a", "TanH"),
            layer("y_s", "Scale", bottoms="conv", tops="conv"),
            layer("y", "Eltwise", "eltwise_param { operation: PROD }", "conv y_a"),
        ],
        "bn: its Scale is not right behind it",
    ),
    "phase": ([layer("y", "TanH", "phase: TEST")], "y: says phase"),
    "dialect": ([layer("y", "Exp")], "y: Exp"),
    "nothing": ([], "nothing is computed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_told(name: str, tmp_path: Path) -> None:
    layers, told = WRONG[name]
    text = tmp_path / "net.prototxt"
    text.write_text("".join(f"layer {{ {said} }}\n" for said in [INPUT, *layers]))
    last = layers[-1].split('top: "')[-1].split('"')[0] if layers else "x"
    found = faults(text, "portable", {last})
    assert any(fault.startswith(told) for fault in found), found


def parts(k: Any, o: Any, x: Any) -> Any:
    a, b = (k.Dense(3)(part) for part in o.unstack(k.ReLU()(x), 4, 1)[1:3])
    return a + b


def half(k: Any, o: Any, x: Any) -> Any:
    return k.Conv2D(3, 2)(o.split(x, 2, 2)[1])


def channels(k: Any, o: Any, x: Any) -> Any:
    return k.Conv2D(3, 2)(o.split(x, [1, 3], -1)[1])


def gap(k: Any, o: Any, x: Any) -> Any:
    return k.Conv2D(3, 2)(o.take(x, [0, 1, 4, 5], 2))


def both(k: Any, o: Any, x: Any) -> Any:
    return o.split(x, 2, -1)


UNREAD: dict[str, tuple[Callable[[Any, Any, Any], Any], list[str]]] = {
    "parts": (parts, ["ReLU", *["Convolution"] * 4, "Eltwise"]),
    "half": (half, ["Convolution"] * 2),
    "channels": (channels, ["Convolution"] * 2),
    "gap": (gap, ["Reshape", "InnerProduct", "Reshape", "Convolution"]),
    "both": (both, ["Slice", "Power", "Power"]),
}


@pytest.mark.parametrize("name", UNREAD)
def test_every_part_of_a_slice_is_read(name: str, tmp_path: Path, caffe: Caffe) -> None:
    """In `portable`, whose readers drop the others or have no Silence for them."""
    import keras

    build, types = UNREAD[name]
    x = keras.Input((4, 6, 4), batch_size=2, name="x")
    model = keras.Model(x, build(keras.layers, keras.ops, x))
    assert check(model, tmp_path, caffe, dialect="portable").types[1:] == types
    usual = written(model, tmp_path)
    assert "Slice" in usual.types
    (note,) = usual.network.notes
    assert "Slice with ends true: " in note or "Silence: " in note


def test_a_shape_alone_is_a_reshape(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((6, 5, 1), name="x")
    assert check(keras.Model(x, keras.layers.Flatten()(x)), tmp_path, caffe).types[1:] == [
        "Reshape"
    ]


def test_nothing_to_compute_is_refused(tmp_path: Path) -> None:
    """Channels that come to the front are there already."""
    import keras

    x = keras.Input((6, 5, 3), name="x")
    model = keras.Model(x, keras.layers.Permute((3, 1, 2))(keras.layers.Dropout(0.5)(x)))
    with pytest.raises(UnsupportedError, match="there is nothing to compute"):
        written(model, tmp_path)


def test_what_a_layer_computes_twice_is_written_once(tmp_path: Path, caffe: Caffe) -> None:
    import keras

    x = keras.Input((6, 5, 3), name="x")
    model = keras.Model(x, keras.layers.Activation("gelu")(x))
    net = check(model, tmp_path, caffe, dialect="portable")
    assert net.types.count("ReLU") == 2  # of x and of -x
