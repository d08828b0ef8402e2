"""Arrays in pickles, read without running them.

A pickle is a program for a small stack machine. This one knows the steps that make containers and
NumPy arrays and no others: it imports nothing and calls nothing that a file names. Arrays are
views of the file. Sources: pickletools.py; ndarray.__reduce__ and __setstate__ in NumPy.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from enum import Enum
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

from tfcaffe.errors import FileFormatError

_SHORT = 1 << 12  # longer strings are the data of an array
_MOST_STEPS = 10_000_000
_MOST_DEPTH = 8  # of containers within each other
_MOST_VALUES = 1_000_000
_DTYPE = re.compile(r"[<>|=]?([fiub][1248]|f16|O[48]?|[SU]\d{1,4})")


class _Known(Enum):
    """What a pickle may name."""

    RECONSTRUCT = "_reconstruct"
    ARRAY = "ndarray"
    DTYPE = "dtype"
    SCALAR = "scalar"
    ENCODE = "encode"
    DICT = "OrderedDict"


_NAMES = {
    ("numpy", "ndarray"): _Known.ARRAY,
    ("numpy", "dtype"): _Known.DTYPE,
    ("_codecs", "encode"): _Known.ENCODE,
    ("collections", "OrderedDict"): _Known.DICT,
    **{
        (f"numpy.{core}.multiarray", name.value): name
        for core in ("core", "_core")
        for name in (_Known.RECONSTRUCT, _Known.SCALAR)
    },
}


class _Type:
    """A NumPy type in the making: its byte order comes after its name."""

    def __init__(self, name: str) -> None:
        if not _DTYPE.fullmatch(name):
            raise ValueError(f"the type {name!r} is not one of plain numbers")
        self.dtype = np.dtype("O" if name.lstrip("<>|=").startswith("O") else name)

    def build(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError("a type of an unknown byte order")
        if order != "|":
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array in the making; `value` is an ndarray, or a list for an array of objects."""

    def __init__(self) -> None:
        self.value: Any = None

    def build(self, state: Any) -> None:
        shape, kind, fortran, data = state[-4:]
        if not isinstance(kind, _Type):
            raise ValueError("an array of no type")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("an array of an impossible shape")
        if kind.dtype == np.dtype("O"):
            if type(data) is not list:
                raise ValueError("an array of objects without them")
            self.value = data if len(shape) else data[0]
            return
        data = data.encode("latin-1") if isinstance(data, str) else data
        size = int(np.prod(shape, dtype=object)) * kind.dtype.itemsize
        if size != len(data):
            raise ValueError(f"an array of shape {tuple(shape)} in {len(data)} bytes")
        order: Any = "F" if fortran else "C"
        self.value = np.ndarray(tuple(shape), kind.dtype, data, order=order)


def load(path: Path, buffer: mmap, start: int) -> Any:
    """What a pickle at `start` holds: dicts, lists, tuples, strings, numbers and `ndarray`s.

    Raises:
        FileFormatError: it is damaged, or holds anything else.
    """
    machine = _Machine(buffer, start)
    try:
        for _ in range(_MOST_STEPS):
            if machine.step():
                return machine.stack.pop()
    except (ValueError, TypeError, KeyError, IndexError, struct.error, AttributeError) as error:
        raise FileFormatError(
            f"{path}: byte {machine.at}: its pickle is damaged, or holds more than arrays and "
            f"containers: {error}; nothing of it was run. Save the arrays with np.savez"
        ) from error
    raise FileFormatError(f"{path}: its pickle is far too long for a file of weights")


