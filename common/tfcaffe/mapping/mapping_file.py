"""What a mapping file says, as records; whether it fits a net and variables is another question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tfcaffe.errors import UsageError
from tfcaffe.mapping import shipped
from tfcaffe.mapping.document import Listing, Node, Place, Section, Text, parse, read_text, wrong
from tfcaffe.mapping.fields import (
    check_keys,
    expect,
    number_at,
    section_of,
    text_at,
    text_of,
)
from tfcaffe.mapping.requirements import Requirement, requirements
from tfcaffe.mapping.template import Rows, Template, key_template, rows
from tfcaffe.mapping.values import Value, epsilon_at, value_of

_TOP = (
    *("mapping", "net", "extends", "requires", "channels", "tables", "epsilon", "layers", "ignore"),
)
_ORDERS = ("bgr", "rgb")
_DEEPEST = 8  # files that extend each other


@dataclass(frozen=True)
class Rule:
    """One entry: the layers that its key names, and their roles."""

    key: Template
    roles: Mapping[str, Value]
    role_places: Mapping[str, Place]


@dataclass(frozen=True)
class Ignored:
    """Names that are left out; `*` stays within one component of a path, `**` crosses "/".

    Args:
        must_be: the number that everything left out has to be.
    """

    glob: str
    place: Place
    must_be: float | None = None


@dataclass(frozen=True)
class MappingFile:
    """A mapping file, with what it extends.

    Args:
        flips: whether the channels of the net's input are in another order in TensorFlow.
        epsilon: TensorFlow's, for every BatchNorm; None is the prototxt's.
        requires: what is asked of the prototxt.
    """

    path: Path
    net: str
    flips: bool
    epsilon: float | None
    rules: tuple[Rule, ...]
    variables: tuple[Ignored, ...]
    blobs: tuple[Ignored, ...]
    requires: tuple[Requirement, ...] = ()


Tables = Mapping[str, Rows]


def load_mapping(name: str | Path) -> MappingFile:
    """The mapping in a file, or a shipped one by its name.

    Raises:
        UsageError: there is no such file or name.
        FileFormatError: it is no text.
        MappingError: it is wrong; with line and column.
    """
    path = shipped.find(name)
    if path.suffix in (".prototxt", ".caffemodel"):
        raise UsageError(f"{path}: is Caffe's; the mapping comes first, then the net")
    return parse_mapping(read_text(path), path)


def parse_mapping(text: str, path: Path) -> MappingFile:
    """The mapping in a text that is, or will be, the file `path`."""
    return _load(path, text, ())[0]


def _load(path: Path, text: str, above: tuple[Path, ...]) -> tuple[MappingFile, Tables]:
    root = parse(text, str(path))
    check_keys(root, _TOP, "a mapping file")
    version = root.get("mapping")
    if not isinstance(version, Text) or version.value != "1":
        place = version.place if version else root.place
        raise wrong(place, "a mapping file says `mapping: 1` first; no other version is known")
    base, inherited = _extended(root, path, above)
    tables = {**inherited, **_tables(root)}
    mine = MappingFile(
        path=path,
        net=text_at(root, "net") or (base.net if base else ""),
        flips=_flips(root) if root.get("channels") or base is None else base.flips,
        epsilon=epsilon_at(root) if root.get("epsilon") or base is None else base.epsilon,
        rules=tuple(_rules(root, tables)),
        variables=tuple(_ignored(root, "variables")),
        blobs=tuple(_ignored(root, "blobs")),
        requires=tuple(requirements(root, tables)),
    )
    if base is None:
        if root.get("layers") is None:
            raise wrong(root.place, "there is no `layers`: nothing is mapped")
        return mine, tables
    keys = {rule.key.text for rule in mine.rules}
    asked = {requirement.key.text for requirement in mine.requires}
    whole = replace(
        mine,
        rules=(*(rule for rule in base.rules if rule.key.text not in keys), *mine.rules),
        variables=(*base.variables, *mine.variables),
        blobs=(*base.blobs, *mine.blobs),
        requires=(*(r for r in base.requires if r.key.text not in asked), *mine.requires),
    )
    return whole, tables


def _extended(
    root: Section, path: Path, above: tuple[Path, ...]
) -> tuple[MappingFile | None, Tables]:
    """The file that this one builds on, and its tables."""
    node = root.get("extends")
    if node is None:
        return None, {}
    name = text_of(node, "a file's name")
    try:
        other = shipped.find(path.parent / name if name.endswith((".yaml", ".yml")) else name)
    except UsageError as error:
        raise wrong(node.place, str(error)) from error
    chain = (*above, path.resolve())
    if other.resolve() in chain or len(chain) > _DEEPEST:
        raise wrong(node.place, f"{other} extends this file, or too many extend each other")
    return _load(other, read_text(other), chain)


def _tables(root: Section) -> Tables:
    section = section_of(root.get("tables"), "tables")
    found = {}
    for key, node in section.items if section else ():
        table = section_of(node, f"the table {key.value!r}")
        pairs = [(k.value, text_of(v, "a table's text")) for k, v in table.items] if table else []
        found[key.value] = rows(pairs, key.place)
    return found


def _rules(root: Section, tables: Tables) -> Iterator[Rule]:
    section = section_of(root.get("layers"), "layers")
    for key, node in section.items if section else ():
        template = key_template(key, tables)
        roles = section_of(node, f"the entry {key.value!r}")
        if roles is None or not roles.items:
            raise wrong(key.place, f"the entry {key.value!r} names no role: weights, bias …")
        yield Rule(
            template,
            {role.value: value_of(value, template) for role, value in roles.items},
            {role.value: role.place for role, _ in roles.items},
        )


def _flips(root: Section) -> bool:
    section = section_of(root.get("channels"), "channels")
    if section is None:
        return False
    check_keys(section, ("caffe", "tensorflow"), "channels")
    orders = [text_at(section, side) for side in ("caffe", "tensorflow")]
    if any(order not in _ORDERS for order in orders):
        raise wrong(section.place, "write channels: {caffe: bgr, tensorflow: rgb}")
    return orders[0] != orders[1]


def _ignored(root: Section, what: str) -> Iterator[Ignored]:
    section = section_of(root.get("ignore"), "ignore")
    if section is None:
        return
    check_keys(section, ("variables", "blobs"), "ignore")
    listing = section.get(what)
    if listing is None:
        return
    for node in expect(Listing, listing, "a list").items:
        if isinstance(node, Text):
            yield Ignored(_glob(node), node.place)
            continue
        item = expect(Section, node, "a name, or {name: …, must_be: …}")
        check_keys(item, ("name", "must_be"), "an ignored name")
        name = item.get("name")
        if name is None:
            raise wrong(item.place, "which name? write {name: …, must_be: …}")
        yield Ignored(_glob(name), item.place, number_at(item, "must_be"))


def _glob(node: Node) -> str:
    name = text_of(node, "a name")
    if not name:
        raise wrong(node.place, "the name is empty")
    return name
