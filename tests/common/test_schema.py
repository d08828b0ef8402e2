"""The schema: BVLC's facts, the forks' union, users' own files, the .proto parser."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, text_format

from tfcaffe.errors import FileFormatError, UsageError
from tfcaffe.files import schema
from tfcaffe.files.schema import proto
from tfcaffe.oracle.pycaffe import find_caffe


def repeated(message: str, field: str, loaded: schema.Schema) -> bool:
    described = descriptor_pb2.DescriptorProto()
    loaded.message(message).DESCRIPTOR.CopyToProto(described)
    labels = {entry.name: entry.label for entry in described.field}
    return bool(labels[field] == descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED)


def extra(tmp_path: Path, text: str) -> schema.Schema:
    path = tmp_path / "extra.proto"
    path.write_text(text)
    return schema.load([path])


def parsed_layer(loaded: schema.Schema, text: str) -> Any:
    return text_format.Parse(text, loaded.message("LayerParameter")())


# -- BVLC


def facts(file: Any) -> dict[str, tuple[Any, ...]]:
    """Every field and enum value of a file descriptor as name: what it is."""
    found: dict[str, tuple[Any, ...]] = {}

    def add_enum(prefix: str, enum: Any) -> None:
        for value in enum.value:
            found[f"{prefix}{enum.name}.{value.name}"] = (value.number,)

    def add_message(prefix: str, message: Any) -> None:
        inside = f"{prefix}{message.name}."
        found[inside] = ()
        for enum in message.enum_type:
            add_enum(inside, enum)
        for field in message.field:
            default: Any = field.default_value
            if default and field.type == field.TYPE_FLOAT:
                default = struct.pack("f", float(default))
            found[inside + field.name] = (
                field.number,
                field.label == field.LABEL_REPEATED,  # ours has nothing that is required
                field.type,
                field.type_name,
                default,
                field.options.packed,
            )

    for enum in file.enum_type:
        add_enum("", enum)
    for message in file.message_type:
        add_message("", message)
    return found


def test_bvlc_schema_is_real_caffes() -> None:
    interpreter = find_caffe()
    if interpreter is None:
        pytest.skip("real Caffe is not installed (make pycaffe, or CAFFE_PYTHON)")
    script = (
        "import sys; from caffe.proto import caffe_pb2;"
        "getattr(sys.stdout, 'buffer', sys.stdout).write(caffe_pb2.DESCRIPTOR.serialized_pb)"
    )
    run = subprocess.run([interpreter, "-c", script], capture_output=True, check=True)
    theirs = descriptor_pb2.FileDescriptorProto.FromString(run.stdout)
    ours = descriptor_pb2.FileDescriptorProto()
    schema.bvlc().message("NetParameter").DESCRIPTOR.file.CopyToProto(ours)
    assert facts(ours) == facts(theirs)


@pytest.mark.parametrize("name", ["PermuteParameter", "PriorBoxParameter", "InterpParameter"])
def test_bvlc_alone_has_no_fork_messages(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        schema.bvlc().message(name)
    assert schema.load().message(name)


def test_loading_keeps_bvlcs_numbers() -> None:
    for name in ("LayerParameter", "V1LayerParameter", "PoolingParameter", "BlobProto"):
        strict = schema.bvlc().message(name).DESCRIPTOR.fields_by_name
        union = schema.load().message(name).DESCRIPTOR.fields_by_name
        assert {key: union[key].number for key in strict} == {
            key: field.number for key, field in strict.items()
        }


def test_union_reads_binary_layers_as_bvlc_does() -> None:
    layer = schema.bvlc().message("LayerParameter")(name="e", type="Embed")
    layer.embed_param.num_output = 7
    read = schema.load().message("LayerParameter").FromString(layer.SerializeToString())
    assert read.embed_param.num_output == 7


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("PriorBoxParameter", "min_size"),
        ("PriorBoxParameter", "offset_h"),
        ("PriorBoxParameter", "offset_w"),
        ("CropCenterParameter", "crop_size"),
        ("FillerParameter", "diag_val"),
        ("ResizeParameter", "interp_mode"),
        ("ProposalParameter", "ratio"),
        ("ProposalParameter", "scale"),
        ("Yolov3Parameter", "biases"),
        ("Yolov3Parameter", "mask"),
        ("Yolov3DetectionOutputParameter", "anchors_scale"),
        ("RegionLossParameter", "biases"),
        ("ConvolutionParameter", "pad"),
    ],
)
def test_union_repeats_what_some_fork_repeats(message: str, field: str) -> None:
    assert repeated(message, field, schema.load())


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("pooling_param { kernel_size: 2 } include { phase: TEST }", ()),
        ("pooling_param { kernel_size: 2 ceil_mode: false }", ("pooling_param.ceil_mode",)),
        ("param { } interp_param { zoom_factor: 2 shrink_factor: 3 }", ("interp_param",)),
        (
            "dummy_data_param { data_filler { } data_filler { diag_val: 1 } } relu6_param { }",
            ("dummy_data_param.data_filler.diag_val", "relu6_param"),
        ),
    ],
)
def test_fork_fields_are_told_apart(text: str, fields: tuple[str, ...]) -> None:
    assert schema.fork_fields(parsed_layer(schema.load(), text)) == fields


# -- users' files


def test_snippet_adds_a_layers_parameters(tmp_path: Path) -> None:
    loaded = extra(
        tmp_path,
        """
        message LayerParameter { optional FooParameter foo_param = 147; }  // Swish's number
        message FooParameter { optional float gain = 1 [default = 2.5]; repeated Mode mode = 2;
                               enum Mode { SLOW = 0; FAST = 1; } }
        """,
    )
    layer = parsed_layer(loaded, 'type: "Foo" foo_param { mode: FAST mode: SLOW }')
    assert layer.foo_param.gain == 2.5
    assert list(layer.foo_param.mode) == [1, 0]
    assert layer.DESCRIPTOR.fields_by_name["swish_param"].number == 147


@pytest.mark.parametrize("target", ["LayerParameter", "caffe.LayerParameter"])
def test_extend_means_the_same(tmp_path: Path, target: str) -> None:
    text = "extend %s { optional Foo foo_param = 500; } message Foo { required int32 a = 1; }"
    layer = parsed_layer(extra(tmp_path, text % target), "foo_param { a: 3 }")
    assert layer.foo_param.a == 3


def test_users_default_wins_and_bvlcs_label_survives(tmp_path: Path) -> None:
    loaded = extra(
        tmp_path,
        'syntax = "proto2"; package caffe;'
        "message PoolingParameter { optional bool ceil_mode = 9 [default = false]; }"
        "message ConvolutionParameter { optional uint32 pad = 3 [default = 0]; }",
    )
    assert not loaded.message("PoolingParameter")().ceil_mode
    assert repeated("ConvolutionParameter", "pad", loaded)


def test_users_enum_values_are_added(tmp_path: Path) -> None:
    loaded = extra(tmp_path, "message V1LayerParameter { enum LayerType { MINE = 4; RELU = 99; } }")
    kinds = dict(loaded.message("V1LayerParameter").LayerType.items())
    assert kinds["RELU"] == 18
    assert kinds["CONVOLUTION"] == 4
    assert kinds["MINE"] not in (4, 99)


def test_a_fork_that_declares_all_again_changes_nothing() -> None:
    whole = Path(schema.__file__).parent / "bvlc.proto"
    union = schema.load().message("LayerParameter").DESCRIPTOR.fields_by_name
    again = schema.load([whole]).message("LayerParameter").DESCRIPTOR.fields_by_name
    assert {k: f.number for k, f in again.items()} == {k: f.number for k, f in union.items()}


# -- the parser


def test_parser_reads_over_what_does_not_matter() -> None:
    root = proto.parse(
        """/* a comment; message No { } */ syntax = 'proto2'; package a.b;
        import "other.proto"; option optimize_for = SPEED;
        message A { reserved 2, 15; extensions 100 to max; option (x).y = { a: 1; b: "}" };;
          // message B
          optional string s = 0x1F [default = "a]b;", deprecated = true];
          repeated float f = 2 [packed=true];
          oneof kind { int32 i = 3; .a.b.A inner = 4 [(my.opt) = "q"]; }
          enum E { option allow_alias = true; X = -1; Y = 2 [deprecated = true]; }
          optional E e = 5 [default = Y]; message N { required E e = 1; } }""",
        "x.proto",
    )
    message = root.messages["A"]
    assert {name: field.number for name, field in message.fields.items()} == {
        "s": 31,
        "f": 2,
        "i": 3,
        "inner": 4,
        "e": 5,
    }
    assert message.fields["s"].default == "a]b;"
    assert message.fields["f"].packed
    assert message.enums["E"].values == {"X": -1, "Y": 2}
    assert message.messages["N"].fields["e"].label == "required"
    assert list(root.messages) == ["A"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("message A {\n optional int32 a = 1\n}", "e.proto:3: expected ';', found '}'"),
        ("message A {\n optional int32 a;\n}", "e.proto:2: expected '=', found ';'"),
        ("message A {\n int32 a = 1; }", "e.proto:2: expected optional, repeated, required"),
        ("message A {", "e.proto:1: expected optional, .* found the end of the file"),
        ("message 1 { }", "expected a message's name, found '1'"),
        ('syntax = "proto3";', 'expected "proto2"'),
        ("layer { }", "expected message, enum or extend, found 'layer'"),
        ("message A { optional int32 a = x; }", "expected a number, found 'x'"),
        ("message A { optional int32 a = 1; optional int32 a = 2; }", "two fields called a"),
        ("message A {\n\n optional Foo a = 1; }", "e.proto:3: the type Foo is declared nowhere"),
        ("message A { optional int32 a = 1 [", "found the end of the file"),
        ("message A " + "{ message B " * 100, "nested at most"),
        ("message A { map<int32, A> a = 1; }", "expected optional"),
        ("message A { optional int32 a = 1 [default = x]; }", "contradicts itself"),
        ("option a = { { {", "expected ';', found the end of the file"),
        ("enum E { A = 1;", "expected an enum value's name or '}', found the end"),
        ("\x00\x01", "expected message"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "e.proto"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        schema.load([path])


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_unreadable_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "gone.proto"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"gone\.proto: (cannot be read|not a \.proto)"):
        schema.load([path])
