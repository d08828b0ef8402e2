"""What `mapping init` proposes: right partners, and no wrong one that is not marked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from corpus import CORPUS, needs_corpus
from mapped import NET, SHAPES, plan_of
from proposals import Truth, automatic, counted, score, scrambled, shipped
from shipped_nets import SHIPPED
from tfcaffe.mapping.proposal.guesses import Guess
from tfcaffe.mapping.proposal.propose import Proposal, proposed
from tfcaffe.variables.base import Role, Variable

Shapes = Mapping[str, tuple[int, ...]]


@needs_corpus
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pairs_with_their_real_names(name: str, tmp_path: Path) -> None:
    found = score(shipped(name, CORPUS, tmp_path))
    assert found.hidden == ()
    assert found.right >= 0.95 and found.proposal.complete


@needs_corpus
@pytest.mark.parametrize("convention", [automatic, counted])
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pairs_with_variables_named_otherwise(
    name: str, convention: Callable[[Truth], dict[str, str]], tmp_path: Path
) -> None:
    truth = shipped(name, CORPUS, tmp_path)
    found = score(truth.renamed(convention(truth)))
    assert found.hidden == ()
    assert found.right >= 0.9


@needs_corpus
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_pairs_with_layers_named_otherwise(name: str, tmp_path: Path) -> None:
    found = score(shipped(name, CORPUS, tmp_path, blind=True))
    assert found.hidden == ()
    assert found.right >= 0.9


@needs_corpus
@pytest.mark.parametrize("name", SHIPPED)
def test_with_names_that_tell_nothing_no_guess_is_wrong_and_certain(
    name: str, tmp_path: Path
) -> None:
    truth = shipped(name, CORPUS, tmp_path)
    assert score(truth.renamed(scrambled(truth))).hidden == ()


def propose(
    shapes: Shapes, folder: Path, net: str = NET, roles: Mapping[str, Role] = {}
) -> Proposal:
    variables = [
        Variable(name, shape, "float32", lambda: None, roles.get(name, ""))  # type: ignore[arg-type,return-value]
        for name, shape in shapes.items()
    ]
    return proposed(plan_of(net, folder), variables)


def said(found: Proposal) -> dict[str, Guess]:
    return {str(guess.blob): guess for guess in found.guesses}


def test_every_blob_of_a_small_net_finds_its_variable(tmp_path: Path) -> None:
    found = propose(SHAPES, tmp_path)
    assert found.complete and all(guess.certain for guess in found.guesses)
    assert {blob: guess.names for blob, guess in said(found).items()} == {
        "conv.weights": ("k/w",),
        "conv.bias": ("k/b",),
        "bn.mean": ("bn/mean",),
        "bn.variance": ("bn/var",),
        "scale.gamma": ("bn/gamma",),
        "scale.beta": ("bn/beta",),
        "dw.weights": ("d/w",),
        "fc.weights": ("fc/w",),
        "fc.bias": ("fc/b",),
    }


def without(*names: str) -> Shapes:
    return {name: shape for name, shape in SHAPES.items() if name not in names}


def test_what_has_no_variable_becomes_a_constant_that_is_told(tmp_path: Path) -> None:
    found = propose(without("bn/gamma", "fc/b"), tmp_path)
    gamma, bias = said(found)["scale.gamma"], said(found)["fc.bias"]
    assert gamma.constant == 1 and gamma.certain and "beta, and no gamma" in gamma.reason
    assert bias.constant == 0 and not bias.certain
    beta = said(propose(without("bn/gamma", "bn/beta"), tmp_path))
    assert beta["scale.gamma"].constant == 1 and not beta["scale.gamma"].certain
    assert beta["scale.beta"].constant == 0 and not beta["scale.beta"].certain


def test_a_bias_without_blob_goes_into_the_mean_behind_it(tmp_path: Path) -> None:
    bare = NET.replace("kernel_size: 3 }", "kernel_size: 3 bias_term: false }", 1)
    found = propose(SHAPES, tmp_path, bare)
    mean = said(found)["bn.mean"]
    assert found.complete and (mean.names, mean.minus, mean.certain) == (("bn/mean",), "k/b", False)
    relu = 'layer { name: "r" type: "ReLU" bottom: "conv" top: "r" }\n'
    apart = bare.replace('layer { name: "bn"', relu + 'layer { name: "bn"').replace(
        'type: "BatchNorm" bottom: "conv"', 'type: "BatchNorm" bottom: "r"'
    )
    found = propose(SHAPES, tmp_path, apart)
    assert said(found)["bn.mean"].minus == "", "behind a ReLU it would be another function"
    assert [variable.name for variable in found.lone_variables] == ["k/b"]


def test_training_leaves_nothing_to_map(tmp_path: Path) -> None:
    more = {**SHAPES, "k/w/Momentum": (3, 3, 3, 4), "global_step": ()}
    found = propose(more, tmp_path, roles={"k/w/Momentum": "slot", "global_step": "counter"})
    assert found.complete and found.apart == ("k/w/Momentum", "global_step")


def test_what_is_left_over_is_listed_and_makes_shapes_alone_uncertain(tmp_path: Path) -> None:
    more = {**without("d/w"), "head/w": (7, 7, 2, 9)}
    found = propose(more, tmp_path)
    assert [str(blob) for blob in found.lone_blobs] == ["dw.weights"]
    assert [variable.name for variable in found.lone_variables] == ["head/w"]
    assert not said(found)["conv.weights"].certain and said(found)["fc.weights"].certain


CHAIN = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }
""" + "".join(
    f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: 4 kernel_size: 1 bias_term: false }} }}