class _Machine:
    """The stack machine: `step` does one instruction."""

    def __init__(self, buffer: mmap, start: int) -> None:
        self.bytes = memoryview(buffer)
        self.at = start
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self) -> bool:
        """One instruction; whether it was the last."""
        code = self._take(1)[0]
        if code == ord("."):
            return True
        if code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code]())
        elif code in _VALUES:
            self.stack.append(_VALUES[code](self))
        elif code in _STEPS:
            _STEPS[code](self)
        else:
            raise ValueError(f"an instruction that arrays do not need ({chr(code)!r})")
        return False

    def _take(self, count: int) -> memoryview:
        if count < 0 or self.at + count > len(self.bytes):
            raise ValueError("it ends too early")
        self.at += count
        return self.bytes[self.at - count : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def line(self) -> str:
        end = self.at
        while self.bytes[end] != ord("\n"):
            end += 1
            if end - self.at > _SHORT:
                raise ValueError("a name without an end")
        return str(self._take(end + 1 - self.at)[:-1], "utf-8")

    def text(self, form: str) -> str:
        return str(self._take(self.number(form)), "utf-8", "surrogatepass")

    def data(self, form: str) -> Any:
        """Bytes, where they are long as a view; Python 2 made no difference between these and text.

        Short ones are given as text of the same code points, which `_Array` turns back.
        """
        taken = self._take(self.number(form))
        return str(taken, "latin-1") if len(taken) <= _SHORT else taken

    def long(self) -> int:
        return int.from_bytes(self._take(self.number("<B")), "little", signed=True)

    def marked(self) -> list[Any]:
        mark = self.marks.pop()
        found = self.stack[mark:]
        del self.stack[mark:]
        return found

    def last(self, count: int) -> tuple[Any, ...]:
        if count > len(self.stack):
            raise ValueError("too little on its stack")
        found = tuple(self.stack[-count:])
        del self.stack[-count:]
        return found

    def named(self, module: Any, name: Any) -> None:
        known = _NAMES.get((module, name)) if isinstance(name, str) else None
        if known is None:
            raise ValueError(f"it names {module}.{name}, which could run code")
        self.stack.append(known)

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def extend(self, values: list[Any] | tuple[Any, ...]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("items for what is no list")
        self.stack[-1].extend(values)

    def update(self, values: list[Any] | tuple[Any, ...]) -> None:
        into = self.stack[-1]
        if type(into) is not dict or len(values) % 2:
            raise ValueError("keys for what is no dictionary")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, int):
                raise ValueError("a dictionary's key that is no name")
            into[key] = value

    def reduce(self) -> None:
        function, arguments = self.last(2)
        self.stack.append(_call(function, arguments))

    def build(self) -> None:
        (state,) = self.last(1)
        if not isinstance(self.stack[-1], _Type | _Array):
            raise ValueError("an object that is no array")
        self.stack[-1].build(state)


def _call(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Known.RECONSTRUCT, (_Known.ARRAY, *_):
            return _Array()
        case _Known.DTYPE, (str() as name, *_):
            return _Type(name)
        case _Known.SCALAR, (_Type() as kind, data):
            scalar = _Array()
            scalar.build(((), kind, False, data))
            return scalar
        case _Known.ENCODE, (str() as text, "latin1" | "latin-1"):
            return text
        case _Known.DICT, ():
            return {}
    raise ValueError("a call that makes no array")


_CONSTANTS: dict[int, Callable[[], Any]] = {
    ord("N"): lambda: None,
    0x88: lambda: True,
    0x89: lambda: False,
    ord(")"): tuple,
    ord("]"): list,
    ord("}"): dict,
}
_VALUES: dict[int, Callable[[_Machine], Any]] = {
    ord("J"): lambda m: m.number("<i"),
    ord("K"): lambda m: m.number("<B"),
    ord("M"): lambda m: m.number("<H"),
    ord("G"): lambda m: m.number(">d"),
    0x8A: lambda m: m.long(),
    ord("U"): lambda m: m.data("<B"),
    ord("T"): lambda m: m.data("<I"),
    ord("C"): lambda m: m.data("<B"),
    ord("B"): lambda m: m.data("<I"),
    0x8E: lambda m: m.data("<Q"),
    ord("X"): lambda m: m.text("<I"),
    0x8C: lambda m: m.text("<B"),
    0x8D: lambda m: m.text("<Q"),
    ord("t"): lambda m: tuple(m.marked()),
    0x85: lambda m: m.last(1),
    0x86: lambda m: m.last(2),
    0x87: lambda m: m.last(3),
    ord("h"): lambda m: m.memo[m.number("<B")],
    ord("j"): lambda m: m.memo[m.number("<I")],
}
_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: lambda m: m.number("<B"),  # protocol
    0x95: lambda m: m.number("<Q"),  # frame
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("a"): lambda m: m.extend(m.last(1)),
    ord("e"): lambda m: m.extend(m.marked()),
    ord("s"): lambda m: m.update(m.last(2)),
    ord("u"): lambda m: m.update(m.marked()),
    ord("c"): lambda m: m.named(m.line(), m.line()),
    0x93: lambda m: m.named(*m.last(2)),
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
}


def flattened(path: Path, loaded: Any) -> list[tuple[str, Any]]:
    """The arrays in what `load` gave, named by the keys and positions that lead to them.

    Raises:
        FileFormatError: containers hold each other, or something that is no array.
    """
    found: list[tuple[str, Any]] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), loaded)]
    steps = 0
    while waiting:
        names, value = waiting.pop()
        value = value.value if isinstance(value, _Array) else value
        steps += 1
        if len(names) > _MOST_DEPTH or steps > _MOST_VALUES:
            raise FileFormatError(f"{path}: its containers lie in each other without end")
        if isinstance(value, dict):
            waiting += reversed([((*names, str(key)), item) for key, item in value.items()])
        elif isinstance(value, list | tuple):
            waiting += reversed([((*names, str(i)), item) for i, item in enumerate(value)])
        elif isinstance(value, np.ndarray):
            found.append(("/".join(names), value))
        elif isinstance(value, bool | int | float):
            found.append(("/".join(names), np.asarray(value)))
        elif value is not None:
            raise FileFormatError(f"{path}: {'/'.join(names)}: is no array")
    return found
