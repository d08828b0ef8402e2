"""`mapping init` as users meet it: the file, what it says of guesses, and the command."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from corpus import CORPUS, needs_corpus
from mapped import NET, SHAPES, resolved
from proposals import automatic, score, shipped
from prototxts import data, layer, param
from shipped_nets import SHIPPED
from tf2caffe import convert
from tf2caffe.__main__ import main
from tfcaffe.errors import OutputError
from tfcaffe.files import caffemodel
from tfcaffe.mapping.check import check
from tfcaffe.mapping.mapping_file import load_mapping, parse_mapping
from tfcaffe.mapping.proposal.file_text import mapping_text
from tfcaffe.mapping.proposal.init import Init, init
from tfcaffe.mapping.resolve import resolve

Shapes = Mapping[str, Sequence[int]]


def made(folder: Path, shapes: Shapes = SHAPES, net: str = NET) -> tuple[Path, Path, Path]:
    """A prototxt, an .npz, and the path of the mapping to be."""
    (folder / "net.prototxt").write_text(net)
    np.savez(folder / "v.npz", **{n: np.zeros(tuple(s), np.float32) for n, s in shapes.items()})
    return folder / "net.prototxt", folder / "v.npz", folder / "map.yaml"


def run(folder: Path, shapes: Shapes = SHAPES, net: str = NET) -> tuple[Init, str]:
    prototxt, variables, target = made(folder, shapes, net)
    return init(prototxt, variables, target), target.read_text()


@needs_corpus
@pytest.mark.parametrize("name", SHIPPED)
def test_the_file_says_what_was_proposed_and_fits(name: str, tmp_path: Path) -> None:
    truth = shipped(name, CORPUS, tmp_path)
    for pair in (truth, truth.renamed(automatic(truth))):
        found = score(pair).proposal
        text = mapping_text(found)
        answer = resolve(parse_mapping(text, Path("m.yaml")), pair.plan, dict(pair.variables))
        assert answer.fits, answer.problems[:3]
        said = {str(p.blob): (p.variables, p.minus, p.value.constant) for p in answer.pairs}
        assert said == {str(g.blob): (g.names, g.minus, g.constant) for g in found.guesses}
        doubts = sum(not guess.certain for guess in found.guesses)
        assert ("# uncertain" in text) == (doubts > 0)


@needs_corpus
@pytest.mark.parametrize(("name", "lines"), [("vgg16_slim", 20), ("resnet152_slim", 60)])
def test_repeated_structure_takes_few_lines(name: str, lines: int, tmp_path: Path) -> None:
    text = mapping_text(score(shipped(name, CORPUS, tmp_path)).proposal)
    assert len(text.splitlines()) < lines


def test_what_no_checkpoint_tells_is_said_at_the_top(tmp_path: Path) -> None:
    found, text = run(tmp_path)
    assert found.complete
    head = text.partition("mapping: 1")[0]
    assert "channels: {caffe: bgr, tensorflow: rgb}" in head
    assert "epsilon" in head and "flatten: [C, H, W]" in head
    assert "uncertain" not in text.partition("mapping: 1")[2]


def test_guesses_have_the_alternatives_beside_them(tmp_path: Path) -> None:
    net = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }
layer { name: "in" type: "Convolution" bottom: "data" top: "in"
  convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "left" type: "Convolution" bottom: "in" top: "left"
  convolution_param { num_output: 7 kernel_size: 3 } }
layer { name: "right" type: "Convolution" bottom: "in" top: "right"
  convolution_param { num_output: 7 kernel_size: 3 } }
"""
    shapes = {"in/w": (3, 3, 4, 6), "in/b": (6,), "p/w": (3, 3, 6, 7), "p/b": (7,)}
    shapes |= {"q/w": (3, 3, 6, 7)}
    found, text = run(tmp_path, shapes, net)
    assert found.complete, "q has no bias: a constant"
    assert (
        text.partition("layers:")[2]
        == """
  in: {weights: in/w, bias: in/b}
  # uncertain, all of it: by name and order; else q/w
  left: {weights: p/w, bias: p/b}
  right:
    # uncertain: by name and order; else p/w
    weights: q/w
    # uncertain: no variable of this role was found beside the others
    bias: {constant: 0}
"""
    )


