"""Upgrades of V0 and V1 nets: BVLC's rules case by case, and against real Caffe's own upgrade."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from tfcaffe.errors import NetError
from tfcaffe.files import schema, upgrade
from tfcaffe.oracle.pycaffe import find_caffe


def net(text: str, loaded: schema.Schema | None = None) -> Any:
    return text_format.Parse(text, (loaded or schema.load()).message("NetParameter")())


def layer(text: str) -> Any:
    return text_format.Parse(text, schema.load().message("LayerParameter")())


def v0(kind: str, fields: str) -> str:
    return f'input: "x" layers {{ layer {{ name: "l" type: "{kind}" {fields} }} bottom: "x" }}'


# -- V0


@pytest.mark.parametrize(
    ("kind", "fields", "v2"),
    [
        (
            "conv",
            "num_output: 3 biasterm: false pad: 1 kernelsize: 5 group: 3 stride: 2 "
            "weight_filler { type: 'gaussian' std: 0.01 } bias_filler { value: 1 }",
            'type: "Convolution" convolution_param { num_output: 3 bias_term: false pad: 1 '
            "kernel_size: 5 group: 3 stride: 2 weight_filler { type: 'gaussian' std: 0.01 } "
            "bias_filler { value: 1 } }",
        ),
        (
            "innerproduct",
            "num_output: 3 biasterm: true weight_filler { std: 2 } blobs_lr: 1 blobs_lr: 2 "
            "weight_decay: 1 weight_decay: 0",
            'type: "InnerProduct" inner_product_param { num_output: 3 bias_term: true '
            "weight_filler { std: 2 } } param { lr_mult: 1 decay_mult: 1 } "
            "param { lr_mult: 2 decay_mult: 0 }",
        ),
        (
            "pool",
            "pool: AVE kernelsize: 3 stride: 2 pad: 1",
            'type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }',
        ),
        ("pool", "pool: STOCHASTIC", 'type: "Pooling" pooling_param { pool: STOCHASTIC }'),
        ("dropout", "dropout_ratio: 0.25", 'type: "Dropout" dropout_param { dropout_ratio: 0.25 }'),
        (
            "lrn",
            "local_size: 3 alpha: 2 beta: 0.5 k: 4",
            'type: "LRN" lrn_param { local_size: 3 alpha: 2 beta: 0.5 k: 4 }',
        ),
        ("concat", "concat_dim: 0", 'type: "Concat" concat_param { concat_dim: 0 }'),
        (
            "data",
            'source: "s" batchsize: 4 rand_skip: 2 scale: 0.5 meanfile: "m" cropsize: 9 '
            "mirror: true",
            'type: "Data" data_param { source: "s" batch_size: 4 rand_skip: 2 } '
            'transform_param { scale: 0.5 mean_file: "m" crop_size: 9 mirror: true }',
        ),
        (
            "images",
            'source: "s" batchsize: 4 shuffle_images: true new_height: 5 new_width: 6 rand_skip: 1',
            'type: "ImageData" image_data_param { source: "s" batch_size: 4 shuffle: true '
            "new_height: 5 new_width: 6 rand_skip: 1 }",
        ),
        (
            "hdf5_data",
            'source: "s" batchsize: 4',
            'type: "HDF5Data" hdf5_data_param { source: "s" batch_size: 4 }',
        ),
        (
            "hdf5_output",
            'hdf5_output_param { file_name: "f" }',
            'type: "HDF5Output" hdf5_output_param { file_name: "f" }',
        ),
        (
            "window_data",
            "det_fg_threshold: 0.1 det_bg_threshold: 0.2 det_fg_fraction: 0.3 det_context_pad: 4 "
            "det_crop_mode: 'square'",
            'type: "WindowData" window_data_param { fg_threshold: 0.1 bg_threshold: 0.2 '
            "fg_fraction: 0.3 context_pad: 4 crop_mode: 'square' }",
        ),
        (
            "infogain_loss",
            'source: "s"',
            'type: "InfogainLoss" infogain_loss_param { source: "s" }',
        ),
        ("softmax_loss", "", 'type: "SoftmaxWithLoss"'),
        ("tanh", "", 'type: "TanH"'),
        ("im2col", "", 'type: "Im2col"'),
        ("cccp", "num_output: 5 group: 2", 'type: "CCCPPooling" convolution_param '
         "{ num_output: 5 group: 2 }"),
    ],
)  # fmt: skip
def test_v0_layer(kind: str, fields: str, v2: str) -> None:
    upgraded = upgrade.trace(net(v0(kind, fields)))
    (made,) = upgraded.net.layer
    assert made == layer(f'name: "l" bottom: "x" {v2}')
    assert not any("ignored" in note for note in upgraded.notes)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("relu", "pad: 1"), ("conv", "alpha: 1"), ("pool", "group: 2"), ("lrn", "source: 's'")],
)
def test_v0_field_of_another_type_is_ignored_with_a_note(kind: str, field: str) -> None:
    upgraded = upgrade.trace(net(v0(kind, field)))
    assert [f.name for f, _ in upgraded.net.layer[0].ListFields()] == ["name", "type", "bottom"]
    assert any(field.split(":")[0] in note and "'l'" in note for note in upgraded.notes)


@pytest.mark.parametrize("kind", ["conv", "pool"])
def test_v0_padding_is_folded(kind: str) -> None:
    upgraded = upgrade.trace(
        net(
            'input: "x" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4 '
            'layers { layer { name: "p" type: "padding" pad: 2 } bottom: "x" top: "padded" }'
            f'layers {{ layer {{ name: "l" type: "{kind}" }} bottom: "padded" top: "y" }}'
        )
    )
    names = [made.name for made in upgraded.net.layer]
    assert names == ["input", "l"]
    assert upgraded.origins == (None, 1)
    made = upgraded.net.layer[1]
    assert list(made.bottom) == ["x"]
    assert made.pooling_param.pad == 2 if kind == "pool" else made.convolution_param.pad == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'input: "x" layers { layer { name: "p" type: "padding" } bottom: "x" top: "y" }'
            'layers { layer { name: "r" type: "relu" } bottom: "y" top: "z" }',
            "'p' feeds 'r' of type 'relu'",
        ),
        ('layers { layer { name: "r" type: "relu" } bottom: "y" }', "reads 'y', which no layer"),
        (v0("elu", ""), "'elu' is not a V0 layer type"),
        (v0("relu", "") + 'layers { name: "b" type: RELU bottom: "x" }', "'b' is of another gener"),
        (
            'layers { name: "a" type: RELU } layer { name: "b" type: "ReLU" }',
            "`layer` and `layers`",
        ),
        (v0("relu", "") + 'layer { name: "b" type: "ReLU" }', "mixes"),
        (
            'input: "x" '
            'layers { layer { name: "p" type: "padding" } bottom: "x" top: "y" top: "z" }'
            'layers { layer { name: "c" type: "conv" } bottom: "y" }',
            "one bottom each, and the padding one top",
        ),
    ],
)
def test_nets_that_caffe_refuses(text: str, message: str) -> None:
    with pytest.raises(NetError, match=message):
        upgrade.upgrade(net(text))


# -- V1


def test_every_v1_type_of_bvlc_has_a_v2_type() -> None:
    kinds = schema.bvlc().message("V1LayerParameter").LayerType.items()
    strings = {name: upgrade.v1.type_string(name) for name, _ in kinds}
    assert strings.pop("NONE") == ""
    assert all(value and value != "Relu" for value in strings.values())
    assert len(set(strings.values())) == len(strings) == 39
    assert strings["RELU"] == "ReLU"


def test_v1_parameters_become_param() -> None:
    (made,) = upgrade.upgrade(
        net(
            'layers { name: "c" type: CONVOLUTION bottom: "x" top: "y" param: "w" param: "b" '
            "blob_share_mode: PERMISSIVE blobs_lr: 1 blobs_lr: 2 blobs_lr: 3 weight_decay: 4 "
            "loss_weight: 5 include { phase: TEST } exclude { min_level: 1 } "
            "convolution_param { num_output: 1 } }"
        )
    ).layer
    assert made == layer(
        'name: "c" type: "Convolution" bottom: "x" top: "y" '
        'param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 4 } '
        'param { name: "b" lr_mult: 2 } param { lr_mult: 3 } loss_weight: 5 '
        "include { phase: TEST } exclude { min_level: 1 } convolution_param { num_output: 1 }"
    )


@pytest.mark.parametrize(
    ("kind", "v2", "param"),
    [
        ("DATA", "Data", "data_param"),
        ("IMAGE_DATA", "ImageData", "image_data_param"),
        ("WINDOW_DATA", "WindowData", "window_data_param"),
    ],
)
def test_v1_data_transforms_move(kind: str, v2: str, param: str) -> None:
    fields = 'scale: 0.5 mean_file: "m" crop_size: 3 mirror: true'
    (made,) = upgrade.upgrade(
        net(f'layers {{ name: "d" type: {kind} {param} {{ batch_size: 2 {fields} }} }}')
    ).layer
    assert made == layer(
        f'name: "d" type: "{v2}" {param} {{ batch_size: 2 }} transform_param {{ {fields} }}'
    )


def test_v2_data_transforms_stay() -> None:
    text = 'layer { name: "d" type: "Data" data_param { scale: 0.5 } }'
    assert upgrade.upgrade(net(text)) == net(text)


@pytest.mark.parametrize(
    ("kind", "v2"), [("BN", "BN"), ("INTERP", "Interp"), ("DENSE_CRF", "DenseCRF"),
                     ("UNPOOLING", "Unpooling"), ("RELU6", "ReLU6"),
                     ("IMAGE_SEG_DATA", "ImageSegData"), ("WINDOW_SEG_DATA", "WindowSegData"),
                     ("MCWINDOW_DATA", "MCWindowData"), ("NAMCWINDOW_DATA", "NAMCWindowData"),
                     ("MULTI_STAGE_MEANFIELD", "MultiStageMeanfield"),
                     ("ELTWISE_ACCURACY", "EltwiseAccuracy")]
)  # fmt: skip
def test_v1_types_of_forks(kind: str, v2: str) -> None:
    assert upgrade.upgrade(net(f'layers {{ name: "f" type: {kind} }}')).layer[0].type == v2


def test_a_users_v1_type_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.proto"
    path.write_text("message V1LayerParameter { enum LayerType { MY_TYPE = 77; } }")
    made = upgrade.upgrade(net("layers { type: MY_TYPE }", schema.load([path])))
    assert made.layer[0].type == "MY_TYPE"


def test_v1_field_without_a_v2_meaning_is_noted() -> None:
    text = 'layers { name: "fc6" type: CONVOLUTION strict_dim: false }'
    assert any("strict_dim" in note for note in upgrade.trace(net(text)).notes)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("wrap", ["%s", "layer { type: 'conv' name: 'c' %s }"])
def test_binary_nets_carry_their_blobs(strict: bool, wrap: str) -> None:
    loaded = schema.bvlc() if strict else schema.load()
    outside = "" if "layer" in wrap else 'type: CONVOLUTION name: "c" '
    text = f"layers {{ {outside}{wrap % 'blobs { num: 1 height: 2 data: 1.5 data: 2 }'} }}"
    binary = loaded.message("NetParameter").FromString(net(text, loaded).SerializeToString())
    (made,) = upgrade.upgrade(binary).layer
    assert (made.name, made.type) == ("c", "Convolution")
    assert list(made.blobs[0].data) == [1.5, 2.0]
    assert made.blobs[0].height == 2


# -- inputs, BatchNorm, the rest


@pytest.mark.parametrize(
    ("shapes", "dims"),
    [
        ("input_shape { dim: 1 dim: 2 } input_shape { dim: 3 }", [[1, 2], [3]]),
        ("".join(f"input_dim: {i} " for i in range(1, 9)), [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("input_dim: 9 input_shape { dim: 1 dim: 2 } input_shape { dim: 3 }", [[1, 2], [3]]),
    ],
)
def test_inputs_become_one_layer_placed_first(shapes: str, dims: list[list[int]]) -> None:
    text = f'name: "n" input: "a" input: "b" {shapes} layer {{ name: "r" type: "ReLU" }}'
    upgraded = upgrade.trace(net(text))
    assert [made.name for made in upgraded.net.layer] == ["input", "r"]
    assert upgraded.origins == (None, 0)
    made = upgraded.net.layer[0]
    assert (made.type, list(made.top)) == ("Input", ["a", "b"])
    assert [list(shape.dim) for shape in made.input_param.shape] == dims
    assert not (upgraded.net.input or upgraded.net.input_dim or upgraded.net.input_shape)
    assert upgraded.net.name == "n"


def test_input_without_shape_is_dropped_with_a_note() -> None:
    upgraded = upgrade.trace(net('input: "a" layer { name: "r" type: "ReLU" }'))
    assert [made.name for made in upgraded.net.layer] == ["r"]
    assert any("a" in note and "without a shape" in note for note in upgraded.notes)


@pytest.mark.parametrize("shapes", ["input_dim: 1 input_dim: 2", "input_shape { dim: 1 }"])
def test_inputs_without_enough_dimensions(shapes: str) -> None:
    with pytest.raises(NetError, match=r"input '[ab]' has .*2 inputs need"):
        upgrade.upgrade(net(f'input: "a" input: "b" {shapes}'))


def test_batch_norm_with_three_param_is_frozen() -> None:
    made = upgrade.upgrade(
        net(
            'layer { type: "BatchNorm" param { lr_mult: 1 } param { } param { name: "s" } }'
            'layer { type: "BatchNorm" param { lr_mult: 1 } } layer { type: "Scale" param { } }'
        )
    )
    zeros = "lr_mult: 0 decay_mult: 0"
    assert made.layer[0] == layer(
        f'type: "BatchNorm" param {{ {zeros} }} param {{ {zeros} }} param {{ name: "s" {zeros} }}'
    )
    assert made.layer[1] == layer('type: "BatchNorm" param { lr_mult: 1 }')
    assert made.layer[2] == layer('type: "Scale" param { }')


@pytest.mark.parametrize(
    "text",
    [
        'layers { type: DATA name: "d" data_param { scale: 2 } }',
        v0("data", "scale: 2"),
        'input: "x" input_shape { dim: 1 } layer { type: "BatchNorm" param {} param {} param {} }',
    ],
)
def test_upgrade_leaves_its_argument_alone_and_is_idempotent(text: str) -> None:
    original = net(text)
    made = upgrade.upgrade(original)
    assert original == net(text)
    again = upgrade.trace(made)
    assert again.net == made
    assert again.origins == tuple(range(len(made.layer)))


# -- real Caffe

_INPUT = 'input: "x" input_dim: 2 input_dim: 3 input_dim: 12 input_dim: 9 '
_V0_NET = (
    _INPUT
    + """
