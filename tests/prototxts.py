"""Prototxt text for the tests' small nets."""

from collections.abc import Sequence


def quoted(name: str) -> str:
    """A name as a string of protobuf's text format."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def layer(
    kind: str,
    bottoms: str | Sequence[str],
    tops: str | Sequence[str],
    fields: str = "",
    *,
    name: str | None = None,
) -> str:
    """One layer, named as its first top if nothing else is said.

    Args:
        fields: its further fields, such as `relu_param { negative_slope: 0.1 }`.
    """
    bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
    tops = [tops] if isinstance(tops, str) else tops
    name = (tops or bottoms)[0] if name is None else name
    wires = [f"bottom: {quoted(b)}" for b in bottoms] + [f"top: {quoted(t)}" for t in tops]
    return f"layer {{ name: {quoted(name)} type: {quoted(kind)} {' '.join(wires)} {fields} }}\n"


def data(*shape: int, name: str = "data") -> str:
    """An Input layer of this shape."""
    return layer("Input", [], name, f"input_param {{ {blob_shape(shape)} }}")


def blob_shape(shape: Sequence[int]) -> str:
    """A field `shape` of this BlobShape."""
    return f"shape {{ {repeated('dim', shape)} }}"


def repeated(field: str, values: Sequence[float]) -> str:
    """A repeated field."""
    return " ".join(f"{field}: {value}" for value in values)


def param(field: str, **values: object) -> str:
    """A layer's own parameter message; None leaves a field out, a sequence repeats it."""
    return f"{field} {{ {' '.join(_field(*item) for item in values.items())} }}"


def _field(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return repeated(name, value)
    if isinstance(value, bool):
        return f"{name}: {str(value).lower()}"
    return f"{name}: {value}"
