"""Plans: which sizes are free, what is refused, and who owns a shared blob."""

from collections.abc import Sequence

import pytest

from oracles import Write
from prototxts import blob_shape, data, layer, param
from tfcaffe import net as nets
from tfcaffe.errors import ConversionError, NetError, UnsupportedError, UsageError
from tfcaffe.files import prototxt
from tfcaffe.layout import Layout
from tfcaffe.net import Net
from tfcaffe.oracle import OracleError
from tfcaffe.oracle.pycaffe import Caffe
from tfcaffe.plan import FreeShape, Plan, make_plan


def wired(text: str) -> Net:
    file = prototxt.parse(text, path="net.prototxt")
    return nets.from_message(file.net, file.lines, file.path)


def tops(plan: Plan) -> dict[str, FreeShape]:
    """The shape of every top as the model will have it; None is free."""
    return {
        top: layout.shape
        for entry in plan.layers
        for top, layout in zip(entry.layer.tops, entry.tops, strict=True)
    }


def convolution(bottom: str, top: str, more: str = "", **fields: object) -> str:
    fields = {"num_output": 4, "kernel_size": 3} | fields
    return layer("Convolution", bottom, top, f"{param('convolution_param', **fields)} {more}")


def inner_product(bottom: str, top: str, more: str = "", **fields: object) -> str:
    return layer(
        "InnerProduct",
        bottom,
        top,
        f"{param('inner_product_param', num_output=5, **fields)} {more}",
    )


def reshape(bottom: str, top: str, *shape: int) -> str:
    return layer("Reshape", bottom, top, f"reshape_param {{ {blob_shape(shape)} }}")


FULLY_CONVOLUTIONAL = data(2, 3, 9, 8) + convolution("data", "conv") + layer("ReLU", "conv", "conv")
WITH_HEAD = FULLY_CONVOLUTIONAL + inner_product("conv", "ip")


def test_the_batch_is_free_unless_the_net_fixes_it() -> None:
    plan = make_plan(wired(WITH_HEAD))
    assert plan.free_batch and plan.notes == ()
    assert tops(plan) == {"data": (None, 3, 9, 8), "conv": (None, 4, 7, 6), "ip": (None, 5)}
    assert plan.shapes == (((2, 3, 9, 8),), ((2, 4, 7, 6),), ((2, 4, 7, 6),), ((2, 5),))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(data(2, 12) + reshape("data", "y", 2, 3, 4), id="copied batch"),
        pytest.param(
            data(2, 12) + reshape("data", "y", 1, -1) + inner_product("y", "ip"),
            id="batch in a kernel",
        ),
        pytest.param(
            data(2, 3, 4, 5)
            + layer("Parameter", [], "p", "parameter_param { shape { dim: 2 dim: 3 } }")
            + layer("Scale", ["data", "p"], "y", param("scale_param", axis=0)),
            id="parameter of the batch's size",
        ),
    ],
)
def test_a_net_that_fixes_its_batch(text: str) -> None:
    plan = make_plan(wired(text))
    assert not plan.free_batch
    assert all(None not in shape for shape in tops(plan).values())
    assert [note[:43] for note in plan.notes] == ["the batch size stays as the net fixes it: l"]
    with pytest.raises(NetError, match=r"^net\.prototxt: layer '\w+' \("):
        make_plan(wired(text), batch="any")


def test_a_batch_given_as_a_number() -> None:
    plan = make_plan(wired(WITH_HEAD), batch=7)
    assert not plan.free_batch and plan.notes == ()
    assert tops(plan) == {"data": (7, 3, 9, 8), "conv": (7, 4, 7, 6), "ip": (7, 5)}
    assert make_plan(wired(WITH_HEAD), batch="any").free_batch


def test_a_batch_that_the_net_does_not_take() -> None:
    net = wired(data(2, 12) + reshape("data", "y", 2, 3, 4))
    with pytest.raises(NetError, match=r"^net\.prototxt: layer 'y' \(Reshape, line 2\)"):
        make_plan(net, batch=3)
    with pytest.raises(NetError, match=r"layer 'y' .*; leave out --batch any$"):
        make_plan(net, batch="any")