"""
    for bottom, name in (("data", "left"), ("left", "middle"), ("middle", "right"))
)


def test_equal_shapes_without_a_hint_are_uncertain_and_name_the_others(tmp_path: Path) -> None:
    found = propose(dict.fromkeys(("a/w", "b/w", "c/w"), (1, 1, 4, 4)), tmp_path, CHAIN)
    assert [guess.names for guess in found.guesses] == [("a/w",), ("b/w",), ("c/w",)]
    assert not any(guess.certain for guess in found.guesses)
    first = found.guesses[0]
    assert {"b/w", "c/w"} <= set(first.others)


def test_a_square_kernel_that_fits_in_two_layouts_is_uncertain(tmp_path: Path) -> None:
    names = ("left/w", "middle/w", "right/w")
    found = propose(dict.fromkeys(names, (1, 1, 4, 4)), tmp_path, CHAIN)
    assert [guess.names for guess in found.guesses] == [(name,) for name in names]
    assert all(not g.certain and "more than one layout" in g.reason for g in found.guesses)
    assert all("layout: HWOI" in guess.others for guess in found.guesses)


def test_other_kernels_decide_the_layout_of_square_ones(tmp_path: Path) -> None:
    net = CHAIN.replace("num_output: 4", "num_output: 6", 1)
    for kernel, layout in (((1, 1, 4, 6), ""), ((6, 4, 1, 1), "layout: OIHW")):
        square = (1, 1, 4, 4) if not layout else (4, 4, 1, 1)
        second = (1, 1, 6, 4) if not layout else (4, 6, 1, 1)
        shapes = {"left/w": kernel, "middle/w": second, "right/w": square}
        found = propose(shapes, tmp_path, net)
        assert {guess.layout for guess in found.guesses} == {layout}
        assert all(guess.certain for guess in found.guesses)


def test_numbers_that_run_the_other_way_are_not_believed(tmp_path: Path) -> None:
    """The names say 3, 2, 1 where the net's order says 1, 2, 3: whatever is chosen is marked."""
    names = {"left": "part3", "middle": "part2", "right": "part1"}
    found = propose({f"{n}/w": (1, 1, 4, 4) for n in names.values()}, tmp_path, CHAIN)
    assert not any(guess.certain for guess in found.guesses)


def test_groups_that_are_variables_of_their_own_are_joined(tmp_path: Path) -> None:
    net = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
"""
    shapes = {
        "conv_1/w": (3, 3, 2, 3),
        "conv_1/b": (3,),
        "conv_2/w": (3, 3, 2, 3),
        "conv_2/b": (3,),
    }
    found = propose(shapes, tmp_path, net)
    weights, bias = found.guesses
    assert found.complete and not weights.certain
    assert (weights.names, weights.along) == (("conv_1/w", "conv_2/w"), "O")
    assert (bias.names, bias.along) == (("conv_1/b", "conv_2/b"), "C")