def test_what_is_left_over_stands_at_the_end_and_is_no_part_of_the_mapping(tmp_path: Path) -> None:
    shapes = {name: s for name, s in SHAPES.items() if name != "d/w"} | {"he*d/w": (7, 9)}
    found, text = run(tmp_path, shapes)
    assert not found.complete
    assert "#   dw.weights 8×1×3×2" in text and "#     - 'he{*}d/w'  # 7×9" in text
    assert not load_mapping(found.path).variables, "ignored by a question only"
    taken = text.replace("# ignore:", "ignore:").replace("#   variables:", "  variables:")
    taken = taken.replace("#     - ", "    - ")
    mapping = parse_mapping(taken, found.path)
    answer = resolve(mapping, found.proposal.plan, {n: tuple(s) for n, s in shapes.items()})
    assert [p.text.partition(" [")[0] for p in answer.problems] == ["no entry for dw.weights"]


def test_names_that_yaml_and_patterns_would_read_otherwise(tmp_path: Path) -> None:
    net = NET.replace('"conv"', '"co{n}v: #1"').replace('"fc"', '"no"')
    shapes = {f"a {{x}}, b/{name}": shape for name, shape in SHAPES.items()}
    found, text = run(tmp_path, shapes, net)
    known = {name: tuple(shape) for name, shape in shapes.items()}
    answer = resolve(load_mapping(found.path), found.proposal.plan, known)
    assert answer.fits, (answer.problems, text)


def test_an_old_file_stays_unless_it_may_go(tmp_path: Path) -> None:
    prototxt, variables, target = made(tmp_path)
    target.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        init(prototxt, variables, target)
    assert target.read_text() == "mine"
    init(prototxt, variables, target, overwrite=True)
    assert load_mapping(target).rules


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prototxt, variables, target = map(str, made(tmp_path))
    assert main(["mapping", "init", prototxt, variables, "-o", target]) == 0
    assert "9 entries, 9 certain, 0 uncertain" in capsys.readouterr().out
    assert main(["mapping", "check", target, prototxt, "--checkpoint", variables]) == 0
    assert "fits" in capsys.readouterr().out
    assert main(["mapping", "init", prototxt, variables, "-o", target]) == 2
    assert "--overwrite" in capsys.readouterr().err
    again = ["mapping", "init", prototxt, variables, "-o", target, "--overwrite"]
    assert main([*again, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["complete"] and len(said["guesses"]) == 9
    assert all(guess["reason"] for guess in said["guesses"])
    assert main([*again, "--verbose"]) == 0
    assert "certain: " in capsys.readouterr().out


def test_the_command_says_no_where_something_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes = {name: s for name, s in SHAPES.items() if name != "d/w"}
    prototxt, variables, target = map(str, made(tmp_path, shapes))
    assert main(["mapping", "init", prototxt, variables, "-o", target]) == 1
    assert "unmatched blobs: 1" in capsys.readouterr().out
    assert Path(target).is_file()
    assert main(["mapping", "check", target, prototxt, "--checkpoint", variables]) == 1


def test_one_kernel_of_tf1_in_two_parts(tmp_path: Path) -> None:
    """What is proposed is what `test_recurrent` proves by hand; nothing of it is certain."""
    net = data(5, 3, 4, name="x") + data(5, 3, name="cont")
    for i, bottom in (("1", "x"), ("2", "lstm1")):
        fields = param("recurrent_param", num_output=6)
        net += layer("LSTM", [bottom, "cont"], f"lstm{i}", fields)
    cells = {i: f"rnn/multi_rnn_cell/cell_{i}/basic_lstm_cell" for i in (0, 1)}
    shapes = {f"{cells[0]}/kernel": (10, 24), f"{cells[0]}/bias": (24,)}
    shapes |= {f"{cells[1]}/kernel": (12, 24), f"{cells[1]}/bias": (24,)}
    found, _ = run(tmp_path, shapes, net)
    plan = found.proposal.plan
    wanted = """
  "lstm{n:1=0,2=1}":
    input_weights: {variable: "NAME/kernel", part: input, gates: icfo}
    recurrent_weights: {variable: "NAME/kernel", part: recurrent, gates: icfo}
    bias: {variable: "NAME/bias", gates: icfo, forget_bias: 1}
""".replace("NAME", cells[0].replace("0", "{n}"))
    by_hand = resolved(plan, wanted, shapes)
    proposed = resolve(load_mapping(found.path), plan, shapes)
    assert by_hand.fits and proposed.fits
    said, known = (
        {str(p.blob): (p.variables, p.transform) for p in answer.pairs}
        for answer in (proposed, by_hand)
    )
    assert said == known
    assert not any(guess.certain for guess in found.proposal.guesses)
    assert all("forget_bias" in guess.reason for guess in found.proposal.guesses)


def test_a_cell_beside_a_dense_layer_of_its_shape(tmp_path: Path) -> None:
    net = data(5, 3, 4, name="x") + data(5, 3, name="cont")
    net += layer("LSTM", ["x", "cont"], "lstm", param("recurrent_param", num_output=6))
    for name, bottom, units in (("fc1", "lstm", 10), ("fc2", "fc1", 24)):
        fields = param("inner_product_param", num_output=units, axis=2)
        net += layer("InnerProduct", bottom, name, fields)
    shapes = {"rnn/lstm_cell/kernel": (10, 24), "rnn/lstm_cell/bias": (24,)}
    shapes |= {"fc1/w": (6, 10), "fc1/b": (10,), "fc2/w": (10, 24), "fc2/b": (24,)}
    found, text = run(tmp_path, shapes, net)
    assert found.complete
    assert "{variable: rnn/lstm_cell/kernel, part: recurrent, gates: icfo}" in text
    answer = resolve(load_mapping(found.path), found.proposal.plan, shapes)
    assert answer.fits, answer.problems
    assert {str(pair.blob): pair.variables for pair in answer.pairs}["fc2.weights"] == ("fc2/w",)


def test_one_kernel_without_gates(tmp_path: Path) -> None:
    net = data(5, 3, 4, name="x") + data(5, 3, name="cont")
    net += layer("RNN", ["x", "cont"], "rnn", param("recurrent_param", num_output=6))
    shapes = {"cell/kernel": (10, 6), "cell/bias": (6,), "out/kernel": (6, 6), "out/bias": (6,)}
    found, text = run(tmp_path, shapes, net)
    assert "input_weights: {variable: cell/kernel, part: input}" in text
    assert "recurrent_weights: {variable: cell/kernel, part: recurrent}" in text
    answer = resolve(load_mapping(found.path), found.proposal.plan, shapes)
    assert answer.fits, answer.problems


BARE = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 8 } } }
""" + "".join(
    f"""
