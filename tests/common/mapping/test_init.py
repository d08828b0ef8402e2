"""`mapping init` as users meet it: the file, what it says of guesses, and the command."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from corpus import CORPUS, needs_corpus
from mapped import NET, SHAPES
from proposals import automatic, score, shipped
from shipped_nets import SHIPPED
from tf2caffe.__main__ import main
from tfcaffe.errors import OutputError
from tfcaffe.mapping.mapping_file import load_mapping, parse_mapping
from tfcaffe.mapping.proposal.init import Init, init, mapping_text
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
