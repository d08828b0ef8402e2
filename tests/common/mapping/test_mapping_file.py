"""What a mapping file may say, and what is refused with its place."""

from pathlib import Path

import pytest

from tfcaffe.errors import ConversionError, MappingError
from tfcaffe.mapping.mapping_file import load_mapping, parse_mapping

HEAD = "mapping: 1\n"


def read(body: str) -> object:
    return parse_mapping(HEAD + body, Path("m.yaml"))


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("layer:\n  a: {weights: w}\n", 2, "did you mean 'layers'"),
        ("net: x\n", 1, "no `layers`"),
        ("layers:\n  a:\n", 3, "names no role"),
        ("layers:\n  a: w\n", 3, "holds keys and values"),
        ("layers:\n  a: {weights: [w]}\n", 3, "write a variable's name"),
        ("layers:\n  a: {weights: {}}\n", 3, "exactly one of variable, constant and concat"),
        ("layers:\n  a: {weights: {variable: w, constant: 1}}\n", 3, "exactly one of"),
        ("layers:\n  a: {weights: {constant: 0, layout: OI}}\n", 3, "stands alone"),
        ("layers:\n  a: {weights: {constant: zero}}\n", 3, "no number"),
        ("layers:\n  a: {weights: {constant: nan}}\n", 3, "no finite number"),
        ("layers:\n  a: {weights: {variable: w, layut: OI}}\n", 3, "did you mean 'layout'"),
        ("layers:\n  a: {weights: {concat: [w], along: O}}\n", 3, "two variables or more"),
        ("layers:\n  a: {weights: {concat: [w, v]}}\n", 3, "belong together"),
        ("layers:\n  a: {weights: {variable: w, along: O}}\n", 3, "belong together"),
        ("layers:\n  a: {weights: {variable: w, flatten: [C, h]}}\n", 3, "list of letters"),
        ("layers:\n  a: {weights: {variable: w, flatten: CHW}}\n", 3, "a list is wanted"),
        (
            "layers:\n  a: {weights: {variable: w, layout: OI, rearrange: 'i o -> o i'}}\n",
            3,
            "do not go with it",
        ),
        ("layers:\n  'a{n}': {weights: w}\n", 3, "lacks {n}"),
        ("tables:\n  n: {}\nlayers:\n  a: {weights: w}\n", 3, "is empty"),
        (
            "tables:\n  n: {a: 1, b: 1}\nlayers:\n  a: {weights: w}\n",
            3,
            "stands in the table twice",
        ),
        ("channels: bgr\nlayers:\n  a: {weights: w}\n", 2, "holds keys and values"),
        ("channels: {caffe: bgr}\nlayers:\n  a: {weights: w}\n", 2, "write channels:"),
        ("layers:\n  a: {weights: {variable: w, layout: }}\n", 3, "`layout` is empty"),
        ("layers:\n  a: {weights: {variable: w, rearrange: ''}}\n", 3, "`rearrange` is empty"),
        ("layers:\n  a: {weights: {variable: w, gates: ''}}\n", 3, "`gates` is empty"),
        ("layers:\n  a: {weights: {variable: w, flatten: []}}\n", 3, "`flatten` is empty"),
        ("layers:\n  a: {weights: {variable: w, reverse: []}}\n", 3, "`reverse` is empty"),
        ("layers:\n  a: {weights: {constant: 1e39}}\n", 3, "no finite number"),
        ("layers:\n  a: {variance: {variable: w, epsilon: -1}}\n", 3, "-1 is below 0"),
        ("epsilon: -0.001\nlayers:\n  a: {weights: w}\n", 2, "is below 0"),
        ("ignore: {variables: ['']}\nlayers:\n  a: {weights: w}\n", 2, "the name is empty"),
        ("epsilon: small\nlayers:\n  a: {weights: w}\n", 2, "no number"),
        ("ignore: {variable: [x]}\nlayers:\n  a: {weights: w}\n", 2, "did you mean 'variables'"),
        ("ignore: {variables: x}\nlayers:\n  a: {weights: w}\n", 2, "a list is wanted"),
        ("ignore: {variables: [{must_be: 0}]}\nlayers:\n  a: {weights: w}\n", 2, "which name"),
        ("extends: none.yaml\nlayers:\n  a: {weights: w}\n", 2, "no such mapping file"),
        ("extends: vgg99_slim\nlayers:\n  a: {weights: w}\n", 2, "nor the name of a shipped"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(body: str, line: int, words: str) -> None:
    with pytest.raises(MappingError, match=words) as caught:
        read(body)
    assert str(caught.value).startswith(f"m.yaml:{line}:")


@pytest.mark.parametrize("head", ["mapping: 2\n", "mapping: [1]\n", "net: x\n"])
def test_another_version_is_refused(head: str) -> None:
    with pytest.raises(MappingError, match="mapping: 1"):
        parse_mapping(head + "layers:\n  a: {weights: w}\n", Path("m.yaml"))


def test_a_file_builds_on_another(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        HEAD + "channels: {caffe: bgr, tensorflow: rgb}\nepsilon: 0.001\n"
        "tables: {t: {a: 1}}\nignore: {variables: [x]}\n"
        "layers:\n  'u{t}': {weights: 'w{t}'}\n  fc: {weights: old}\n"
    )
    top = tmp_path / "top.yaml"
    top.write_text(
        HEAD + "extends: base.yaml\nignore: {variables: [y]}\n"
        "layers:\n  fc: {weights: new}\n  'v{t}': {weights: 'v{t}'}\n"
    )
    mapping = load_mapping(top)
    assert mapping.flips and mapping.epsilon == 0.001
    assert [item.glob for item in mapping.variables] == ["x", "y"]
    names = {rule.key.text: rule.roles["weights"].variables[0].text for rule in mapping.rules}
    assert names == {"u{t}": "w{t}", "fc": "new", "v{t}": "v{t}"}
    assert mapping.rules[-1].key.read("va", "caffe") == {"t": "a"}


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(
            HEAD + f"extends: {other}.yaml\nlayers: {{x: {{weights: w}}}}\n"
        )
    with pytest.raises(ConversionError, match="extends this file"):
        load_mapping(tmp_path / "a.yaml")
