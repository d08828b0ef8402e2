"""A mapping held against a net and variables: what fits, and how what does not is said."""

import re
from pathlib import Path

import pytest

from mapped import ENTRIES, NET, SHAPES, plan_of, resolved
from tfcaffe.errors import MappingError
from tfcaffe.mapping.mapping_file import parse_mapping
from tfcaffe.mapping.nearest import Names
from tfcaffe.mapping.resolve import resolve
from tfcaffe.plan import Plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return plan_of(NET, tmp_path)


def problems(plan: Plan, entries: str, shapes: object = SHAPES, head: str = "") -> list[str]:
    return [str(p) for p in resolved(plan, entries, shapes, head=head).problems]  # type: ignore[arg-type]


def only(plan: Plan, entries: str, shapes: object = SHAPES, head: str = "") -> str:
    found = problems(plan, entries, shapes, head)
    assert len(found) == 1, found
    return found[0]


def test_a_whole_net_fits(plan: Plan) -> None:
    answer = resolved(plan)
    answer.check()
    said = {str(pair.blob): pair.words for pair in answer.pairs}
    assert said == {
        "conv.weights": "HWIO → OIHW",
        "conv.bias": "as it is",
        "bn.mean": "as it is",
        "bn.variance": "as it is",
        "scale.gamma": "as it is",
        "scale.beta": "as it is",
        "dw.weights": "HWIM → OIHW",
        "fc.weights": "IO → OI, fc after 5×5×8 flatten",
        "fc.bias": "as it is",
    }


def test_without_variables_the_mapping_says_their_shapes(plan: Plan) -> None:
    answer = resolved(plan, shapes=None)
    assert answer.fits
    made = {
        n: s
        for p in answer.pairs
        for n, s in zip(p.variables, p.transform.variable_shapes, strict=True)
    }  # type: ignore[union-attr]
    assert made == SHAPES


def test_what_is_left_over_on_either_side_is_listed_with_shapes(plan: Plan) -> None:
    entries = ENTRIES.replace("bias: fc/b", "bias: {constant: 0}").replace(
        "  dw: {weights: d/w}\n", ""
    )
    found = problems(plan, entries)
    assert len(found) == 3
    assert "no entry for dw.weights [8, 1, 3, 2]; perhaps d/w [3, 2, 4, 2]" in found[0]
    assert "the variable d/w [3, 2, 4, 2] goes nowhere" in found[1] and "dw.weights" in found[1]
    assert "the variable fc/b [5] goes nowhere" in found[2]
    with pytest.raises(MappingError, match=r"does not fit .*net\.prototxt:\n  no entry"):
        resolved(plan, entries).check()


def test_nearest_names_are_the_model_s_own(plan: Plan) -> None:
    """Not those of slots, averages and counters, however near, unless nothing else is."""
    slots = {f"fc/{name}": (5,) for name in ("bs/Momentum", "bs/Adam", "bs_1", "bsx")}
    shapes = {**{n: s for n, s in SHAPES.items() if n != "fc/b"}, "fc/biases": (5,), **slots}
    entries = ENTRIES.replace("fc/b}", "fc/bs}")
    mapping = parse_mapping(f"mapping: 1\nlayers:{entries}", Path("m.yaml"))
    found = resolve(mapping, plan, shapes, apart=slots.keys())
    assert [str(problem) for problem in found.problems] == [
        "m.yaml:7:29: there is no variable fc/bs; the nearest names are fc/biases",
        "the variable fc/biases [5] goes nowhere; map it, or name it under `ignore`; the nearest "
        "blobs are fc.bias [5]",
    ]
    mapping = parse_mapping(
        f"mapping: 1\nlayers:{entries.replace('fc/bs', 'bs_2')}", Path("m.yaml")
    )
    del shapes["fc/biases"]
    found = resolve(mapping, plan, shapes, apart=slots.keys())
    assert "bs_2; the nearest names are fc/bs_1" in str(found.problems[0])


def test_equal_shapes_are_said_where_no_name_is_near(plan: Plan) -> None:
    shapes = {**{n: s for n, s in SHAPES.items() if n != "d/w"}, "zzz": (3, 2, 4, 2), "yyy": (7,)}
    found = problems(plan, ENTRIES, shapes)
    assert found == [
        "m.yaml:6:17: there is no variable d/w; the nearest names are k/w, fc/w; of its shape: zzz",
        "the variable zzz [3, 2, 4, 2] goes nowhere; map it, or name it under `ignore`; of its "
        "shape: dw.weights",
        "the variable yyy [7] goes nowhere; map it, or name it under `ignore`",
    ]


def test_nearest_among_many() -> None:
    """As good as a comparison with each of them, where words are shared or begin alike."""
    many = [f"net/block{i}/unit_{j}/conv/kernel" for i in range(20) for j in range(20)]
    names = Names([*many, "net/logits/biases"])
    assert names.nearest("net/logits/bias", 3)[0] == "net/logits/biases"
    assert names.nearest("net/block7/unit_12/conv/kernal", 3)[0] == "net/block7/unit_12/conv/kernel"
    assert names.nearest("block3_unit4.weights", 3)[0] == "net/block3/unit_4/conv/kernel"
    assert names.nearest("%", 3) == [] == Names([]).nearest("a", 3)


