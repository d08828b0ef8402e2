"""Names with placeholders: one line that reads both ways."""

import pytest

from tfcaffe.errors import MappingError
from tfcaffe.mapping.document import Place, Text
from tfcaffe.mapping.template import Rows, Template, key_template, name_template

TABLES: dict[str, Rows] = {
    "unit": (("a", "1"), ("b", "2"), ("b1", "3")),
    "block": (("2", "1"), ("3", "2"), ("4", "3")),
    "count": (("1", ""), ("2", "_1"), ("3", "_2")),
}


def text(value: str) -> Text:
    return Text(value, Place("m.yaml", 3, 5, 0, len(value)))


def both(key: str, name: str) -> tuple[Template, Template]:
    template = key_template(text(key), TABLES)
    return template, name_template(text(name), template)


@pytest.mark.parametrize(
    ("key", "name", "caffe", "tensorflow"),
    [
        ("conv1", "conv1/kernel", "conv1", "conv1/kernel"),
        ("conv{n:int}", "c_{n}/w", "conv12", "c_12/w"),
        ("{x}/1x1", "net/{x}/b", "inception_3a/1x1", "net/inception_3a/b"),
        (
            "res{block}{unit}_branch2{n:a=1,b=2,c=3}",
            "block{block}/unit_{unit}/conv{n}/w",
            "res3b1_branch2c",
            "block2/unit_3/conv3/w",
        ),
        ("conv{count}", "conv2d{count}/kernel", "conv1", "conv2d/kernel"),
        ("conv{count}", "conv2d{count}/kernel", "conv3", "conv2d_2/kernel"),
        ("a{{{n}}}", "{{{n}}}", "a{q}", "{q}"),
        ("{a}-{b}", "{b}/{a}", "x-y", "y/x"),
        ("ü{n}", "{n}ß", "üé", "éß"),
    ],
)
def test_a_name_reads_there_and_back(key: str, name: str, caffe: str, tensorflow: str) -> None:
    there, back = both(key, name)
    values = there.read(caffe, "caffe")
    assert values is not None
    assert back.render(values, "tensorflow") == tensorflow
    assert back.read(tensorflow, "tensorflow") == values
    assert there.render(values, "caffe") == caffe


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("conv{n:int}", "conv01"),
        ("conv{n:int}", "conv"),
        ("conv{n:int}", "conv1x"),
        ("conv{n:int}", "xconv1"),
        ("conv{n:int}", "conv٣"),
        ("conv{n}", "conv1/a"),
        ("conv{n}", "conv"),
        ("res{unit}", "resc"),
        ("a.c", "abc"),
    ],
)
def test_other_names_are_not_read(key: str, name: str) -> None:
    assert key_template(text(key), TABLES).read(name, "caffe") is None


def test_two_readings_are_an_error_that_shows_both() -> None:
    template = key_template(text("{a}_{b}"), {})
    assert template.read("x_y", "caffe") == {"a": "x", "b": "y"}
    with pytest.raises(MappingError, match="in two ways") as caught:
        template.read("x_y_z", "caffe")
    assert "m.yaml:3:5" in str(caught.value)
    table = key_template(text("u{x:1=a,11=b}{y:1=c,11=d}"), {})
    with pytest.raises(MappingError, match="in two ways"):
        table.read("u111", "caffe")


def test_a_hostile_name_is_read_in_no_time() -> None:
    template = key_template(text("-".join(f"{{p{i}}}" for i in range(12)) + "!"), {})
    assert template.read("a-" * 400, "caffe") is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "empty"),
        ("conv{", "single {"),
        ("conv}", "single }"),
        ("conv{}", "no name for a placeholder"),
        ("conv{1}", "no name for a placeholder"),
        ("conv{n:}", "a table on the spot"),
        ("conv{n:1}", "a table on the spot"),
        ("conv{n:a=1,a=2}", "Caffe's text 'a' stands in the table twice"),
        ("conv{n:a=1,b=1}", "TensorFlow's text '1' stands in the table twice"),
        ("{a}{b}", "touch"),
        ("{a:int}{b:int}", "touch"),
        ("{a}_{a}", "twice"),
    ],
)
def test_a_wrong_key_is_refused_with_its_place(key: str, words: str) -> None:
    with pytest.raises(MappingError, match=words) as caught:
        key_template(text(key), TABLES)
    assert str(caught.value).startswith("m.yaml:3:5: ")


@pytest.mark.parametrize(
    ("key", "name", "words"),
    [
        ("conv{n}", "conv/w", "lacks {n}"),
        ("conv{n}", "conv{m}/w", "no placeholder {m}"),
        ("conv{n}", "conv{n}/{n}", "twice"),
        ("conv", "conv{n}", "it has none"),
        ("{a}_{b}", "{a}{b}", "touch"),
    ],
)
def test_a_variable_has_the_placeholders_of_its_key(key: str, name: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        both(key, name)


def test_tables_may_touch() -> None:
    template = key_template(text("res{block}{unit}{x}"), TABLES)
    assert template.read("res2az", "caffe") == {"block": "2", "unit": "a", "x": "z"}
