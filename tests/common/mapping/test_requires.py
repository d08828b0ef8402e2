"""`requires`: what a mapping asks of the prototxt is checked before anything is written."""

from pathlib import Path

import pytest

from mapped import ENTRIES, NET, SHAPES, plan_of
from tfcaffe.errors import MappingError
from tfcaffe.mapping.mapping_file import load_mapping, parse_mapping
from tfcaffe.mapping.resolve import resolve

TEXT = f"mapping: 1\nlayers:{ENTRIES}"


def problems(asked: str, folder: Path, net: str = NET) -> list[str]:
    mapping = parse_mapping(TEXT + f"requires:\n{asked}", folder / "m.yaml")
    return [str(problem) for problem in resolve(mapping, plan_of(net, folder), SHAPES).problems]


@pytest.mark.parametrize(
    "has",
    [
        "{num_output: 4}",
        "{kernel_size: 3, pad: 0, stride: 1, bias_term: true}",
        "{engine: DEFAULT}",
        "{type: Convolution, read_by: BatchNorm}",
        "[{pad: 1}, {read_by: [Slice, BatchNorm]}]",
        "{num_output: [3, 4]}",
    ],
)
def test_held(has: str, tmp_path: Path) -> None:
    assert problems(f"  conv: {{has: {has}, because: why}}", tmp_path) == []


@pytest.mark.parametrize(
    ("has", "words"),
    [
        ("{pad: 1}", "requires `pad: 1` in the prototxt, and it has pad: 0"),
        ("[{stride: 2, pad: 0}, {pad: 2}]", "`stride: 2 pad: 0`, or `pad: 2`"),
        ("{kernel_size: 5}", "it has kernel_size: 3"),
        ("{bias_term: false}", "it has bias_term: true"),
        ("{engine: CUDNN}", "it has engine: DEFAULT"),
        ("{read_by: Slice}", "it has read_by: BatchNorm"),
        ("{type: Pooling}", "it has type: Convolution"),
        ("{no_such: 1}", "it has no_such: no such field"),
    ],
)
def test_not_held(has: str, words: str, tmp_path: Path) -> None:
    (said,) = problems(f"  conv: {{has: {has}, because: it is so there}}", tmp_path)
    assert said.startswith(f"{tmp_path}/m.yaml:") and words in said
    assert said.endswith("change it there, for it is so there")


def test_a_pattern_names_all_its_layers(tmp_path: Path) -> None:
    net = NET.replace('"relu"', '"bn2"').replace('"ReLU"', '"Power"')
    (said,) = problems('  "bn{n}": {has: {type: ReLU}, because: x}', tmp_path, net)
    assert said.split(": ", 1)[1].startswith("bn2: this mapping requires `type: ReLU`")


def test_a_layer_that_is_not_there(tmp_path: Path) -> None:
    (said,) = problems("  pool: {has: {pad: 1}, because: of that}", tmp_path)
    assert "no layer is called 'pool'" in said and said.endswith("`pad: 1`: of that")


@pytest.mark.parametrize(
    "wrong",
    ["{has: {pad: 1}}", "{because: x}", "{has: {}, because: x}", "{has: [1], because: x}", "1"],
)
def test_form(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"m\.yaml:\d+:\d+"):
        problems(f"  conv: {wrong}", tmp_path)


def test_it_is_inherited_and_can_be_taken_back(tmp_path: Path) -> None:
    base = TEXT + "requires:\n  conv: {has: {pad: 1}, because: x}\n"
    (tmp_path / "base.yaml").write_text(base)
    heir = tmp_path / "heir.yaml"
    for more, count in (("", 1), ("requires: {conv: {}}\n", 0), ("requires:\n  fc: {}\n", 1)):
        heir.write_text(f"mapping: 1\nextends: base.yaml\n{more}")
        plan = plan_of(NET, tmp_path)
        assert len(resolve(load_mapping(heir), plan, SHAPES).problems) == count
