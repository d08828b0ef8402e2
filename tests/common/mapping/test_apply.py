"""The numbers: what a mapping does to them, there and back, against NumPy written out."""

from pathlib import Path

import numpy as np
import pytest

from mapped import ENTRIES, NET, SHAPES, in_memory, plan_of, resolved, variables
from tfcaffe.bind import Binding, bind
from tfcaffe.errors import MappingError
from tfcaffe.files import caffemodel
from tfcaffe.load import load_weights
from tfcaffe.mapping.apply import to_layers, to_variables
from tfcaffe.mapping.resolve import Resolved
from tfcaffe.plan import Plan
from tfcaffe.variables.base import Variable


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(NET, tmp_path)


def written(answer: Resolved, numbers: dict[str, Variable], folder: Path) -> Binding:
    answer.check()
    path = folder / "net.caffemodel"
    caffemodel.write(path, to_layers(answer, numbers), overwrite=True)
    return bind(answer.plan, load_weights(path))


def blob(binding: Binding, layer: str, role: str) -> np.ndarray:
    names = [entry.layer.name for entry in binding.plan.layers]
    return binding.values(names.index(layer))[role]


def test_every_number_goes_where_it_belongs(
    plan: Plan, tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = variables(rng)
    binding = written(resolved(plan), numbers, tmp_path)
    read = {name: v.floats() for name, v in numbers.items()}
    np.testing.assert_array_equal(
        blob(binding, "conv", "weights"), read["k/w"].transpose(3, 2, 0, 1)
    )
    depthwise = read["d/w"].transpose(2, 3, 0, 1).reshape(8, 1, 3, 2)
    np.testing.assert_array_equal(blob(binding, "dw", "weights"), depthwise)
    fc = read["fc/w"].reshape(5, 5, 8, 5).transpose(3, 2, 0, 1).reshape(5, 200)
    np.testing.assert_array_equal(blob(binding, "fc", "weights"), fc)
    np.testing.assert_array_equal(blob(binding, "bn", "variance"), read["bn/var"])


def test_there_and_back_bit_for_bit(plan: Plan, tmp_path: Path, rng: np.random.Generator) -> None:
    numbers = variables(rng)
    answer = resolved(plan)
    back = dict(to_variables(answer, written(answer, numbers, tmp_path)))
    assert back.keys() == numbers.keys()
    for name, array in back.items():
        assert np.asarray(array).tobytes() == numbers[name].floats().tobytes(), name


@pytest.mark.parametrize(
    ("role", "entry", "change"),
    [
        ("k/w", "{variable: k/w, layout: OIHW}", lambda a: a.transpose(3, 2, 0, 1)),
        ("k/w", "{variable: k/w, layout: IOHW}", lambda a: a.transpose(2, 3, 0, 1)),
        ("k/w", "{variable: k/w, reverse: [H, W]}", lambda a: a[::-1, ::-1]),
        ("k/w", "{variable: k/w, reverse: [I]}", lambda a: a[:, :, ::-1]),
        (
            "k/w",
            "{variable: k/w, layout: OIHW, reverse: [W]}",
            lambda a: a.transpose(3, 2, 0, 1)[..., ::-1],
        ),
        (
            "k/w",
            '{variable: k/w, rearrange: "w h o i -> o i h w"}',
            lambda a: a.transpose(1, 0, 3, 2),
        ),
        (
            "d/w",
            "{variable: d/w, layout: OIHW}",
            lambda a: a.transpose(2, 3, 0, 1).reshape(8, 1, 3, 2),
        ),
        ("d/w", "{variable: d/w, layout: HWIO}", lambda a: a.reshape(3, 2, 1, 8)),
        ("d/w", "{variable: d/w, reverse: [H, W]}", lambda a: a[::-1, ::-1]),
        ("fc/w", "{variable: fc/w, layout: OI}", lambda a: a.T),
        ("fc/w", "{variable: fc/w, layout: HWIO}", lambda a: a.reshape(5, 5, 8, 5)),
        (
            "fc/w",
            "{variable: fc/w, flatten: [C, H, W]}",
            lambda a: a.reshape(5, 5, 8, 5).transpose(2, 0, 1, 3).reshape(200, 5),
        ),
        (
            "fc/w",
            "{variable: fc/w, layout: OI, flatten: [C, H, W]}",
            lambda a: a.reshape(5, 5, 8, 5).transpose(2, 0, 1, 3).reshape(200, 5).T,
        ),
        (
            "fc/w",
            "{variable: fc/w, reverse: [H]}",
            lambda a: a.reshape(5, 5, 8, 5)[::-1].reshape(200, 5),
        ),
    ],
)
def test_an_unusual_variable_becomes_the_same_blob(
    plan: Plan, tmp_path: Path, rng: np.random.Generator, role: str, entry: str, change: object
) -> None:
    usual = variables(rng)
    expected = written(resolved(plan), usual, tmp_path)
    unusual = np.ascontiguousarray(change(usual[role].floats()))  # type: ignore[operator]
    numbers = {**usual, role: in_memory(role, unusual)}
    shapes = {name: v.shape for name, v in numbers.items()}
    answer = resolved(plan, ENTRIES.replace(role, entry), shapes)
    binding = written(answer, numbers, tmp_path)
    for i, layer in enumerate(plan.layers):
        for name, array in expected.values(i).items() if layer.params else ():
            np.testing.assert_array_equal(binding.values(i)[name], array)
    back = dict(to_variables(answer, binding))
    np.testing.assert_array_equal(back[role], unusual)
    assert not np.array_equal(np.ravel(back[role]), usual[role].floats().ravel()) or "HW" in entry


def test_colours_turn_round_where_the_input_is_read(
    plan: Plan, tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = variables(rng)
    head = "channels: {caffe: bgr, tensorflow: rgb}\n"
    answer = resolved(plan, head=head)
    binding = written(answer, numbers, tmp_path)
    turned = numbers["k/w"].floats()[:, :, ::-1].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(blob(binding, "conv", "weights"), turned)
    np.testing.assert_array_equal(
        blob(binding, "dw", "weights").ravel()[:6],
        numbers["d/w"].floats()[:, :, 0, 0].ravel(),
    )
    back = dict(to_variables(answer, binding))
    np.testing.assert_array_equal(back["k/w"], numbers["k/w"].floats())


def test_groups_in_variables_of_their_own(tmp_path: Path, rng: np.random.Generator) -> None:
    net = NET.replace("num_output: 8 group: 4", "num_output: 8 group: 2")
    plan = plan_of(net, tmp_path)
    entries = ENTRIES.replace("d/w", "{concat: [d/1, d/2], along: O}")
    shapes = {n: s for n, s in SHAPES.items() if n != "d/w"}
    shapes |= {"d/1": (3, 2, 2, 4), "d/2": (3, 2, 2, 4)}
    numbers = variables(rng, shapes)
    answer = resolved(plan, entries, shapes)
    binding = written(answer, numbers, tmp_path)
    weights = blob(binding, "dw", "weights")
    for i, name in enumerate(("d/1", "d/2")):
        wanted = numbers[name].floats().transpose(3, 2, 0, 1)
        np.testing.assert_array_equal(weights[4 * i : 4 * i + 4], wanted)
    for source in (answer, resolved(plan, entries, None)):
        back = dict(to_variables(source, binding))
        for name, variable in numbers.items():
            np.testing.assert_array_equal(back[name], variable.floats())


def test_the_bias_of_groups_is_joined_along_o(tmp_path: Path, rng: np.random.Generator) -> None:
    plan = plan_of(NET, tmp_path)
    entries = ENTRIES.replace("k/b", "{concat: [k/b1, k/b2], along: O}")
    shapes = {n: s for n, s in SHAPES.items() if n != "k/b"} | {"k/b1": (2,), "k/b2": (2,)}
    numbers = variables(rng, shapes)
    binding = written(resolved(plan, entries, shapes), numbers, tmp_path)
    wanted = np.concatenate([numbers["k/b1"].floats(), numbers["k/b2"].floats()])
    np.testing.assert_array_equal(blob(binding, "conv", "bias"), wanted)


def test_a_flat_fc_kept_as_a_convolution(tmp_path: Path, rng: np.random.Generator) -> None:
    second = 'layer { name: "fc2" type: "InnerProduct" bottom: "fc" top: "fc2"\n'
    plan = plan_of(NET + second + "  inner_product_param { num_output: 3 } }\n", tmp_path)
    entries = ENTRIES + "  fc2: {weights: {variable: f2/w, layout: HWIO}, bias: f2/b}\n"
    shapes = {**SHAPES, "f2/w": (1, 1, 5, 3), "f2/b": (3,)}
    numbers = variables(rng, shapes)
    answer = resolved(plan, entries, shapes)
    (words,) = [pair.words for pair in answer.pairs if str(pair.blob) == "fc2.weights"]
    assert words == "11IO → OI"
    binding = written(answer, numbers, tmp_path)
    np.testing.assert_array_equal(blob(binding, "fc2", "weights"), numbers["f2/w"].floats()[0, 0].T)
    np.testing.assert_array_equal(
        dict(to_variables(answer, binding))["f2/w"], numbers["f2/w"].floats()
    )


def test_parts_of_other_sizes(plan: Plan, tmp_path: Path, rng: np.random.Generator) -> None:
    entries = ENTRIES.replace("fc/w", "{concat: [f/1, f/2], along: O}")
    shapes = {n: s for n, s in SHAPES.items() if n != "fc/w"}
    shapes |= {"f/1": (200, 2), "f/2": (200, 3)}
    numbers = variables(rng, shapes)
    answer = resolved(plan, entries, shapes)
    back = dict(to_variables(answer, written(answer, numbers, tmp_path)))
    np.testing.assert_array_equal(back["f/2"], numbers["f/2"].floats())
    unknown = resolved(plan, entries.replace("f/1, f/2", "f/1, f/2, f/3, f/4, f/5"), None)
    assert unknown.fits  # five of five outputs could be one each, or not
    with pytest.raises(MappingError, match=r"m\.yaml:.*nobody tells; give --like"):
        list(to_variables(unknown, written(answer, numbers, tmp_path)))


def test_parts_are_not_taken_for_equal(
    plan: Plan, tmp_path: Path, rng: np.random.Generator
) -> None:
    """1 + 3 of a convolution without groups is not written as 2 + 2."""
    entries = ENTRIES.replace("k/w", "{concat: [k/1, k/2], along: O}")
    shapes = {n: s for n, s in SHAPES.items() if n != "k/w"}
    shapes |= {"k/1": (3, 3, 3, 1), "k/2": (3, 3, 3, 3)}
    numbers = variables(rng, shapes)
    answer = resolved(plan, entries, shapes)
    binding = written(answer, numbers, tmp_path)
    back = dict(to_variables(answer, binding))
    np.testing.assert_array_equal(back["k/2"], numbers["k/2"].floats())
    with pytest.raises(MappingError, match=r"m\.yaml:.*nobody tells; give --like"):
        list(to_variables(resolved(plan, entries, None), binding))


def test_a_bias_folds_into_a_mean(plan: Plan, tmp_path: Path, rng: np.random.Generator) -> None:
    net = NET.replace(
        "num_output: 4 kernel_size: 3", "num_output: 4 kernel_size: 3 bias_term: false"
    )
    plan = plan_of(net, tmp_path)
    entries = ENTRIES.replace(", bias: k/b", "").replace(
        "mean: bn/mean", "mean: {variable: bn/mean, minus: k/b}"
    )
    numbers = variables(rng)
    answer = resolved(plan, entries)
    binding = written(answer, numbers, tmp_path)
    wanted = numbers["bn/mean"].floats() - numbers["k/b"].floats()
    np.testing.assert_array_equal(blob(binding, "bn", "mean"), wanted)
    back = dict(to_variables(answer, binding))
    np.testing.assert_array_equal(back["bn/mean"], wanted)
    np.testing.assert_array_equal(back["k/b"], np.zeros(4))


@pytest.mark.parametrize("head", ["epsilon: 0.001\n", ""])
def test_epsilon_is_corrected_through_the_variance(
    plan: Plan, tmp_path: Path, rng: np.random.Generator, head: str
) -> None:
    entries = ENTRIES if head else ENTRIES.replace("bn/var", "{variable: bn/var, epsilon: 0.001}")
    numbers = variables(rng)
    answer = resolved(plan, entries, head=head)
    variance = blob(written(answer, numbers, tmp_path), "bn", "variance")
    mine = numbers["bn/var"].floats().astype(np.float64) + 1e-3
    np.testing.assert_allclose(variance.astype(np.float64) + 1e-5, mine, rtol=1e-7)
    back = dict(to_variables(answer, written(answer, numbers, tmp_path)))
    np.testing.assert_allclose(back["bn/var"], numbers["bn/var"].floats(), rtol=2e-7)


def test_an_epsilon_that_is_caffes_changes_no_bit(
    plan: Plan, tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = variables(rng)
    binding = written(resolved(plan, head="epsilon: 0.00001\n"), numbers, tmp_path)
    np.testing.assert_array_equal(blob(binding, "bn", "variance"), numbers["bn/var"].floats())


def test_a_constant_has_to_be_there_on_the_way_back(
    plan: Plan, tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = variables(rng)
    plain = written(resolved(plan), numbers, tmp_path)
    entries = ENTRIES.replace("bias: fc/b", "bias: {constant: 0.5}")
    shapes = {name: shape for name, shape in SHAPES.items() if name != "fc/b"}
    answer = resolved(plan, entries, shapes)
    binding = written(answer, numbers, tmp_path)
    np.testing.assert_array_equal(blob(binding, "fc", "bias"), np.full(5, 0.5))
    assert "fc/b" not in dict(to_variables(answer, binding))
    with pytest.raises(MappingError, match=r"m\.yaml:7:.*fc\.bias is not 0\.5 everywhere"):
        dict(to_variables(answer, plain))


def test_a_variable_that_must_be_zero(plan: Plan, tmp_path: Path, rng: np.random.Generator) -> None:
    shapes = {**SHAPES, "d/b": (8,)}
    numbers = variables(rng, shapes)
    head = 'ignore: {variables: [{name: "*/b", must_be: 0}]}\n'
    answer = resolved(plan, ENTRIES, shapes, head=head)
    with pytest.raises(MappingError, match=r"m\.yaml:\d+:\d+: the variable d/b is not 0"):
        written(answer, numbers, tmp_path)
    assert not (tmp_path / "net.caffemodel").exists()
    numbers["d/b"] = in_memory("d/b", np.zeros(8, np.float32))
    written(answer, numbers, tmp_path)


def test_blobs_left_out_keep_the_base(plan: Plan, tmp_path: Path, rng: np.random.Generator) -> None:
    old = written(resolved(plan), variables(rng), tmp_path)
    (tmp_path / "net.caffemodel").rename(tmp_path / "old.caffemodel")
    old = bind(plan, load_weights(tmp_path / "old.caffemodel"))
    entries = "\n  fc: {weights: fc/w, bias: fc/b}\n"
    numbers = variables(rng, {name: SHAPES[name] for name in ("fc/w", "fc/b")})
    answer = resolved(plan, entries, {name: v.shape for name, v in numbers.items()}, partial=True)
    answer.check()
    path = tmp_path / "new.caffemodel"
    caffemodel.write(path, to_layers(answer, numbers, old))
    new = bind(plan, load_weights(path))
    np.testing.assert_array_equal(blob(new, "conv", "weights"), blob(old, "conv", "weights"))
    np.testing.assert_array_equal(blob(new, "bn", "variance"), blob(old, "bn", "variance"))
    np.testing.assert_array_equal(blob(new, "fc", "bias"), numbers["fc/b"].floats())
