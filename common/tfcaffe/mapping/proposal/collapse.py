"""Entries that are the same up to numbers become one, with placeholders and tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from tfcaffe.mapping.template import Rows
from tfcaffe.variables.base import natural

_PIECES = re.compile(r"\d+|[A-Za-z]+|[^A-Za-z0-9]+")
_INT = re.compile(r"0|[1-9][0-9]*")
_SPECIAL = re.compile(r"[,={}:\s]")  # what a table on the spot cannot hold
_LEAST = 3  # layers that are worth a table of their own rows
_LONG = 3  # rows of a table that gets a name where it is used twice


@dataclass(frozen=True)
class Role:
    """What one role of an entry is.

    Args:
        names: variables, as they stand in the file: braces are twice.
        form: the value, with `%s` for each of them.
        comment: what the reader has to know, or "".
    """

    names: tuple[str, ...]
    form: str
    comment: str = ""


@dataclass(frozen=True)
class Entry:
    """A layer's entry, or that of several; the key stands as in the file.

    Args:
        comment: what the reader has to know of all its roles, or "".
    """

    key: str
    roles: tuple[tuple[str, Role], ...]
    comment: str = ""


Tables = dict[str, Rows]
Check = Callable[[Sequence[Entry], Tables], bool]


def collapse(entries: Sequence[Entry], same: Check) -> tuple[list[Entry], Tables]:
    """The entries with repeated ones in one, and the tables that these need.

    Args:
        same: whether entries with tables mean the same as the entries as they came.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    for i, entry in enumerate(entries):
        groups[_coarse(entry)].append(i)
    merged: dict[int, _Draft] = {}
    gone: set[int] = set()
    for coarse in groups.values():
        fine: dict[object, list[int]] = defaultdict(list)
        for i in coarse:
            fine[_fine(entries[i])].append(i)
        ways = [[coarse], list(fine.values())] if len(fine) > 1 else [[coarse]]
        for members in next((w for w in ways if all(_draft(entries, m) for m in w)), ways[-1]):
            draft = _draft(entries, members)
            if draft is None:
                continue
            first, *rest = members
            left = [
                draft.entry({}) if i == first else e for i, e in enumerate(entries) if i not in rest
            ]
            if same(left, {}):
                merged[first] = draft
                gone.update(rest)
    tables = _tables(list(merged.values()))
    names = {rows: name for name, rows in tables.items()}
    found = [
        merged[i].entry(names) if i in merged else entry
        for i, entry in enumerate(entries)
        if i not in gone
    ]
    return (found, tables) if same(found, tables) else (list(entries), {})


@dataclass(frozen=True)
class _Slot:
    """A placeholder to be: its rows, and the word in front of it on TensorFlow's side."""

    rows: Rows
    word: str

    def declared(self, name: str, named: bool) -> str:
        """As it stands in a key."""
        if named:
            return f"{{{name}}}"
        if all(a == b and _INT.fullmatch(a) for a, b in self.rows):
            return f"{{{name}:int}}"
        return f"{{{name}:{','.join(f'{a}={b}' for a, b in self.rows)}}}"


@dataclass(frozen=True)
class _Draft:
    """A key and names in parts: text, or the number of a slot."""

    key: tuple[str | int, ...]
    names: tuple[tuple[tuple[str | int, ...], ...], ...]  # by role
    slots: tuple[_Slot, ...]
    roles: tuple[tuple[str, Role], ...]
    comment: str

    def entry(self, names: dict[Rows, str]) -> Entry:
        """The entry, with these tables' names."""
        called: list[str] = []
        declared: list[str] = []
        for slot in self.slots:
            name = names.get(slot.rows, "")
            named = bool(name) and name not in called
            if not named:
                name = slot.word
                while name in called or name in names.values():
                    name = _next(name)
            called.append(name)
            declared.append(slot.declared(name, named))
        key = "".join(p if isinstance(p, str) else declared[p] for p in self.key)
        roles = []
        for (role, said), parts in zip(self.roles, self.names, strict=True):
            texts = tuple(
                "".join(p if isinstance(p, str) else f"{{{called[p]}}}" for p in name)
                for name in parts
            )
            roles.append((role, replace(said, names=texts)))
        return Entry(key, tuple(roles), self.comment)


def _next(name: str) -> str:
    stem, number = re.fullmatch(r"(.*?)(\d*)", name, re.S).groups()  # type: ignore[union-attr]
    return f"{stem}{int(number or 1) + 1}"


def _draft(entries: Sequence[Entry], members: Sequence[int]) -> _Draft | None:
    """One entry for all of these, if there is one."""
    if len(members) < 2:
        return None
    mine = [entries[i] for i in members]
    return _by_slots(mine) or (_by_table(mine) if len(mine) >= _LEAST else None)