def test_variables_are_ignored_by_name(plan: Plan) -> None:
    more = {**SHAPES, "global_step": (), "k/w/Momentum": (3, 3, 3, 4), "a/b/x": (1,), "st*r": (1,)}
    head = 'ignore: {variables: [global_step, "**/Momentum", "a/**", "st{*}r"]}\n'
    answer = resolved(plan, ENTRIES, more, head=head)
    assert answer.fits and len(answer.left_variables) == 4
    found = problems(plan, ENTRIES, more, 'ignore: {variables: ["*", "**/Momentum"]}\n')
    assert len(found) == 1 and "a/b/x" in found[0], "a star stays within one component"


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("a", ["a"], ["", "ab", "b/a"]),
        ("*", ["", "a", "ab"], ["a/b", "/"]),
        ("*/b", ["a/b", "/b"], ["b", "a/c/b"]),
        ("a*b*c", ["abc", "axbxbyc"], ["ab", "a/bc", "abcx"]),
        ("**/b", ["b", "a/b", "a/c/b"], ["ab", "a/bc"]),
        ("**b", ["b", "ab", "a/b", "a/xb"], ["ba"]),
        ("a/**", ["a/", "a/b", "a/b/c"], ["a", "b/a/c"]),
        ("**/b*/c", ["b/c", "a/b/bx/c"], ["bc", "b/x/c"]),
        ("st{*}r", ["st*r"], ["star", "st{*}r"]),
        ("x.y", ["x.y"], ["xzy"]),
        ("**a" * 30 + "b", ["a" * 30 + "b"], ["a" * 300]),
    ],
)
def test_stars(plan: Plan, glob: str, yes: list[str], no: list[str]) -> None:
    """The last one would keep a backtracking matcher busy for ever."""
    shapes = {**SHAPES, **{name: (1,) for name in (*yes, *no)}}
    left = resolved(plan, ENTRIES, shapes, head=f"ignore: {{variables: ['{glob}']}}\n")
    assert set(left.left_variables) - set(SHAPES) == set(yes)


def test_a_wider_pattern_does_not_hide_what_must_be_a_number(plan: Plan) -> None:
    more = {**SHAPES, "a/b": (1,), "a/c": (1,)}
    head = 'ignore: {variables: ["a/**", {name: a/b, must_be: 1}]}\n'
    answer = resolved(plan, ENTRIES, more, head=head)
    assert {name: said.must_be for name, said in answer.zeros.items()} == {"a/b": 1}
    assert set(answer.left_variables) == {"a/b", "a/c"}


def test_blobs_left_out_by_name_need_a_base(plan: Plan) -> None:
    entries = ENTRIES.replace("  fc: {weights: fc/w, bias: fc/b}\n", "")
    shapes = {name: shape for name, shape in SHAPES.items() if not name.startswith("fc")}
    head = 'ignore: {blobs: ["fc.*"]}\n'
    answer = resolved(plan, entries, shapes, head=head)
    assert answer.fits  # there is nothing to write to variables
    with pytest.raises(MappingError, match=r"fc\.weights, fc\.bias: left out .*--base"):
        answer.check_filled()
    resolved(plan).check_filled()
    named = resolved(plan, ENTRIES, head=head)
    assert named.fits and not named.left_blobs  # what is mapped is not left out
    assert resolved(plan, entries, shapes, partial=True).fits
    assert not resolved(plan, entries, shapes).fits


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("k/w", "k/v", "there is no variable k/v; the nearest names are k/w"),
        (
            "conv: {weights: k/w, bias: k/b}",
            "conv: {weights: k/w, bias: k/b, gamma: k/g}",
            r"conv \(Convolution\) has no blob 'gamma'; it has weights, bias",
        ),
        ("bias: fc/b", "bias: k/b", r"k/b stands for conv.bias \(m.yaml:3:\d+\) and for fc.bias"),
        ("k/b", "{variable: k/b, epsilon: 1}", "for the variance of a BatchNorm"),
        ("k/b", "{variable: k/b, gates: ifco}", "for recurrent layers"),
        (
            "k/w",
            "{variable: k/w, layout: OIHW}",
            r"k/w is \[3, 3, 3, 4\], wanted is \[4, 3, 3, 3\]",
        ),
        ("k/w", "{variable: k/w, layout: XY}", "does not name each axis .* it takes HWIO, HWOI"),
        ("k/b", "{variable: k/b, layout: HWIO}", "does not name each axis .* takes none"),
        ("k/w", "{variable: k/w, flatten: [C, H, W]}", "fully connected"),
        ("k/w", "{variable: k/w, reverse: [Z]}", "no axis Z"),
        ("k/w", "{variable: k/w, reverse: [H, H]}", "the axis H is turned round twice"),
        ("k/w", "{variable: k/w, rearrange: 'x'}", "no pattern"),
        ("k/w", "{variable: k/w, rearrange: ')h( w i o -> o i h w'}", "no pattern"),
        ("k/w", "{variable: k/w, rearrange: '((h w) i o -> o i h w'}", "no pattern"),
        ("k/w", "{variable: k/w, rearrange: '3 3 i o -> o i 3 3'}", "no pattern"),
        ("k/w", "{variable: k/w, rearrange: 'h_ w i o -> o i h_ w'}", "no pattern"),
        ("k/w", "{variable: k/w, rearrange: ' -> '}", "no pattern"),
        ("k/w", "fc/w", r"wanted is \[3, 3, 3, 4\] .*; of the wanted shape: k/w"),
        ("k/w", "{concat: [k/w, fc/w], along: O}", r"joined along O, do not make \[3, 3, 3, 4\]"),
        (
            "k/w",
            "{concat: [k/w, d/w], along: W}",
            r"do not make \[3, 3, 3, 4\]",
        ),
        ("fc/w", "{variable: fc/w, layout: HWIO, flatten: [C, H, W]}", "'HWIO' has several"),
        ("k/w", "{variable: k/w, rearrange: 'h w i -> o i h w'}", "axes"),
        ("fc/w", "{variable: fc/w, flatten: [C, H]}", "the layer's input has the axes"),
        ("bn/mean", "{variable: bn/mean, minus: k/w}", "cannot be subtracted"),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(
    plan: Plan, old: str, new: str, words: str
) -> None:
    found = problems(plan, ENTRIES.replace(old, new))
    assert any(re.search(words, text) and text.startswith("m.yaml:") for text in found), found