@pytest.mark.parametrize(
    ("given", "data_shape", "conv_shape", "said"),
    [
        ((1, 3, 20, 30), (None, 3, 20, 30), (None, 4, 18, 28), (1, 4, 18, 28)),
        ((1, 3, None, None), (None, 3, None, None), (None, 4, None, None), (1, 4, 7, 6)),
        ((None, 3, None, 30), (None, 3, None, 30), (None, 4, None, 28), (2, 4, 7, 28)),
        ((1, 6, 9, 8), (None, 6, 9, 8), (None, 4, 7, 6), (1, 4, 7, 6)),
    ],
)
def test_given_input_shapes(
    given: FreeShape, data_shape: FreeShape, conv_shape: FreeShape, said: Sequence[int]
) -> None:
    plan = make_plan(wired(FULLY_CONVOLUTIONAL), {"data": given})
    assert tops(plan) == {"data": data_shape, "conv": conv_shape}
    assert plan.shapes[1] == (tuple(said),)


def test_a_fixed_batch_and_free_pixels() -> None:
    plan = make_plan(wired(FULLY_CONVOLUTIONAL), {"data": (1, 3, None, None)}, batch=6)
    assert tops(plan)["conv"] == (6, 4, None, None)


def test_a_kernel_cannot_depend_on_a_free_size() -> None:
    message = r"^net\.prototxt: layer 'ip' \(InnerProduct, line 4\): .* would be .* --input-shape$"
    with pytest.raises(NetError, match=message):
        make_plan(wired(WITH_HEAD), {"data": (1, 3, None, 8)})


def test_a_cut_cannot_depend_on_a_free_size() -> None:
    net = wired(data(1, 2, 8, 6) + layer("Slice", "data", ["a", "b"], "slice_param { axis: 3 }"))
    message = r"layer 'a' \(Slice, line 2\): cuts an axis of 39 into 2 parts .* --input-shape$"
    with pytest.raises(NetError, match=message):
        make_plan(net, {"data": (1, 2, 8, None)})


def test_a_global_pooling_frees_the_head() -> None:
    text = FULLY_CONVOLUTIONAL + layer(
        "Pooling", "conv", "pool", param("pooling_param", global_pooling=True)
    )
    plan = make_plan(wired(text + inner_product("pool", "ip")), {"data": (1, 3, None, None)})
    assert tops(plan)["ip"] == (None, 5)


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        (WITH_HEAD, {"dat": (1, 3, 9, 8)}, r"no input 'dat'; its inputs are 'data'"),
        (WITH_HEAD, {"conv": (1, 3, 9, 8)}, r"no input 'conv'; its inputs are 'data'"),
        (
            layer("Data", [], ["data", "label"], "data_param { batch_size: 4 }")
            + layer("ReLU", "data", "y"),
            {},
            r"layer 'data' \(Data, line 1\) does not say the shape of its top 'data'; give it with "
            r"--input-shape data=N,C,H,W",
        ),
    ],
)
def test_inputs_that_do_not_fit(text: str, given: dict[str, FreeShape], message: str) -> None:
    with pytest.raises(UsageError, match=rf"^net\.prototxt.*{message}"):
        make_plan(wired(text), given)


@pytest.mark.parametrize("shape", [(1, 0, 9, 8), (0, 3, 9, 8), (1, 3, -1, 8)])
def test_an_input_without_numbers(shape: Sequence[int]) -> None:
    message = r"^net\.prototxt: layer 'data' \(Input, line 1\): the input 'data' has the shape"
    with pytest.raises(NetError, match=message):
        make_plan(wired(data(*shape)))


def test_all_unsupported_types_at_once() -> None:
    text = (
        data(1, 2)
        + layer("Wonder", "data", "a")
        + layer("ReLU", "a", "b")
        + layer("Marvel", "b", "c")
        + layer("Wonder", "c", "d")
    )
    with pytest.raises(UnsupportedError) as error:
        make_plan(wired(text))
    first, *types = str(error.value).splitlines()
    assert first.startswith("net.prototxt: these layer types are not supported; cut them off")
    assert types == ["  Wonder: 'a' (line 2), 'd' (line 5)", "  Marvel: 'c' (line 4)"]


def test_many_layers_of_an_unsupported_type() -> None:
    text = data(1, 2) + "".join(layer("Wonder", "data", f"w{i}") for i in range(30))
    with pytest.raises(UnsupportedError, match=r"'w7' \(line 9\) and 22 more$"):
        make_plan(wired(text))