def _by_slots(mine: Sequence[Entry]) -> _Draft | None:
    """With a placeholder for each piece of the names that varies."""
    keys = [_PIECES.findall(entry.key) for entry in mine]
    if len({len(key) for key in keys}) > 1:
        return None
    columns = list(zip(*keys, strict=True))
    places = [k for k, column in enumerate(columns) if len(set(column)) > 1]
    slots: list[_Slot | None] = [None] * len(places)
    names = []
    for r, (_, role) in enumerate(mine[0].roles):
        of_role = []
        for n in range(len(role.names)):
            texts = [_PIECES.findall(entry.roles[r][1].names[n]) for entry in mine]
            if len({len(text) for text in texts}) > 1:
                return None
            parts: list[str | int] = []
            used: set[int] = set()
            for k, column in enumerate(zip(*texts, strict=True)):
                if len(set(column)) == 1:
                    parts.append(column[0])
                    continue
                found = _slot(columns, places, slots, used, column, _word(texts[0][:k]))
                if found is None:
                    return None
                used.add(found)
                parts.append(found)
            if len(used) < len(places):
                return None
            of_role.append(tuple(parts))
        names.append(tuple(of_role))
    if None in slots:
        return None  # no variable at all: constants
    key = tuple(places.index(k) if k in places else column[0] for k, column in enumerate(columns))
    return _Draft(key, tuple(names), tuple(filter(None, slots)), mine[0].roles, mine[0].comment)


def _slot(
    columns: Sequence[tuple[str, ...]],
    places: Sequence[int],
    slots: list[_Slot | None],
    used: set[int],
    column: tuple[str, ...],
    word: str,
) -> int | None:
    """The slot that goes one to one with a column of TensorFlow's texts."""
    for s, place in enumerate(places):
        rows = _rows(columns[place], column)
        known = slots[s]
        if s not in used and rows and (known is None or known.rows == rows):
            slots[s] = known or _Slot(rows, word)
            return s
    return None


def _by_table(mine: Sequence[Entry]) -> _Draft | None:
    """With one table for all that varies."""
    keys, front, back = _around([entry.key for entry in mine])
    slot: _Slot | None = None
    names = []
    for r, (_, role) in enumerate(mine[0].roles):
        of_role = []
        for n in range(len(role.names)):
            texts, before, after = _around([entry.roles[r][1].names[n] for entry in mine])
            rows = _rows(tuple(keys), tuple(texts))
            if not rows or (slot and slot.rows != rows):
                return None
            slot = slot or _Slot(rows, _word(_PIECES.findall(before)))
            of_role.append((before, 0, after))
        names.append(tuple(of_role))
    if slot is None or any(_SPECIAL.search(text) for row in slot.rows for text in row):
        return None
    return _Draft((front, 0, back), tuple(names), (slot,), mine[0].roles, mine[0].comment)


def _around(texts: Sequence[str]) -> tuple[list[str], str, str]:
    """What varies in texts, and what they begin and end with; numbers and words stay whole."""
    pieces = [_PIECES.findall(text) for text in texts]
    front = _shared(pieces)
    rest = [p[len(front) :] for p in pieces]
    back = _shared([p[::-1] for p in rest])[::-1]
    middle = ["".join(p[: len(p) - len(back)]) for p in rest]
    return middle, "".join(front), "".join(back)


def _shared(pieces: Sequence[Sequence[str]]) -> list[str]:
    """What all begin with."""
    columns = zip(*pieces, strict=False)
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]


def _rows(left: Sequence[str], right: Sequence[str]) -> Rows:
    """A table from one column to the other; empty if they do not go one to one."""
    rows = sorted(set(zip(left, right, strict=True)), key=lambda row: natural(row[0]))
    one_to_one = len(rows) == len({a for a, _ in rows}) == len({b for _, b in rows})
    return tuple(rows) if one_to_one and all(a and b for a, b in rows) else ()


def _word(pieces: Sequence[str]) -> str:
    """The last word of these that can name a placeholder."""
    words = [piece.lower() for piece in pieces if piece.isalpha() and piece.isascii()]
    return words[-1] if words else "n"


def _tables(drafts: Sequence[_Draft]) -> Tables:
    """The tables that get a name: long ones that are used more than once."""
    count = Counter(slot.rows for draft in drafts for slot in draft.slots)
    words = {slot.rows: slot.word for draft in drafts for slot in draft.slots}
    found: Tables = {}
    for rows, times in count.items():
        plain = all(a == b and _INT.fullmatch(a) for a, b in rows)
        if times > 1 and len(rows) >= _LONG and not plain:
            name = words[rows]
            while name in found:
                name = _next(name)
            found[name] = rows
    return found


def _coarse(entry: Entry) -> object:
    """What entries must have in common: roles, forms, comments, and how the names are built."""
    return (
        entry.comment,
        _shape(entry.key),
        tuple((name, r.form, r.comment, tuple(map(_shape, r.names))) for name, r in entry.roles),
    )


def _shape(text: str) -> tuple[str, ...]:
    return tuple(
        "#" if p.isdecimal() else "a" if p.isalpha() and p.isascii() else p
        for p in _PIECES.findall(text)
    )


def _fine(entry: Entry) -> object:
    """The same with all words of more than a letter."""
    texts = [entry.key, *(name for _, role in entry.roles for name in role.names)]
    return tuple(
        tuple("#" if p.isdecimal() else "@" if len(p) == 1 and p.isalpha() else p for p in pieces)
        for pieces in map(_PIECES.findall, texts)
    )
