"""Seeded mutations of nets and weights files: whatever goes wrong is a ConversionError."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from caffe2tf.build import build
from caffe2tf.source import read_source
from conversions import write_net
from prototxts import data, layer, param
from tfcaffe.errors import ConversionError
from tfcaffe.layers import registry

ROUNDS = 150  # per test
NET = (
    data(2, 6, 9, 8)
    + layer(
        "Convolution",
        "data",
        "c",
        "convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 dilation: 1 group: 2 "
        'axis: 1 bias_term: true weight_filler { type: "xavier" } }',
    )
    + layer("ReLU", "c", "c", "relu_param { negative_slope: 0.1 }", name="r")
    + layer("Pooling", "c", "p", "pooling_param { pool: MAX kernel_h: 3 kernel_w: 2 stride: 2 }")
    + layer("BatchNorm", "p", "bn", "batch_norm_param { eps: 1e-5 }")
    + layer("Scale", "bn", "sc", "scale_param { axis: 1 num_axes: 1 bias_term: true }")
    + layer("LRN", "sc", "l", "lrn_param { local_size: 5 alpha: 1e-4 beta: 0.75 k: 1 }")
    + layer("Slice", "l", ["s1", "s2"], "slice_param { axis: 1 slice_point: 2 }", name="s")
    + layer("Concat", ["s1", "s2"], "cat", "concat_param { axis: 1 }")
    + layer("Eltwise", ["cat", "l"], "e", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }")
    + layer("PReLU", "e", "pr", "prelu_param { channel_shared: false }")
    + layer("Power", "pr", "pw", "power_param { power: 2 scale: 0.5 shift: 1 }")
    + layer(
        "Deconvolution",
        "pw",
        "d",
        "convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 6 }",
    )
    + layer("Crop", ["d", "p"], "cr", "crop_param { axis: 2 offset: 0 offset: 1 }")
    + layer("Reshape", "cr", "re", "reshape_param { shape { dim: 0 dim: 3 dim: -1 } axis: 0 }")
    + layer("Flatten", "cr", "f", "flatten_param { axis: 1 end_axis: -1 }")
    + layer("InnerProduct", "f", "ip", param("inner_product_param", num_output=5, axis=1))
    + layer("Reduction", "ip", "rd", "reduction_param { operation: MEAN axis: 1 coeff: 2 }")
    + layer("ArgMax", "ip", "am", "argmax_param { top_k: 1 axis: 1 }")
    + layer("MVN", "p", "mv", "mvn_param { across_channels: false }")
    + layer("Tile", "ip", "ti", "tile_param { axis: 1 tiles: 2 }")
    + layer("Log", "ti", "lo", "log_param { base: 2 scale: 1 shift: 3 }")
    + layer("Exp", "ti", "ex", "exp_param { base: 2 scale: 1 shift: 3 }")
    + layer("Bias", "ti", "bi", "bias_param { axis: 1 num_axes: 1 }")
    + layer("Dropout", "bi", "dr", "dropout_param { dropout_ratio: 0.5 }")
    + layer("Softmax", "dr", "sm", "softmax_param { axis: 1 }")
)
TOKEN = re.compile(r'"[^"]*"|[{}]|[\w.+-]+:?')
VALUES = (
    *("0", "1", "-1", "2", "3", "-3", "7", "100", "0.5", "2147483647", "-2147483648"),
    *("4294967295", "65536", "1e30", "-1e30", "nan", "inf", "1e-40", '"x"', '"data"', '""'),
    *("true", "MAX", "AVE", "PROD"),
)


def mutated(chance: random.Random) -> str:
    """The net with one or two tokens changed, left out or repeated, or without a layer."""
    lines = NET.splitlines()
    for _ in range(chance.choice([1, 1, 2])):
        number = chance.randrange(1, len(lines))
        tokens = TOKEN.findall(lines[number])
        at = chance.randrange(len(tokens))
        fields = [i for i, token in enumerate(tokens) if token.endswith(":")]
        kind = chance.random()
        if kind < 0.85 and fields:
            at = chance.choice(fields)
            is_type = tokens[at] == "type:"
            types = [f'"{name}"' for name in registry()]
            tokens[at + 1] = chance.choice(types if is_type else VALUES)
        elif kind < 0.88:
            del tokens[at]
        elif kind < 0.97 and fields:
            at = chance.choice(fields)
            tokens[at:at] = [tokens[at], chance.choice([tokens[at + 1], *VALUES])]
        else:
            tokens.insert(at, tokens[at])
        lines[number] = " ".join(tokens)
    if chance.random() < 0.05:
        del lines[chance.randrange(1, len(lines))]
    return "\n".join(lines)


def outcomes(path: Path, seed: int) -> Iterator[bool]:
    """Whether each mutated net was taken."""
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        text = mutated(chance)
        path.write_text(text, encoding="utf-8")
        try:
            build(read_source(path, None), plain=chance.random() < 0.3)
            yield True
        except ConversionError:
            yield False
        except Exception as error:
            different = [line for line in text.splitlines() if line not in NET.splitlines()]
            pytest.fail(f"{type(error).__name__}: {error}\n" + "\n".join(different))


@pytest.mark.parametrize("seed", range(4))
def test_mutated_nets(seed: int, tmp_path: Path) -> None:
    taken = list(outcomes(tmp_path / "net.prototxt", seed))
    assert 0.03 < sum(taken) / len(taken) < 0.9  # either way is tried


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes(seed: int, tmp_path: Path) -> None:
    """Of the 2 KB that are not numbers as well as of those that are."""
    files = write_net(tmp_path, NET)
    good = files.weights.read_bytes()
    chance = random.Random(seed)
    refused = 0
    for _ in range(ROUNDS):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        if chance.random() < 0.2:
            del bad[chance.randrange(len(bad)) :]
        files.weights.write_bytes(bad)
        try:
            source = read_source(files.net, files.weights)
            assert source.binding is not None
            for number in range(len(source.plan.layers)):
                source.binding.values(number)
        except ConversionError:
            refused += 1
    assert 0 < refused < ROUNDS