def test_colours_are_turned_round_once(plan: Plan) -> None:
    entries = ENTRIES.replace("k/w", "{variable: k/w, reverse: [I]}")
    head = "channels: {caffe: bgr, tensorflow: rgb}\n"
    (said,) = [str(problem) for problem in resolved(plan, entries, head=head).problems]
    assert "the axis I is turned round twice" in said and "`channels`" in said


def test_a_part_of_what_has_none_is_one_problem(plan: Plan) -> None:
    said = only(plan, ENTRIES.replace("k/w", "{variable: k/w, part: input}"), SHAPES)
    assert "`part: input` is for input_weights" in said


def test_only_another_layout_fits_and_is_named(plan: Plan) -> None:
    said = only(plan, ENTRIES, {**SHAPES, "k/w": (4, 3, 3, 3)})
    assert "with layout: OIHW" in said
    said = only(plan, ENTRIES, {**SHAPES, "fc/w": (5, 200)})
    assert "with layout: OI it would fit" in said
    said = only(plan, ENTRIES, {**SHAPES, "bn/gamma": (1, 1, 4)})
    assert 'with rearrange: "1 1 c -> c" it would fit' in said


def test_another_rank_of_as_many_numbers_is_for_rearrange(plan: Plan) -> None:
    said = only(plan, ENTRIES, {**SHAPES, "k/w": (27, 4)})
    assert "k/w is [27, 4], wanted is [3, 3, 3, 4]" in said and "say by `rearrange`" in said
    entries = ENTRIES.replace("k/w", '{variable: k/w, rearrange: "(h w i) o -> o i h w"}')
    assert resolved(plan, entries, {**SHAPES, "k/w": (27, 4)}).fits


def test_patterns_and_exact_keys(plan: Plan) -> None:
    entries = """
  "{x}": {weights: "{x}/w", bias: "{x}/b"}
  bn: {mean: bn/mean, variance: bn/var}
  scale: {gamma: bn/gamma, beta: bn/beta}
  dw: {weights: d/w}
"""
    shapes = {name.replace("k/", "conv/"): shape for name, shape in SHAPES.items()}
    assert resolved(plan, entries, shapes).fits
    said = problems(plan, entries + '  "d{y}": {weights: "d{y}/w"}\n', shapes)
    assert any("no layer with weights matches 'd{y}'" in text for text in said), said
    said = problems(plan, entries + '  "f{y}": {weights: "f{y}/v"}\n', shapes)
    assert any("fc.weights is said by two entries: '{x}'" in text for text in said), said
    said = problems(plan, entries + "  relu: {weights: x}\n", shapes)
    assert any("no layer with weights is called 'relu'" in text for text in said), said


@pytest.mark.parametrize(
    ("head", "model", "words"),
    [
        ("", {"bn": 1e-3}, "the model's epsilon is 0.001, the prototxt's 1e-05"),
        ("epsilon: 0.01\n", {"bn": 1e-3}, "the model's epsilon is 0.001, the mapping's 0.01"),
        ("", {"bn": 1e-5}, ""),
        ("epsilon: 0.001\n", {"bn": 1e-3}, ""),
        ("", {"other": 1e-3}, ""),
    ],
)
def test_an_epsilon_that_the_model_has_otherwise(
    plan: Plan, head: str, model: dict[str, float], words: str
) -> None:
    mapping = parse_mapping(f"mapping: 1\n{head}layers:{ENTRIES}", Path("m.yaml"))
    found = [str(p) for p in resolve(mapping, plan, SHAPES, epsilons=model).problems]
    assert len(found) == bool(words) and words in "".join(found)
