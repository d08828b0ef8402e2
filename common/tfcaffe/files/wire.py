"""A walk over protobuf's wire format that copies nothing: fields are offsets into a buffer.

Caffe's weights files are one protobuf message of hundreds of megabytes, of which all but a few
hundred bytes are runs of little-endian floats. Protobuf's own parser copies every one of them and
stops at 2 GB; this walk finds where they lie.

Source of the format: protobuf.dev, "Encoding".
"""

import mmap
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple, TypeVar

import numpy as np

Buffer = bytes | mmap.mmap
T = TypeVar("T")

_MAX_VARINT = 10  # bytes
_MAX_GROUP_DEPTH = 100  # as protobuf's own parsers
_FIRST_RUN, _LONGEST_RUN = 1 << 6, 1 << 22  # items looked at in one go


class WireType(IntEnum):
    """How a field's payload is encoded."""

    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    GROUP = 3
    END_GROUP = 4
    FIXED32 = 5


class WireError(ValueError):
    """The bytes at `offset` are not protobuf's wire format, or not what the schema says."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} at byte {offset}")
        self.offset = offset


class Field(NamedTuple):
    """One field of a message, or a run of equal fixed-width fields (`repeats` > 1).

    Attributes:
        number: The field's number.
        wire_type: How it is encoded.
        tag: Offset of its tag.
        start: Offset of its payload (of the first one of a run).
        end: Offset just behind it (behind the last one of a run).
        value: What a varint says, else 0.
        repeats: Length of the run; from payload to payload it is `stride` bytes.
        stride: Bytes of tag and payload of a fixed-width field, else 0.
    """

    number: int
    wire_type: WireType
    tag: int
    start: int
    end: int
    value: int = 0
    repeats: int = 1
    stride: int = 0

    def expect(self, wire_type: WireType, name: str) -> None:
        """Raises WireError unless the field is encoded as `wire_type`."""
        if self.wire_type is not wire_type:
            found, wanted = self.wire_type.name, wire_type.name
            raise WireError(self.tag, f"{name} is encoded as {found}, not as {wanted},")


def read_varint(buffer: Buffer, at: int, end: int) -> tuple[int, int]:
    """The unsigned varint at offset `at` and the offset behind it; nothing from `end` on is read.

    Raises:
        WireError: It runs past `end`, or is longer than 64 bits.
    """
    value = 0
    for i in range(_MAX_VARINT):
        if at + i >= end:
            raise WireError(at, "a number is cut off")
        byte = buffer[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + i + 1
    raise WireError(at, "a number has more than 64 bits")


def varint(value: int) -> bytes:
    """The varint of an unsigned number."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def tag(number: int) -> bytes:
    """What stands before a length-delimited field's length."""
    return varint(number << 3 | WireType.BYTES)


def bytes_field(number: int, payload: bytes) -> bytes:
    """A whole length-delimited field."""
    return tag(number) + varint(len(payload)) + payload


def signed(value: int, bits: int) -> int:
    """The two's complement reading of a varint's lowest `bits` bits (int32, int64)."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def varints(buffer: Buffer, start: int, end: int) -> Iterator[int]:
    """The numbers of a packed field."""
    while start < end:
        value, start = read_varint(buffer, start, end)
        yield value


def fields(buffer: Buffer, start: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies in `buffer[start:end]`, in the file's order.

    Runs of a fixed-width field (unpacked floats of old files) come as one `Field`. A group is
    stepped over and comes as one field of type GROUP.

    Raises:
        WireError: The bytes are no message; a length goes beyond `end`.
    """
    at = start
    while at < end:
        field = _field(buffer, at, end)
        if field.wire_type is WireType.GROUP:
            field = field._replace(end=_group_end(buffer, field, end))
        elif field.wire_type is WireType.END_GROUP:
            raise WireError(at, "a group ends that did not begin")
        elif field.stride and buffer[field.end : field.end + 1] == buffer[at : at + 1]:
            count = _run(buffer, field, end)
            field = field._replace(repeats=count, end=field.tag + count * field.stride)
        yield field
        at = field.end


def append(items: list[T], item: T, most: int, field: Field, name: str) -> None:
    """Appends to a list that a hostile file cannot grow past `most` items.

    Raises:
        WireError: The list is full.
    """
    if len(items) >= most:
        raise WireError(field.tag, f"more than {most} {name}")
    items.append(item)


def _field(buffer: Buffer, at: int, end: int) -> Field:
    tag, start = read_varint(buffer, at, end)
    number, code = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise WireError(at, f"{number} is no field number")
    if code > WireType.FIXED32:
        raise WireError(at, f"{code} is no wire type")
    wire_type = WireType(code)
    if wire_type is WireType.VARINT:
        value, behind = read_varint(buffer, start, end)
        return Field(number, wire_type, at, start, behind, value)
    if wire_type is WireType.BYTES:
        length, start = read_varint(buffer, start, end)
        _check_room(at, start, length, end, number)
        return Field(number, wire_type, at, start, start + length)
    width = {WireType.FIXED32: 4, WireType.FIXED64: 8}.get(wire_type, 0)
    _check_room(at, start, width, end, number)
    return Field(number, wire_type, at, start, start + width, stride=width and start + width - at)


def _check_room(tag: int, start: int, length: int, end: int, number: int) -> None:
    if length > end - start:
        raise WireError(tag, f"field {number} claims {length} bytes where {end - start} are left,")


def _group_end(buffer: Buffer, group: Field, end: int) -> int:
    """Offset behind the group's end; iterative, so that nesting cannot exhaust the stack."""
    at, open_groups = group.start, [group.number]
    while open_groups:
        if at >= end:
            raise WireError(group.tag, "a group does not end")
        field = _field(buffer, at, end)
        if field.wire_type is WireType.GROUP:
            open_groups.append(field.number)
        elif field.wire_type is WireType.END_GROUP and field.number != open_groups.pop():
            raise WireError(at, "a group ends that did not begin")
        if len(open_groups) > _MAX_GROUP_DEPTH:
            raise WireError(at, f"groups are nested deeper than {_MAX_GROUP_DEPTH}")
        at = field.end
    return at


def _run(buffer: Buffer, first: Field, end: int) -> int:
    """How many times in a row `first`'s tag comes back, looking at the tags' bytes only."""
    tag_bytes = np.frombuffer(buffer, np.uint8, first.start - first.tag, first.tag)
    room = (end - first.tag) // first.stride
    count, step = 1, _FIRST_RUN
    while count < room:
        step = min(step * 2, _LONGEST_RUN)
        tags: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.ndarray(
            (min(step, room - count), len(tag_bytes)),
            np.uint8,
            buffer,
            first.tag + count * first.stride,
            (first.stride, 1),
        )
        same = (tags == tag_bytes).all(axis=1)
        if not same.all():
            return count + int(same.argmin())
        count += len(same)
    return count
