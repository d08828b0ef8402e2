"""Wiring a net: a blob's name means its latest writer, and every error says where."""

from typing import Any

import pytest

from oracles import Write
from prototxts import data, layer
from tfcaffe import net as nets
from tfcaffe.errors import NetError, UsageError
from tfcaffe.files import prototxt
from tfcaffe.load import load_net
from tfcaffe.net import Net, Ref
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import make_plan

IN_PLACE = (
    data(1, 2, 3, 4)
    + layer("ReLU", "data", "data", name="first")
    + layer("TanH", "data", "data", name="second")
    + layer("Sigmoid", "data", "side")
    + layer("AbsVal", "data", "end")
)


def wired(text: str) -> Net:
    file = prototxt.parse(text, path="net.prototxt")
    return nets.from_message(file.net, file.lines, file.path)


def test_a_forks_fields_of_the_whole_net_are_told() -> None:
    (note,) = wired("default_forward_type: FLOAT16 force_backward: true\n" + IN_PLACE).notes
    assert "default_forward_type are a fork's" in note and "float32" in note
    assert wired("force_backward: true debug_info: true\n" + IN_PLACE).notes == ()


def test_a_name_means_its_latest_writer() -> None:
    net = wired(IN_PLACE)
    assert net.sources == ((), (Ref(0, 0),), (Ref(1, 0),), (Ref(2, 0),), (Ref(2, 0),))
    assert net.outputs == (("side", Ref(3, 0)), ("end", Ref(4, 0)))
    assert net.consumers() == {Ref(0, 0): [1], Ref(1, 0): [2], Ref(2, 0): [3, 4]}


def test_in_place_on_what_another_layer_has_read_is_refused() -> None:
    text = data(1, 2, 3, 4) + layer("Sigmoid", "data", "side")
    with pytest.raises(NetError, match=r"'relu' \(ReLU.*in place on 'data'.*'side'"):
        wired(text + layer("ReLU", "data", "data", name="relu"))


def test_an_in_place_layer_may_end_the_net() -> None:
    net = wired(data(1, 2) + layer("ReLU", "data", "data", name="relu"))
    assert net.outputs == (("data", Ref(1, 0)),)


def test_in_place_needs_the_same_index_only() -> None:
    net = wired(
        data(1, 2, name="a") + data(1, 2, name="b") + layer("Eltwise", ["a", "b"], "a", name="sum")
    )
    assert net.outputs == (("a", Ref(2, 0)),)


def test_several_tops_and_unread_inputs_are_outputs() -> None:
    net = wired(data(1, 4) + data(1, name="label") + layer("Slice", "data", ["a", "b"], name="cut"))
    assert net.outputs == (("label", Ref(1, 0)), ("a", Ref(2, 0)), ("b", Ref(2, 1)))


UNKNOWN = data(1, 2, name="image_data") + "\n" + layer("ReLU", "image_dat", "y")
CYCLE = (
    data(1, 2)
    + layer("Eltwise", ["data", "back"], "sum")
    + layer("ReLU", "sum", "y")
    + layer("ReLU", "y", "back")
)
REPEATED = data(1, 2) + layer("ReLU", "data", "y") + layer("TanH", "data", "y", name="other")
OTHER_INDEX = data(1, 2) + data(1, 2, name="b") + layer("Eltwise", ["data", "b"], "b", name="sum")
TWICE_IN_ONE = data(1, 4) + layer("Slice", "data", ["a", "a"], name="cut")
ITSELF = data(1, 2) + layer("ReLU", "y", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            UNKNOWN,
            "net.prototxt: layer 'y' (ReLU, line 3) reads the blob 'image_dat', which no layer "
            "makes; near: image_data",
            id="unknown",
        ),
        pytest.param(
            CYCLE,
            "net.prototxt: bottom 'back' of layer 'sum' (Eltwise, line 2) is only made by the "
            "later layer 'back' (ReLU, line 4); Caffe runs layers in order, so move it up (a "
            "cycle cannot be converted)",
            id="cycle",
        ),
        pytest.param(
            REPEATED,
            "net.prototxt: top 'y' of layer 'other' (TanH, line 3) is already made by layer 'y' "
            "(ReLU, line 2); only an in-place layer (the same name as bottom and top) may write "
            "a blob again",
            id="repeated top",
        ),
        pytest.param(OTHER_INDEX, "top 'b' of layer 'sum' (Eltwise, line 3)", id="other index"),
        pytest.param(TWICE_IN_ONE, "top 'a' of layer 'cut' (Slice, line 2)", id="twice in one"),
        pytest.param(ITSELF, "reads the blob 'y', which no layer makes", id="itself"),
    ],
)
def test_what_caffe_refuses_is_refused(text: str, message: str, caffe: Caffe, write: Write) -> None:
    with pytest.raises(NetError) as error:
        wired(text)
    assert message in str(error.value)
    with pytest.raises(OracleError):
        caffe.describe(write(text))


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("include { phase: TRAIN }", {"phase": "TRAIN"}),
        ("include { min_level: 2 stage: 'deploy' }", {"level": 2, "stages": ["deploy"]}),
        ("exclude { not_stage: 'all' }", {"stages": ["all"]}),
    ],
)
def test_a_blob_whose_maker_is_left_out(rule: str, options: dict[str, Any], write: Write) -> None:
    source = data(1, 2).replace("input_param", f"{rule} input_param")
    path = write(source + layer("ReLU", "data", "y"))
    with pytest.raises(NetError) as error:
        load_net(path)
    assert (
        "layer 'y' (ReLU, line 2) reads the blob 'data', which only layer 'data' (Input, line 1) "
        f"makes, and that is left out here: {rule.replace(chr(39), chr(34))}; choose with --phase, "
        "--level and --stage"
    ) in str(error.value)
    assert load_net(path, **options).layers[0].name == "data"


