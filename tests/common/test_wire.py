"""The walk over protobuf's wire format: what it finds, and what it refuses."""

import struct

import numpy as np
import pytest

from tfcaffe.files.wire import (
    Field,
    WireError,
    WireType,
    fields,
    read_varint,
    signed,
    varint,
    varints,
)
from weights_files import BYTES, END, FIXED32, FIXED64, START, counted, inside, number, tag

NUMBERS = [0, 1, 127, 128, 300, 2**31 - 1, 2**32, 2**63, 2**64 - 1]


def walk(message: bytes) -> list[Field]:
    return list(fields(message, 0, len(message)))


@pytest.mark.parametrize("value", NUMBERS)
def test_varint_comes_back(value: int) -> None:
    assert varint(value) == number(value)
    assert read_varint(varint(value), 0, 10) == (value, len(varint(value)))


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(5, 32, 5), (2**32 - 1, 32, -1), (2**64 - 3, 32, -3), (2**63, 64, -(2**63)), (7, 64, 7)],
)
def test_signed(value: int, bits: int, expected: int) -> None:
    assert signed(value, bits) == expected


def test_packed_numbers() -> None:
    packed = b"".join(map(number, NUMBERS))
    assert list(varints(packed, 0, len(packed))) == NUMBERS


@pytest.mark.parametrize(
    ("message", "wire_type", "start"),
    [
        (counted(3, 300), WireType.VARINT, 1),
        (inside(100, b"abc"), WireType.BYTES, 3),
        (tag(5, FIXED32) + b"1234", WireType.FIXED32, 1),
        (tag(5, FIXED64) + b"12345678", WireType.FIXED64, 1),
        (tag(20, START) + inside(1, b"x") + tag(20, END), WireType.GROUP, 2),
    ],
    ids=["varint", "bytes", "fixed32", "fixed64", "group"],
)
def test_one_field(message: bytes, wire_type: WireType, start: int) -> None:
    (field,) = walk(message)
    assert (field.wire_type, field.tag, field.start, field.end) == (
        wire_type,
        0,
        start,
        len(message),
    )


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 128, 129, 1000, 70_000])
@pytest.mark.parametrize("behind", [b"", counted(6, 1), tag(6, FIXED32) + b"----"])
@pytest.mark.parametrize("number_of_field", [5, 700], ids=["1-byte tag", "2-byte tag"])
def test_runs_of_floats(length: int, behind: bytes, number_of_field: int) -> None:
    values = np.arange(length, dtype=np.float32)
    one = tag(number_of_field, FIXED32)
    message = b"".join(one + struct.pack("<f", value) for value in values)
    run, *rest = walk(message + behind)
    assert (run.repeats, run.stride, run.end) == (length, len(one) + 4, len(message))
    assert len(rest) == bool(behind)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x80", "cut off"),
        (b"\xff" * 11, "64 bits"),
        (tag(3, 0) + b"\xff" * 9 + b"\x7f", "64 bits"),
        (b"\x00\x00", "no field number"),
        (number(1 << 32), "no field number"),
        (tag(1, 6), "no wire type"),
        (tag(1, 7), "no wire type"),
        (tag(1, BYTES) + b"\x05abc", "claims 5 bytes where 3 are left"),
        (tag(1, BYTES) + number(2**63), "claims"),
        (tag(1, FIXED32) + b"abc", "claims 4 bytes"),
        (tag(1, FIXED64) + b"abcdefg", "claims 8 bytes"),
        (tag(1, END), "did not begin"),
        (tag(1, START), "does not end"),
        (tag(1, START) + tag(2, END), "did not begin"),
        (tag(1, START) * 1000, "nested deeper"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_refused(message: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        walk(message)


def test_the_error_says_where() -> None:
    with pytest.raises(WireError, match="at byte 5") as error:
        walk(inside(1, b"abc") + tag(1, BYTES) + b"\x05abc")
    assert error.value.offset == 5
