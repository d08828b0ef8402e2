"""Merges the declarations of several schema files: messages and enums by name, field by field.

Only the first file (BVLC's) says what the binary format is: its numbers stay. The numbers of all
further files mean nothing here, since forks use one number for different fields; a number that is
taken is replaced by a private one.
"""

from dataclasses import replace

from tfcaffe.files.schema.proto import Enum, Field, Message

PRIVATE = 100_000  # the first number that we give out ourselves
_WIDTH = {
    name: rank
    for rank, name in enumerate(
        ("bool", "int32", "sint32", "uint32", "int64", "sint64", "uint64", "float", "double")
    )
}


def merge(base: Message, addition: Message, *, wins: bool) -> None:
    """Adds `addition` to `base` in place.

    A field that both have takes the label that parses both files (repeated before optional) and
    the wider of two number types. `wins` says whether defaults, and types that do not widen, are
    taken from `addition` (a user's file) or stay (our own forks' schema).
    """
    for field in addition.fields.values():
        known = base.fields.get(field.name)
        taken = {other.number for other in base.fields.values()}
        if known is None:
            base.fields[field.name] = replace(field, number=_free(field.number, taken))
        else:
            base.fields[field.name] = _both(known, field, wins=wins)
    for enum in addition.enums.values():
        _merge_enum(base.enums.setdefault(enum.name, Enum(enum.name)), enum)
    for message in addition.messages.values():
        merge(base.messages.setdefault(message.name, Message(message.name)), message, wins=wins)


def _both(ours: Field, theirs: Field, *, wins: bool) -> Field:
    labels = {ours.label, theirs.label}
    label = next(label for label in ("repeated", "optional", "required") if label in labels)
    chosen = theirs if wins else ours
    kind, default = chosen.type, chosen.default
    if ours.type in _WIDTH and theirs.type in _WIDTH:
        kind = _wider(ours.type, theirs.type)
    if label == "repeated":
        default = None
    return replace(ours, label=label, type=kind, default=default, where=chosen.where)


def _wider(first: str, second: str) -> str:
    narrow, wide = sorted((first, second), key=_WIDTH.__getitem__)
    mixes_signs = narrow != wide and wide in ("uint32", "uint64") and narrow != "bool"
    return "int64" if mixes_signs else wide


def _merge_enum(base: Enum, addition: Enum) -> None:
    for name, number in addition.values.items():
        if name not in base.values:
            base.values[name] = _free(number, set(base.values.values()))


def _free(number: int, taken: set[int]) -> int:
    if number not in taken:
        return number
    return max(PRIVATE, *(used + 1 for used in taken))
