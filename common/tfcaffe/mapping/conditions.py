"""Whether a prototxt is what a mapping requires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tfcaffe.infer import PlannedLayer
from tfcaffe.mapping.mapping_file import MappingFile
from tfcaffe.mapping.pairs import NEAREST, Problem
from tfcaffe.mapping.requirements import Requirement, Way
from tfcaffe.net import Ref
from tfcaffe.plan import Plan

_TYPE, _READ_BY = "type", "read_by"
_USUAL = {"pad": 0, "stride": 1, "dilation": 1}  # of lists that a prototxt leaves empty


def unmet(mapping: MappingFile, plan: Plan) -> Iterator[Problem]:
    """What has to be changed in the prototxt, and why."""
    readers = plan.net.consumers()
    for asked in mapping.requires:
        if not asked.ways:
            continue
        found = [
            (
                entry,
                [plan.layers[r].layer.type for t in _tops(i, entry) for r in readers.get(t, [])],
            )
            for i, entry in enumerate(plan.layers)
            if asked.key.read(entry.layer.name, "caffe") is not None
        ]
        if not found:
            text = f"no layer is called {asked.key.text!r}, of which this mapping requires"
            yield Problem(f"{text} {_wanted(asked)}: {asked.because}", asked.place)
        wrong = [
            (entry, types)
            for entry, types in found
            if not any(_holds(way, entry, types) for way in asked.ways)
        ]
        if wrong:
            yield Problem(_text(asked, wrong), asked.place)


def _tops(layer: int, entry: PlannedLayer) -> list[Ref]:
    return [Ref(layer, top) for top in range(len(entry.layer.tops))]


def _text(asked: Requirement, wrong: Sequence[tuple[PlannedLayer, list[str]]]) -> str:
    names = ", ".join(entry.layer.name for entry, _ in wrong[:NEAREST])
    more = f" and {len(wrong) - NEAREST} more" if len(wrong) > NEAREST else ""
    entry, types = wrong[0]
    there = {word: _there(word, entry, types) for way in asked.ways for word in way}
    has = ", ".join(f"{word}: {value}" for word, value in there.items())
    said = f"{entry.layer.name} has" if len(wrong) > 1 else "it has"
    return (
        f"{names}{more}: this mapping requires {_wanted(asked)} in the prototxt, and {said} {has}; "
        f"change it there, for {asked.because}"
    )


def _wanted(asked: Requirement) -> str:
    ways = [" ".join(f"{word}: {' or '.join(v)}" for word, v in way.items()) for way in asked.ways]
    return ", or ".join(f"`{way}`" for way in ways)


def _holds(way: Way, entry: PlannedLayer, types: Sequence[str]) -> bool:
    for word, wanted in way.items():
        if word == _READ_BY:
            if not types or not set(types) <= set(wanted):
                return False
        elif not any(_same(_there(word, entry, types), text) for text in wanted):
            return False
    return True


def _there(word: str, entry: PlannedLayer, types: Sequence[str]) -> str:
    """What the prototxt has, as it would be written there."""
    if word == _TYPE:
        return entry.layer.type
    if word == _READ_BY:
        return ", ".join(dict.fromkeys(types)) or "nothing"
    options = entry.family.options(entry.layer) if entry.family.field else None
    field = options.DESCRIPTOR.fields_by_name.get(word) if options is not None else None
    if field is None:
        return "no such field"
    value = getattr(options, word)
    if isinstance(value, int | float | str):
        return _written(field, value)
    each = dict.fromkeys(_written(field, item) for item in value)
    return " ".join(each) or str(_USUAL.get(word, "nothing"))


def _written(field: Any, value: object) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(there: str, wanted: str) -> bool:
    try:
        return float(there) == float(wanted)
    except ValueError:
        return there == wanted
