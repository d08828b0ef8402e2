"""Include and exclude rules: Caffe's FilterNet and StateMeetsRule."""

import json
import subprocess
from pathlib import Path

import pytest

from tfcaffe.errors import NetError
from tfcaffe.files import phases, prototxt
from tfcaffe.files.phases import Phase
from tfcaffe.oracle.pycaffe import find_caffe


def net_file(rules: str, state: str = "") -> prototxt.NetFile:
    return prototxt.parse(
        f'{state}\nlayer {{ name: "first" type: "ReLU" }}\n\n'
        f'layer {{ name: "ruled" type: "ReLU" {rules} }}\nlayer {{ name: "last" type: "ReLU" }}'
    )


def is_kept(rules: str, phase: Phase, level: int, stages: tuple[str, ...], state: str = "") -> bool:
    net = phases.filter_net(net_file(rules, state).net, phase, level, stages)
    names = [layer.name for layer in net.layer]
    assert names in (["first", "ruled", "last"], ["first", "last"])
    return "ruled" in names


@pytest.mark.parametrize(
    ("rules", "phase", "level", "stages", "kept"),
    [
        ("", "TEST", 0, (), True),
        ("include { phase: TRAIN }", "TRAIN", 0, (), True),
        ("include { phase: TRAIN }", "TEST", 0, (), False),
        ("exclude { phase: TRAIN }", "TRAIN", 0, (), False),
        ("exclude { phase: TRAIN }", "TEST", 0, (), True),
        ("include { phase: TRAIN } include { phase: TEST }", "TEST", 0, (), True),
        ("exclude { phase: TRAIN } exclude { phase: TEST }", "TEST", 0, (), False),
        ("include { }", "TEST", 0, (), True),
        ("exclude { }", "TEST", 0, (), False),
        ("include { min_level: 2 }", "TEST", 1, (), False),
        ("include { min_level: 2 }", "TEST", 2, (), True),
        ("include { max_level: 2 }", "TEST", 3, (), False),
        ("include { max_level: 2 }", "TEST", 2, (), True),
        ("include { max_level: -1 }", "TEST", 0, (), False),
        ("include { stage: 'a' }", "TEST", 0, (), False),
        ("include { stage: 'a' }", "TEST", 0, ("b", "a"), True),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ("a",), False),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ("b", "a"), True),
        ("include { stage: 'a' } include { stage: 'b' }", "TEST", 0, ("b",), True),
        ("include { not_stage: 'a' }", "TEST", 0, (), True),
        ("include { not_stage: 'a' not_stage: 'b' }", "TEST", 0, ("b",), False),
        ("exclude { not_stage: 'a' }", "TEST", 0, ("a",), True),
        ("include { phase: TEST stage: 'a' }", "TRAIN", 0, ("a",), False),
        ("include { phase: TEST stage: 'a' min_level: 1 }", "TEST", 1, ("a",), True),
    ],
)
def test_rules(rules: str, phase: Phase, level: int, stages: tuple[str, ...], kept: bool) -> None:
    assert is_kept(rules, phase, level, stages) is kept


def test_the_nets_own_state_keeps_its_stages_only() -> None:
    state = 'state { phase: TRAIN level: 5 stage: "a" }'
    assert is_kept("include { stage: 'a' stage: 'b' }", "TEST", 0, ("b",), state)
    assert not is_kept("include { phase: TRAIN }", "TEST", 0, (), state)
    assert not is_kept("include { min_level: 5 }", "TEST", 0, (), state)


def test_include_and_exclude_at_once() -> None:
    file = net_file("include { phase: TEST } exclude { phase: TRAIN }")
    with pytest.raises(NetError, match=r"^<text>: layer 'ruled' has include and exclude"):
        phases.filter_file(file, "TEST")


def test_lines_follow_and_the_source_is_left_alone() -> None:
    file = net_file("include { phase: TRAIN }")
    before = file.net.SerializeToString()
    assert phases.filter_file(file, "TRAIN").lines == (2, 4, 5)
    filtered = phases.filter_file(file, "TEST", 3, ("s",))
    assert filtered.lines == (2, 5)
    assert (filtered.net.state.phase, filtered.net.state.level) == (1, 3)
    assert file.net.SerializeToString() == before


_FORKED = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: 2 }} }} }}
layer {{ name: "ruled" type: "Power" bottom: "x" top: "r" {rules} }}
layer {{ name: "last" type: "Power" bottom: "x" top: "l" }}
{state}
"""
_NAMES = (
    "import caffe, json, sys; path, phase, level, stages = sys.argv[1:];"
    "net = caffe.Net(path, getattr(caffe, phase), level=int(level), stages=json.loads(stages));"
    "print('\\n'.join(net._layer_names))"
)


@pytest.mark.parametrize(
    ("rules", "phase", "level", "stages", "state"),
    [
        ("include { phase: TRAIN }", "TEST", 0, ["a"], ""),
        ("exclude { phase: TRAIN }", "TEST", 0, ["a"], ""),
        ("include { min_level: 2 max_level: 3 }", "TEST", 3, ["a"], ""),
        ("include { min_level: 2 max_level: 3 }", "TEST", 4, ["a"], ""),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ["a"], ""),
        ("include { stage: 'a' stage: 'b' }", "TEST", 0, ["a"], "state { stage: 'b' }"),
        ("include { min_level: 5 }", "TEST", 0, ["a"], "state { level: 5 }"),
        ("exclude { not_stage: 'a' }", "TRAIN", 0, ["a"], "state { phase: TEST }"),
        ("include { phase: TRAIN not_stage: 'b' }", "TRAIN", 0, ["a"], ""),
    ],
)
def test_filter_is_real_caffes(
    rules: str, phase: Phase, level: int, stages: list[str], state: str, tmp_path: Path
) -> None:
    interpreter = find_caffe()
    if interpreter is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    path = tmp_path / "net.prototxt"
    path.write_text(_FORKED.format(rules=rules, state=state))
    command = [interpreter, "-c", _NAMES, path, phase, str(level), json.dumps(stages)]
    theirs = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    net = phases.filter_net(prototxt.read(path).net, phase, level, stages)
    ours = [layer.name for layer in net.layer]
    assert [name for name in theirs if "split" not in name] == ours