layer {{ name: "conv{n}" type: "Convolution" bottom: "{bottom}" top: "conv{n}"
  convolution_param {{ num_output: {4 + n} kernel_size: 3 bias_term: false }} }}
layer {{ name: "bn{n}" type: "BatchNorm" bottom: "conv{n}" top: "bn{n}" }}
"""
    for n, bottom in ((1, "data"), (2, "bn1"))
)


def norms(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Kernels and BatchNorms whose gamma is 1 and whose beta is 0."""
    arrays = {}
    for n, inputs in ((1, 3), (2, 5)):
        arrays[f"conv{n}/kernel"] = rng.normal(size=(3, 3, inputs, 4 + n))
        for name, number in (("gamma", 1.0), ("beta", 0.0)):
            arrays[f"bn{n}/{name}"] = np.full(4 + n, number)
        for name in ("moving_mean", "moving_variance"):
            arrays[f"bn{n}/{name}"] = rng.uniform(1, 2, 4 + n)
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def test_variables_that_change_nothing_are_left_out_as_long_as_they_do(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    prototxt, variables, target = made(tmp_path, net=BARE)
    arrays = norms(rng)
    np.savez(variables, **arrays)
    found = init(prototxt, variables, target)
    assert found.complete and all(variable.certain for variable in found.proposal.neutral)
    assert '- {name: "**/gamma", must_be: 1}' in found.text.replace("'", '"')
    assert "left out, as they change nothing: 4 variables" in found.to_text()
    assert check(target, prototxt, checkpoint=variables).fits
    arrays["bn2/gamma"][1] = 0.5
    np.savez(variables, **arrays)
    assert not check(target, prototxt, checkpoint=variables).fits
    again = init(prototxt, variables, target, overwrite=True)
    assert [variable.name for variable in again.proposal.lone_variables] == ["bn2/gamma"]
    assert "#     - bn2/gamma  # 6, not 1 everywhere" in again.text
    assert "{name: bn1/gamma, must_be: 1}" in again.text
    assert load_mapping(target).variables, "what is left over is a comment below them"
    taken = again.text.replace("#     - ", "    - ")
    mapping = parse_mapping(taken, target)
    shapes = {name: array.shape for name, array in arrays.items()}
    assert resolve(mapping, again.proposal.plan, shapes).fits


def test_what_could_be_a_blob_elsewhere_is_left_out_with_a_doubt(tmp_path: Path) -> None:
    net = NET.replace("kernel_w: 2 bias_term: false", "kernel_w: 2")
    net = net.replace("num_output: 5", "num_output: 8 bias_term: false")
    found, text = run(tmp_path, {**SHAPES, "fc/w": (200, 8), "fc/b": (8,)}, net)
    (left,) = found.proposal.neutral
    assert (left.name, left.number, left.certain) == ("fc/b", 0, False)
    assert left.others == ("dw.bias",)
    assert "# uncertain: the layer has no blob for it, but another has; else dw.bias" in text
    assert "then run mapping check" in found.to_text()


def test_a_bias_of_all_groups_beside_kernels_of_each(tmp_path: Path) -> None:
    net = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 group: 2 } }