layers { layer { name: "p" type: "padding" pad: 2 } bottom: "x" top: "p" }
layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 biasterm: false
                 weight_filler { type: "gaussian" std: 0.1 } blobs_lr: 3 weight_decay: 2 }
         bottom: "p" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
layers { layer { name: "q" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "c" top: "q" }
layers { layer { name: "n" type: "lrn" local_size: 3 alpha: 0.1 beta: 0.5 } bottom: "q" top: "n" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.3 } bottom: "n" top: "n" }
layers { layer { name: "k" type: "concat" concat_dim: 1 } bottom: "n" bottom: "q" top: "k" }
layers { layer { name: "f" type: "flatten" } bottom: "k" top: "f" }
layers { layer { name: "i" type: "innerproduct" num_output: 5 blobs_lr: 1 blobs_lr: 2
                 bias_filler { type: "constant" value: 0.5 } } bottom: "f" top: "i" }
layers { layer { name: "s" type: "softmax" } bottom: "i" top: "s" }
"""
)
_V1_NET = (
    _INPUT
    + """
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" param: "w" param: "b" blobs_lr: 1
         blob_share_mode: STRICT blob_share_mode: PERMISSIVE blobs_lr: 2 weight_decay: 1
         weight_decay: 0 convolution_param { num_output: 3 pad: 1 kernel_size: 3 group: 3 } }
