"""`requires`: what a mapping asks of the prototxt, since it cannot make two functions equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tfcaffe.mapping.document import Listing, Node, Place, Section, wrong
from tfcaffe.mapping.fields import check_keys, expect, section_of, text_at, text_of
from tfcaffe.mapping.template import Rows, Template, key_template

Way = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Requirement:
    """What is asked of the layers that the key names.

    Args:
        ways: one of these has to hold: by field of the layer's own parameters, by `type`, or by
            `read_by` (types of the layers that read its tops), the texts of which one is wanted.
            None at all takes back what an extended file asks.
        because: why, for people.
    """

    key: Template
    ways: tuple[Way, ...]
    because: str
    place: Place


def requirements(root: Section, tables: Mapping[str, Rows]) -> Iterator[Requirement]:
    """Those of a file.

    Raises:
        MappingError: one is not written as it has to be.
    """
    section = section_of(root.get("requires"), "requires")
    for key, node in section.items if section else ():
        template = key_template(key, tables)
        said = section_of(node, f"the requirement {key.value!r}")
        if said is None or not said.items:
            yield Requirement(template, (), "", key.place)
            continue
        check_keys(said, ("has", "because"), "a requirement")
        has, because = said.get("has"), text_at(said, "because")
        if has is None or not because:
            raise wrong(key.place, "write {has: {FIELD: VALUE}, because: WHY}")
        ways = has.items if isinstance(has, Listing) else (has,)
        yield Requirement(template, tuple(_way(way) for way in ways), because, key.place)


def _way(node: Node) -> Way:
    fields = expect(Section, node, "`has`: {FIELD: VALUE}, or a list of these,")
    if not fields.items:
        raise wrong(node.place, "`has` names no field")
    return {key.value: tuple(_texts(value)) for key, value in fields.items}


def _texts(node: Node) -> Iterator[str]:
    for item in node.items if isinstance(node, Listing) else (node,):
        yield text_of(item, "a value")
