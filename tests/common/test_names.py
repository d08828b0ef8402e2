"""The escape between Caffe's names and those that Keras and TensorFlow take."""

import random
import re

import pytest

from tfcaffe.errors import ConversionError
from tfcaffe.names import escape, unescape

# What TensorFlow's `Graph.create_op` and name scopes take for an op's name.
OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
EXAMPLES = [
    ("inception_3a/1x1", "inception_3a__1x1"),
    ("conv1", "conv1"),
    ("res2a-branch_1", "res2a-branch_1"),
    ("a__b", "a>5f>5fb"),
    ("a_/b", "a>5f__b"),
    ("a/_b", "a__>5fb"),
    ("a//b", "a____b"),
    ("a_", "a_"),
    ("a/", "a__"),
    ("_a", "x>x>5fa"),
    ("/a", "x>x>2fa"),
    ("-a", "x>x>2da"),
    ("x>x", "x>3ex"),
    ("a.b", "a>2eb"),
    ("é", "x>x>c3>a9"),
    ("层/一", "x>x>e5>b1>82__>e4>b8>80"),
    ("", "x>x"),
    ("class", "class"),
    ('say "hi" {n}\\\'', "say>20>22hi>22>20>7bn>7d>5c>27"),
    ("a\udcff", "a>ff"),
]
ALPHABET = list("ab0_/->x.5f é层\udcff\x00\n\"'\\{}:@*😀")
SEEDS = range(20)


@pytest.mark.parametrize(("caffe", "tf"), EXAMPLES)
def test_examples(caffe: str, tf: str) -> None:
    assert escape(caffe) == tf
    assert unescape(tf) == caffe


@pytest.mark.parametrize("seed", SEEDS)
def test_random_names_come_back_and_never_meet(seed: int) -> None:
    draw = random.Random(seed)
    names = {"".join(draw.choices(ALPHABET, k=draw.randrange(9))) for _ in range(3000)}
    escaped = {name: escape(name) for name in names}
    assert len(set(escaped.values())) == len(names)
    for name, text in escaped.items():
        assert unescape(text) == name
        assert OP_NAME.fullmatch(text), f"{name!r} became {text!r}"
        assert "/" not in text and "." not in text, f"{name!r} became {text!r}"


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_no_escape_is_refused(seed: int) -> None:
    """Each text is one name's escape or nobody's: two texts never stand for one name."""
    draw = random.Random(seed)
    refused = 0
    for _ in range(3000):
        text = "".join(draw.choices("ab_>x5f2c3-e9", k=draw.randrange(8)))
        try:
            name = unescape(text)
        except ConversionError:
            refused += 1
        else:
            assert escape(name) == text
    assert refused > 100


@pytest.mark.parametrize(
    "text", ["", "a/b", "a.b", "_a", ">5f", "a>5F", "a>2", "a___b", "a>61", "é", "x>xa", "a b"]
)
def test_texts_that_escape_never_writes(text: str) -> None:
    with pytest.raises(ConversionError, match="is not an escaped Caffe name"):
        unescape(text)


@pytest.mark.parametrize("name", [caffe for caffe, _ in EXAMPLES], ids=repr)
def test_keras_takes_it_as_a_layer_name(name: str) -> None:
    import keras

    assert keras.layers.ReLU(name=escape(name)).name == escape(name)


@pytest.mark.parametrize("name", [caffe for caffe, _ in EXAMPLES], ids=repr)
def test_tensorflow_takes_it_as_an_op_name(name: str) -> None:
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        tf.constant(0.0, name=escape(name))
        assert [op.name for op in graph.get_operations()] == [escape(name)]