layers { name: "e" type: ELTWISE bottom: "c" bottom: "x" top: "e"
         eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layers { name: "only" type: POWER bottom: "e" top: "only" include { phase: TEST }
         power_param { shift: 2 } }
layers { name: "t" type: TANH bottom: "e" top: "t" }
layers { name: "q" type: POOLING bottom: "t" top: "q" pooling_param { kernel_size: 2 stride: 2 } }
layers { name: "m" type: DUMMY_DATA top: "m" dummy_data_param {
         data_filler { type: "constant" value: 1 } num: 2 channels: 1 height: 1 width: 1 } }
layers { name: "i" type: INNER_PRODUCT bottom: "q" top: "i" inner_product_param { num_output: 2 } }
layers { name: "l" type: SOFTMAX_LOSS bottom: "i" bottom: "m" top: "l" loss_weight: 0.5 }
"""
)
_BATCH_NORM_NET = (
    _INPUT
    + """
layer { name: "b" type: "BatchNorm" bottom: "x" top: "b" param { lr_mult: 1 } param { }
        param { decay_mult: 3 } }
layer { name: "r" type: "ReLU" bottom: "b" top: "b" }
"""
)
_SAVE = "import caffe, sys; caffe.Net(sys.argv[1], caffe.TEST).save(sys.argv[2])"


@pytest.mark.parametrize("text", [_V0_NET, _V1_NET, _BATCH_NORM_NET], ids=["V0", "V1", "V2"])
def test_upgrade_is_real_caffes(text: str, tmp_path: Path) -> None:
    """Caffe saves its upgraded layers; bottoms are left out, since it inserts Split layers."""
    interpreter = find_caffe()
    if interpreter is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    source, saved = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    source.write_text(text)
    subprocess.run([interpreter, "-c", _SAVE, source, saved], check=True, capture_output=True)
    strict = schema.bvlc()
    theirs = strict.message("NetParameter").FromString(saved.read_bytes())
    ours = upgrade.upgrade(net(text, strict))
    assert [layer.name for layer in theirs.layer if layer.type != "Split"] == [
        layer.name for layer in ours.layer
    ]
    made = {layer.name: layer for layer in ours.layer}
    for layer in theirs.layer:
        if layer.type != "Split":
            for field in ("blobs", "phase", "bottom"):  # Caffe's own additions
                layer.ClearField(field)
                made[layer.name].ClearField(field)
            assert layer == made[layer.name]