"""
    shapes = {f"net/conv/weights_{i}": (3, 3, 2, 3) for i in (1, 2)} | {"net/conv/biases": (6,)}
    found, text = run(tmp_path, shapes, net)
    assert found.complete
    assert "{concat: [net/conv/weights_1, net/conv/weights_2], along: O}" in text
    assert "bias: net/conv/biases" in text
    answer = resolve(load_mapping(found.path), found.proposal.plan, shapes)
    assert answer.fits, answer.problems


FULL = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 7 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "fc6" type: "Convolution" bottom: "conv" top: "fc6"
  convolution_param { num_output: 8 kernel_h: 5 kernel_w: 4 } }
"""
FULL_SHAPES = {"conv/kernel": (3, 3, 3, 4), "conv/bias": (4,), "fc6/bias": (8,)}


def test_a_dense_layer_that_caffe_has_as_a_full_size_convolution(tmp_path: Path) -> None:
    net, weights, path = made(tmp_path, {**FULL_SHAPES, "fc6/kernel": (5 * 4 * 4, 8)}, FULL)
    found = init(net, weights, path)
    kernel = next(g for g in found.proposal.guesses if str(g.blob) == "fc6.weights")
    assert kernel.names == ("fc6/kernel",) and not kernel.certain
    assert 'rearrange: "(h w i) o -> o i h w"' in found.text
    assert check(path, net, checkpoint=weights).fits
    numbers = np.random.default_rng(1).normal(size=(5, 4, 4, 8)).astype(np.float32)
    np.savez(weights, **{**np.load(weights), "fc6/kernel": numbers.reshape(-1, 8)})
    convert(weights, tmp_path / "out.caffemodel", prototxt=net, mapping=path)
    written = caffemodel.read(tmp_path / "out.caffemodel").layers["fc6"]
    assert np.array_equal(np.asarray(written.blobs[0]), numbers.transpose(3, 2, 0, 1))


def test_a_full_size_convolution_that_caffe_has_as_a_fully_connected_layer(tmp_path: Path) -> None:
    dense = FULL.replace('"fc6" type: "Convolution"', '"fc6" type: "InnerProduct"').replace(
        "convolution_param { num_output: 8 kernel_h: 5 kernel_w: 4 }",
        "inner_product_param { num_output: 8 }",
    )
    net, weights, path = made(tmp_path, {**FULL_SHAPES, "fc6/kernel": (5, 4, 4, 8)}, dense)
    found = init(net, weights, path)
    assert found.complete and "layout: HWIO" in found.text
    assert check(path, net, checkpoint=weights).fits
