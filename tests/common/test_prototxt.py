"""Reading and writing prototxt: what is noted, what is refused, what comes back."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus import CORPUS, needs_corpus
from tfcaffe.errors import FileFormatError, NetError
from tfcaffe.files import prototxt, schema

RELU = 'layer { name: "r" type: "ReLU" }'


def layer_with(**fields: Any) -> Any:
    net = schema.load().message("NetParameter")()
    net.layer.add(**fields)
    return net


# -- reading


def test_read_gives_the_net_its_path_lines_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(
        b'\xef\xbb\xbf# layer { in a comment }\nname: "n" input: "x" input_dim: 1 input_dim: 2\n'
        b"input_dim: 3 input_dim: 4\nlayers { type: RELU\n  name: 'layer { \\' }' }\n"
        b"layers: < type: DATA data_param { scale: 2 } >\nlayers\n{ type: TANH }"
    )
    file = prototxt.read(path)
    assert file.path == str(path)
    assert [layer.type for layer in file.net.layer] == ["Input", "ReLU", "Data", "TanH"]
    assert file.net.layer[1].name == "layer { ' }"
    assert file.lines == (None, 4, 6, 7)
    for word in ("byte order mark", "V1", "transform_param", "Input layer"):
        assert any(word in note for note in file.notes)


def test_modern_net_has_no_notes() -> None:
    assert prototxt.parse(RELU).notes == ()


def test_padding_layers_leave_the_other_lines_right() -> None:
    file = prototxt.parse(
        'input: "x"\nlayers { layer { type: "padding" pad: 1 name: "p" } bottom: "x" top: "p" }\n'
        'layers { layer { type: "conv" name: "c" } bottom: "p" top: "c" }'
    )
    assert [layer.name for layer in file.net.layer] == ["c"]
    assert file.lines == (3,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"n: is empty"),
        (" \n\t", r"n: is empty"),
        ("# nothing\n", r"n: holds no layers"),
        ('name: "a"', r"n: holds no layers"),
        (RELU + "\nlayer { name: 3 }", r"n:2:15: .*3"),
        (
            RELU + "\nlayer { nmae: 'a' }",
            r"n:2:9: LayerParameter has no field 'nmae' \(nearest: na",
        ),
        ("layer { foo_param { } }", r"n:1:9: .*'foo_param'.*--proto"),
        ("layers { type: RELUU }", r"LayerType has no value 'RELUU' \(nearest: RELU.*--proto"),
        ('layers { type: "Softmax" }', r"n:1:16: .*'Softmax': .*quotes \(nearest: SOFTMAX.*"),
        ("layer { lrn_param { local_size: 1.5 } }", r"n:1:33: expected .*integer, found '1.5'"),
        ("layer { lrn_param { local_size: -1 } }", r"n:1:33: "),
        ("layer { lrn_param { alpha: x } }", r"n:1:28: expected .*float, found 'x'"),
        ("layer { pooling_param { global_pooling: yes } }", r"n:1:41: .*yes"),
        ("layer {\n  name: 'a'\n", r"n:2:9: expected \"}\""),
        ("layer { name: 'a' name: 'b' }", r"n:1:\d+: .*name"),
        ("layer { name: 'a }", r"n:1:15: "),
        ("layer [", r"n:1:"),
        ("}", r"n:1:1: "),
        ("base_lr: 0.01\nnet: 'x'", r"n:1:1: .*'base_lr'.*solver"),
        ("layer { input_param { shape { dim: $W$ } } }", r"n:1:36: .*template.*\$W\$"),
        ("input_dim: $#batch#$", r"n:1:12: .*template.*\$#batch#\$"),
        ("input_dim: ${N}", r"n:1:12: .*template.*\$\{N\}"),
        ("layer { " * 50_000, r"n:1:9: "),
        ("\x01\x02\x03", r"n:1:1: "),
    ],
)
def test_bad_text_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        prototxt.parse(text, path="n")


def test_contradictions_name_the_file() -> None:
    with pytest.raises(NetError, match="n: the net mixes"):
        prototxt.parse(RELU + "layers { type: RELU }", path="n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"layer {\n name: '\xb5' }", r":2: the byte 0xb5 is not UTF-8"),
        (RELU.encode("utf-16"), "UTF-16"),
        (layer_with(name="c", blobs=[{"data": [0.0, 1.0]}]).SerializeToString(), "binary"),
        (b"\x89HDF\r\n\x1a\n\0\0", "binary"),
    ],
)
def test_files_that_are_no_prototxt(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "some.prototxt"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        prototxt.read(path)


@pytest.mark.parametrize("name", ["", "missing"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match="cannot be read"):
        prototxt.read(tmp_path / name)


def test_a_users_schema_declares_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.proto"
    path.write_text(
        "message LayerParameter { optional Mine mine = 1; } message Mine { optional int32 n = 1; }"
    )
    text = "layer { mine { n: 3 } }"
    with pytest.raises(FileFormatError, match="'mine'"):
        prototxt.parse(text)
    file = prototxt.parse(text, schema=schema.load([path]))
    assert file.net.layer[0].mine.n == 3
    assert "mine { n: 3 }" in prototxt.dump(file.net)


def test_huge_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.proto"
    path.write_text(
        "message LayerParameter { optional Deep deep = 1; }message Deep { optional Deep deep = 1; }"
    )
    text = "layer { " + "deep { " * 50_000 + "} " * 50_001
    with pytest.raises(FileFormatError, match="nested too deeply"):
        prototxt.parse(text, schema=schema.load([path]))


# -- writing

CLEAN = """\
name: "net"
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param {
    shape { dim: 1 dim: 3 dim: 8 dim: 9 }
  }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param { lr_mult: 1 decay_mult: 0.1 }
  param { name: "b" }
  include { phase: TEST stage: "a" }
  convolution_param {
    num_output: 4
    bias_term: false
    pad: 1
    pad: 2
    kernel_size: 3
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
layer {
  name: "pool"
  type: "Pooling"
  pooling_param {
    pool: AVE
    global_pooling: true
  }
}
"""


def test_clean_text_comes_back_as_it_was() -> None:
    assert prototxt.dump(prototxt.parse(CLEAN).net) == CLEAN


def test_order_of_writing_does_not_matter() -> None:
    text = 'layer { relu_param { } bottom: "a" type: "ReLU" name: "r" } name: "n"'
    assert prototxt.dump(prototxt.parse(text).net) == (
        'name: "n"\nlayer {\n  name: "r"\n  type: "ReLU"\n  bottom: "a"\n  relu_param {\n  }\n}\n'
    )


def test_weights_are_not_written() -> None:
    assert "blobs" not in prototxt.dump(layer_with(name="c", blobs=[{"data": [1.0]}]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1e-5, "1e-05"),
        (0.999, "0.999"),
        (16777216.0, "16777216"),
        (1 / 3, "0.33333334"),
        (3.4028235e38, "3.4028235e+38"),
        (1e-45, "1e-45"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
    ],
)
def test_floats_are_short(value: float, text: str) -> None:
    assert f"negative_slope: {text}\n" in prototxt.dump(
        layer_with(relu_param={"negative_slope": value})
    )


def test_any_float_reads_back_bit_for_bit(rng: np.random.Generator) -> None:
    bits = rng.integers(0, 2**32, 2000, dtype=np.uint32).view(np.float32)
    values = bits[np.isfinite(bits)]
    net = prototxt.parse(prototxt.dump(layer_with(loss_weight=values.tolist()))).net
    packed = struct.pack(f"{len(values)}f", *net.layer[0].loss_weight)
    assert packed == values.tobytes()


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        'quo"te',
        "apos'trophe",
        "back\\slash",
        "new\nline",
        "tab\t\x00\x7f",
        "bräçe{}#",
        "層/1",
        "class",
        "\\n",
        "{",
        "😀",
    ],
)
def test_any_name_comes_back(name: str) -> None:
    text = prototxt.dump(layer_with(name=name, type="ReLU", top=[name]))
    made = prototxt.parse(text).net.layer[0]
    assert (made.name, list(made.top)) == (name, [name])
    assert text.count("\n") == 5


# -- the corpus

REFUSED = {
    "flownet2_s_template.prototxt": (FileFormatError, r"template.*\$TARGET_HEIGHT\$"),
    "pwc_net.prototxt": (FileFormatError, r"template.*\$TARGET_WIDTH"),
    "nin_imagenet_AK.prototxt": (NetError, "mixes `layer` and `layers`"),
}
FILES = sorted(CORPUS.glob("prototxt/*.prototxt")) + sorted(CORPUS.glob("models/**/*.prototxt"))
PARSING = [path for path in FILES if path.name not in REFUSED]


@needs_corpus
@pytest.mark.parametrize("path", PARSING, ids=lambda path: str(path.relative_to(CORPUS)))
def test_corpus_file_reads_and_comes_back(path: Path) -> None:
    file = prototxt.read(path)
    source = path.read_text(encoding="utf-8-sig").splitlines()
    for layer, line in zip(file.net.layer, file.lines, strict=True):
        assert "layer" in source[line - 1] if line else layer.type == "Input"
    text = prototxt.dump(file.net)
    again = prototxt.parse(text)
    assert again.net == file.net
    assert again.notes == ()
    assert prototxt.dump(again.net) == text


@needs_corpus
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_corpus_file_is_refused(name: str) -> None:
    kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        prototxt.read(CORPUS / "prototxt" / name)


@needs_corpus
def test_corpus_is_whole() -> None:
    assert len([path for path in PARSING if path.parent.name == "prototxt"]) == 149
