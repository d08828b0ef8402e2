"""Changes of one entry in a mapping file that leave every other byte as it was.

Text is spliced at the places that YAML's own nodes have, and the result is read again before it is
written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from tfcaffe.errors import MappingError, UsageError
from tfcaffe.mapping import shipped
from tfcaffe.mapping.document import Listing, Node, Section, Text, parse, read_text
from tfcaffe.mapping.mapping_file import MappingFile, parse_mapping
from tfcaffe.mapping.template import Template
from tfcaffe.mapping.values import Value
from tfcaffe.output import replacing

AnyPath = str | PathLike[str]
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
_INDENT = "  "


def set_entries(path: AnyPath, entries: Mapping[str, str]) -> MappingFile:
    """Say what blobs are: by `LAYER.ROLE` a variable's name, or a value like `{constant: 0}`.

    A layer that only patterns name gets an entry of its own, with all that they say of it.

    Raises:
        UsageError: a key that is no LAYER.ROLE, or a pattern; a shipped mapping.
        MappingError: the file is wrong, or would be; it stays as it was then.
    """
    file = _file(path)
    text = before = read_text(file)
    for key, value in entries.items():
        layer, found, role = key.rpartition(".")
        if not (layer and found and role):
            raise UsageError(f"{key}: write LAYER.ROLE, as conv1.weights")
        text = _with_entry(text, file, layer, role, _value(value))
    return _written(file, before, text)


def ignore(path: AnyPath, *patterns: str) -> MappingFile:
    """Leave variables out, by name or pattern.

    Raises:
        UsageError: an empty pattern; a shipped mapping.
        MappingError: the file is wrong, or would be; it stays as it was then.
    """
    file = _file(path)
    text = before = read_text(file)
    for pattern in patterns:
        if not pattern:
            raise UsageError("an empty pattern ignores nothing; name a variable")
        text = _with_ignored(text, file, pattern)
    return _written(file, before, text)


def quoted(text: str) -> str:
    """A name as YAML has it: plain where that is safe."""
    if _PLAIN.fullmatch(text):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=True)


def _file(path: AnyPath) -> Path:
    file = shipped.find(str(path))
    if file.parent == shipped.folder() and not Path(path).is_file():
        raise UsageError(
            f"{path}: is a shipped mapping; copy it first: mapping show {path} > mine.yaml"
        )
    return file


def _written(file: Path, before: str, text: str) -> MappingFile:
    mapping = parse_mapping(text, file)
    if text != before:
        with replacing(file, overwrite=True) as place:
            place.write_bytes(text.encode("utf-8"))
    return mapping


def _with_entry(text: str, file: Path, layer: str, role: str, value: str) -> str:
    root = parse(text, str(file))
    layers = root.get("layers")
    if isinstance(layers, Section) and layers.get(layer) and "{" in layer:
        raise UsageError(f"{layer}: is a pattern; name one of its layers, or change it by hand")
    key = layer.replace("{", "{{").replace("}", "}}")
    entry = layers.get(key) if isinstance(layers, Section) else None
    if isinstance(entry, Section):
        old = entry.get(role)
        if old is not None:
            return _replaced(text, old, value)
        return _with_key(text, entry, quoted(role), value)
    roles = {**_said(parse_mapping(text, file), layer), role: value}
    listed = ", ".join(f"{quoted(name)}: {said}" for name, said in roles.items())
    if isinstance(layers, Section):
        return _with_key(text, layers, quoted(key), f"{{{listed}}}")
    return _at_end(text, f"layers:\n{_INDENT}{quoted(key)}: {{{listed}}}", layers)


def _said(mapping: MappingFile, layer: str) -> dict[str, str]:
    """What the file, or one that it extends, says of a layer: as values of an exact entry.

    As everywhere, an exact entry hides all patterns.
    """
    readings = [(rule, rule.key.read(layer, "caffe")) for rule in mapping.rules]
    matched = [(rule, values) for rule, values in readings if values is not None]
    matched = [entry for entry in matched if entry[0].key.exact] or matched
    return {
        role: _rendered(value, values)
        for rule, values in matched
        for role, value in rule.roles.items()
    }


def _rendered(value: Value, values: Mapping[str, str]) -> str:
    """A value with its placeholders filled in."""
    if value.constant is not None:
        return f"{{constant: {value.constant!r}}}"
    names = [_name(template, values) for template in value.variables]
    if not value.unusual:
        return names[0]
    keys = {
        "variable" if not value.along else "concat": names[0] if not value.along else _list(names),
        "along": value.along,
        "minus": _name(value.minus, values) if value.minus else "",
        "epsilon": _number(value.epsilon),
        "layout": value.layout,
        "flatten": _list(
            [f"{letter}={size}" if size else letter for letter, size in value.flatten]
        ),
        "reverse": _list(value.reverse),
        "rearrange": quoted(value.rearrange) if value.rearrange else "",
        "part": value.part,
        "gates": value.gates,
        "forget_bias": _number(value.forget_bias),
    }
    return f"{{{', '.join(f'{key}: {said}' for key, said in keys.items() if said)}}}"


def _name(template: Template, values: Mapping[str, str]) -> str:
    return quoted(template.render(values, "tensorflow").replace("{", "{{").replace("}", "}}"))


def _list(words: Sequence[str]) -> str:
    return f"[{', '.join(words)}]" if words else ""


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _with_ignored(text: str, file: Path, pattern: str) -> str:
    root = parse(text, str(file))
    section = root.get("ignore")
    if section is None or (isinstance(section, Text) and not section.value):
        return _at_end(text, f"ignore:\n{_INDENT}variables: [{quoted(pattern)}]", section)
    if not isinstance(section, Section):
        raise MappingError(f"{section.place}: `ignore` holds keys and values")
    listing = section.get("variables")
    if listing is None:
        return _with_key(text, section, "variables", f"[{quoted(pattern)}]")
    if not isinstance(listing, Listing):
        raise MappingError(f"{listing.place}: a list is wanted here")
    if any(isinstance(item, Text) and item.value == pattern for item in listing.items):
        return text
    if text[listing.place.start] == "[":
        return _in_flow(text, listing.place.start, listing.items[-1:], quoted(pattern))
    first = listing.items[0]
    start = text.rfind("\n", 0, first.place.start) + 1
    indent = text[start : text.index("-", start)]
    return _after_line(text, _end(listing), f"{indent}- {quoted(pattern)}")


def _with_key(text: str, section: Section, key: str, value: str) -> str:
    """One more key at the end of a section, in its own style."""
    if section.flow:
        last = [node for _, node in section.items[-1:]]
        return _in_flow(text, section.place.start, last, f"{key}: {value}")
    first = section.items[0][0]
    start = text.rfind("\n", 0, first.place.start) + 1
    indent = " " * (first.place.start - start)
    return _after_line(text, _end(section), f"{indent}{key}: {value}")


def _in_flow(text: str, start: int, last: Sequence[Node], item: str) -> str:
    """One more item right behind the last one: comments and a comma may stand behind that."""
    at = _end(last[0]) if last else start + 1
    return text[:at] + (", " if last else "") + item + text[at:]


def _replaced(text: str, old: Node, value: str) -> str:
    """Another value; line ends and spaces behind the old one are not its own."""
    start, end = old.place.start, _end(old)
    kept = text[start:end].rstrip()
    return text[:start] + ("" if kept else " ") + value + text[start + len(kept) :]


def _at_end(text: str, lines: str, empty: Node | None = None) -> str:
    if empty is not None:
        raise MappingError(f"{empty.place}: is empty; remove the line")
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if text.endswith("\n") else newline
    return text + gap + lines.replace("\n", newline) + newline


def _after_line(text: str, at: int, line: str) -> str:
    """A line behind the one that holds the character before `at`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    end = text.find("\n", max(at - 1, 0))
    if end < 0:
        return text + newline + line + newline
    return text[: end + 1] + line + newline + text[end + 1 :]


def _end(node: Node) -> int:
    """Behind the last character that a node really has (YAML counts what follows a block, too)."""
    if isinstance(node, Text):
        return node.place.end
    if isinstance(node, Section):
        if node.flow or not node.items:
            return node.place.end
        key, value = node.items[-1]
        return max(key.place.end, _end(value))
    return _end(node.items[-1]) if node.items else node.place.end


def _value(text: str) -> str:
    """A value as it is to stand in the file: a name is quoted, a mapping in braces stays."""
    if text.startswith("{") and text.endswith("}") and ":" in text:
        return text
    return quoted(text.replace("{", "{{").replace("}", "}}"))