BRANCHES = (
    data(1, 2, 3, 4)
    + layer("ReLU", "data", "data", name="relu")
    + layer("Sigmoid", "data", "left")
    + layer("TanH", "data", "right")
    + layer("Slice", "right", ["upper", "lower"], name="cut")
    + layer("Power", "left", "left", name="power")
    + layer("Eltwise", ["left", "left"], "sum")
)


@pytest.mark.parametrize(
    ("outputs", "kept"),
    [
        (["left"], ["data", "relu", "left", "power"]),
        (["lower"], ["data", "relu", "right", "cut"]),
        (["data"], ["data", "relu"]),
        (["sum", "right"], ["data", "relu", "left", "right", "power", "sum"]),
        (["right", "sum"], ["data", "relu", "left", "right", "power", "sum"]),
    ],
    ids=", ".join,
)
def test_cut_at_outputs(outputs: list[str], kept: list[str]) -> None:
    cut = wired(BRANCHES).with_outputs(outputs)
    assert [la.name for la in cut.layers] == kept
    assert [name for name, _ in cut.outputs] == outputs
    for name, ref in cut.outputs:
        assert cut.layers[ref.layer].tops[ref.top] == name
        later = cut.layers[ref.layer + 1 :]
        assert not any(name in la.tops for la in later), "an in-place layer behind it is part of it"


def test_cut_at_an_unknown_output() -> None:
    with pytest.raises(UsageError, match=r"net\.prototxt has no blob 'lowe' \(near: lower"):
        wired(BRANCHES).with_outputs(["lowe"])


def test_layers_of_one_name_are_legal_without_blobs() -> None:
    """HED has two layers `crop`."""
    text = (
        data(1, 2) + layer("ReLU", "data", "a", name="same") + layer("TanH", "a", "b", name="same")
    )
    assert [entry.layer.name for entry in make_plan(wired(text)).layers] == ["data", "same", "same"]


def test_layers_of_one_name_with_blobs_are_refused() -> None:
    fields = "inner_product_param { num_output: 2 }"
    text = (
        data(1, 2)
        + layer("InnerProduct", "data", "a", fields, name="same")
        + layer("InnerProduct", "a", "b", fields, name="same")
    )
    message = (
        r"net\.prototxt: layer 'same' \(InnerProduct, line 3\) and layer 'same' \(InnerProduct, "
        r"line 2\) both have weights of their own under one name"
    )
    with pytest.raises(NetError, match=message):
        make_plan(wired(text))


@pytest.mark.parametrize(
    "name", ["", " ", "a b", 'say "hi"', "a/b", "a\\b", "{x}", "层", "class", "😀"]
)
def test_names_are_free_text(name: str) -> None:
    net = wired(data(1, 2) + layer("ReLU", "data", name, name=name))
    assert net.layers[1].name == net.outputs[0][0] == name