def test_a_field_that_nobody_reads() -> None:
    text = data(1, 2, 3, 4) + layer("Convolution", "data", "y", "convolution_param { axis: 2 }")
    with pytest.raises(
        UnsupportedError, match=r"^net\.prototxt: layer 'y' \(Convolution, line 2\)"
    ):
        make_plan(wired(text))


def named(*names: str, mode: str = "") -> str:
    return " ".join(f'param {{ name: "{name}" {mode} }}' for name in names)


def test_shared_blobs_belong_to_the_first_layer() -> None:
    text = (
        data(1, 4, 9, 8)
        + convolution("data", "one", named("w", "b"), pad=1)
        + convolution("one", "two", named("w"), pad=1)
        + convolution("two", "three", named("", "b"), pad=1)
    )
    plan = make_plan(wired(text))
    assert [entry.owners for entry in plan.layers] == [
        (),
        ((1, 0), (1, 1)),
        ((1, 0), (2, 1)),
        ((3, 0), (1, 1)),
    ]


def shared(mode: str, first: str, second: str) -> str:
    """Two inner products that share weights `[5, 6]` and another shape."""
    fields = f"param {{ name: 'w' {mode} }}"
    one = inner_product(first, "one", fields, bias_term=False)
    two = inner_product(second, "two", fields, bias_term=False, transpose=True)
    return data(1, 6, name="six") + data(1, 7, name="seven") + one + two


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param(shared("", "six", "six"), False, id="strict, other axes"),
        pytest.param(shared("share_mode: STRICT", "six", "six"), False, id="strict by name"),
        pytest.param(shared("share_mode: PERMISSIVE", "six", "six"), True, id="permissive"),
        pytest.param(shared("share_mode: PERMISSIVE", "six", "seven"), False, id="other count"),
    ],
)
def test_shared_blobs_of_other_shapes(text: str, fits: bool, caffe: Caffe, write: Write) -> None:
    path = write(text)
    if fits:
        plan = make_plan(wired(text))
        assert plan.layers[3].owners == ((2, 0),)
        assert [info.param_shapes for info in caffe.describe(path).layers[2:]] == [
            tuple(p.shape for p in entry.params) for entry in plan.layers[2:]
        ]
        return
    with pytest.raises(NetError, match=r"its weights \[[67], 5\] shares the name 'w' with that of"):
        make_plan(wired(text))
    with pytest.raises(OracleError):
        caffe.describe(path)


def test_outputs_come_in_the_layout_that_users_expect() -> None:
    plan = make_plan(wired(WITH_HEAD + reshape("conv", "folded", 0, 2, 2, -1)))
    layouts = [plan.output_layout(ref) for _, ref in plan.net.outputs]
    assert layouts == [Layout.caffe((None, 5)), Layout.channels_last((None, 2, 2, 42))]


@pytest.mark.parametrize(
    "text",
    [
        data(1, 2, 3, 4) + layer("SoftmaxWithLoss", ["data", "data"], ["a", "b", "c"]),
        data(1, 2, 3, 4) + layer("Accuracy", ["data", "data"], ["a", "b", "c"]),
        layer("MemoryData", [], ["a", "b", "c"]),
    ],
    ids=["loss", "accuracy", "data"],
)
def test_more_tops_than_the_type_has(text: str) -> None:
    with pytest.raises(ConversionError, match=r"^net\.prototxt: layer 'a' .* 3 tops"):
        make_plan(wired(text))


def test_the_path_is_said_once() -> None:
    with pytest.raises(NetError) as error:
        make_plan(wired(data(2, 3, 2, 2) + convolution("data", "y")))
    assert str(error.value).count("net.prototxt") == 1


def test_sizes_that_only_tell_what_is_free_may_exceed_caffes_limits() -> None:
    """A large image whose blobs fit for one image, but not for the batches it is tried with."""
    text = data(1, 3, 4000, 4000) + layer(
        "Convolution", "data", "c", "convolution_param { num_output: 64 kernel_size: 1 }"
    )
    file = prototxt.parse(text)
    plan = make_plan(nets.from_message(file.net), {"data": (None, 3, 4000, 4000)})
    assert plan.free_batch
    with pytest.raises(NetError, match="at most 32 axes"):
        make_plan(nets.from_message(file.net), {"data": (3, 3, 4000, 4000)})
