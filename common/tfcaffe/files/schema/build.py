"""Turns merged declarations into protobuf message classes, without generated code.

Descriptors are built here and given to a pool of their own, so that every protobuf runtime from
4.21 on makes the classes itself and no two schemas collide.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tfcaffe.errors import FileFormatError
from tfcaffe.files.schema.proto import Enum, Field, Message

PACKAGE = "caffe"
_KIND = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    kind.removeprefix("TYPE_").lower(): number
    for kind, number in _KIND.Type.items()
    if kind not in ("TYPE_GROUP", "TYPE_MESSAGE", "TYPE_ENUM")
}
_LABELS = {
    "optional": _KIND.LABEL_OPTIONAL,
    "repeated": _KIND.LABEL_REPEATED,
    "required": _KIND.LABEL_OPTIONAL,  # protobuf 4.21 copies no message that lacks such a field
}


def classes(root: Message) -> dict[str, Any]:
    """The message class of every top-level message in `root`, by name.

    Raises:
        FileFormatError: a field's type is declared nowhere, or declarations contradict each other.
    """
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package=PACKAGE)
    for enum in root.enums.values():
        _fill_enum(file.enum_type.add(), enum)
    for message in root.messages.values():
        _fill_message(file.message_type.add(), message, (root, message))
    pool = descriptor_pool.DescriptorPool()
    try:
        pool.AddSerializedFile(file.SerializeToString())
        descriptors = pool.FindFileByName(file.name).message_types_by_name
    except (TypeError, KeyError) as error:
        raise FileFormatError(f"the schema contradicts itself: {error}") from error
    return {name: _message_class(pool, descriptor) for name, descriptor in descriptors.items()}


def _message_class(pool: Any, descriptor: Any) -> Any:
    factory: Any = message_factory
    if hasattr(factory, "GetMessageClass"):  # protobuf 4.22 and later
        return factory.GetMessageClass(descriptor)
    return factory.MessageFactory(pool).GetPrototype(descriptor)


def _fill_enum(proto: Any, enum: Enum) -> None:
    proto.name = enum.name
    for name, number in enum.values.items():
        proto.value.add(name=name, number=number)


def _fill_message(proto: Any, message: Message, scopes: tuple[Message, ...]) -> None:
    proto.name = message.name
    for enum in message.enums.values():
        _fill_enum(proto.enum_type.add(), enum)
    for inner in message.messages.values():
        _fill_message(proto.nested_type.add(), inner, (*scopes, inner))
    for field in message.fields.values():
        _fill_field(proto.field.add(), field, scopes)


def _fill_field(proto: Any, field: Field, scopes: tuple[Message, ...]) -> None:
    proto.name, proto.number, proto.label = field.name, field.number, _LABELS[field.label]
    if field.type in _SCALARS:
        proto.type = _SCALARS[field.type]
    else:
        proto.type, proto.type_name = _resolve(field, scopes)
    if field.default is not None:
        proto.default_value = field.default
    if field.packed:
        proto.options.packed = True


def _resolve(field: Field, scopes: tuple[Message, ...]) -> tuple[int, str]:
    """A named type's kind and full name, searched from the innermost scope outwards."""
    path = field.type.lstrip(".").split(".")
    for names in (path, path[1:]):  # the second without a package in front
        for depth in range(len(scopes), 0, -1):
            kind = _find(scopes[depth - 1], names)
            if kind is not None:
                outer = [scope.name for scope in scopes[1:depth]]
                return kind, ".".join(["", PACKAGE, *outer, *names])
    raise FileFormatError(f"{field.where}: the type {field.type} is declared nowhere")


def _find(scope: Message, names: list[str]) -> int | None:
    *outer, last = names or [""]
    for name in outer:
        if name not in scope.messages:
            return None
        scope = scope.messages[name]
    if last in scope.messages:
        return int(_KIND.TYPE_MESSAGE)
    return int(_KIND.TYPE_ENUM) if last in scope.enums else None
