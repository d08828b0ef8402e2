"""Entries in one: patterns and tables, only where they mean the same."""

from collections.abc import Sequence

import pytest

from tfcaffe.mapping.proposal.collapse import Entry, Role, Tables, collapse


def entry(key: str, *names: str, comment: str = "") -> Entry:
    roles = ("weights", "bias", "slope")
    return Entry(
        key, tuple((r, Role((n,), "%s", comment)) for r, n in zip(roles, names, strict=False))
    )


def texts(found: Sequence[Entry]) -> list[tuple[str, ...]]:
    return [(e.key, *(name for _, role in e.roles for name in role.names)) for e in found]


def always(entries: Sequence[Entry], tables: Tables) -> bool:
    return True


@pytest.mark.parametrize(
    ("pairs", "pattern"),
    [
        ([("conv1", "c1/w"), ("conv2", "c2/w")], ("conv{c:int}", "c{c}/w")),
        ([("conv1", "c0/w"), ("conv2", "c1/w")], ("conv{c:1=0,2=1}", "c{c}/w")),
        ([("3a", "m_1/w"), ("3b", "m_2/w")], ("3{m:a=1,b=2}", "m_{m}/w")),
        (
            [("res2a", "b1/u1"), ("res2b", "b1/u2"), ("res3a", "b2/u1"), ("res3b", "b2/u2")],
            ("res{b:2=1,3=2}{u:a=1,b=2}", "b{b}/u{u}"),
        ),
        (
            [("conv2_1", "c/1"), ("conv2_2", "c/2"), ("conv3_1", "c/3")],
            ("conv{c:2_1=1,2_2=2,3_1=3}", "c/{c}"),
        ),
        ([("c1/up", "c1/wide"), ("c1/down", "c1/slim")], ("c1/{c:down=slim,up=wide}", "c1/{c}")),
    ],
)
def test_repeated_entries_become_one(
    pairs: list[tuple[str, str]], pattern: tuple[str, str]
) -> None:
    found, tables = collapse([entry(*pair) for pair in pairs], always)
    assert texts(found) == [pattern] and tables == {}


@pytest.mark.parametrize(
    "pairs",
    [
        [("conv1", "c1/w"), ("conv2", "c1/v")],  # words that only one variable has
        [("a1", "x1"), ("a2", "x1y"), ("b", "z")],
        [("conv1", "c1/w", "c2/b"), ("conv2", "c2/w", "c1/b"), ("conv3", "c3/w", "c3/b")],
    ],
)
def test_what_is_no_pattern_stays_apart(pairs: list[tuple[str, ...]]) -> None:
    before = [entry(*pair) for pair in pairs]

    def reads_back(entries: Sequence[Entry], tables: Tables) -> bool:
        return all("{" not in name for e in entries for name in (e.key,))

    found, tables = collapse(before, reads_back)
    assert found == before and tables == {}


def test_nothing_is_collapsed_that_means_another_thing() -> None:
    before = [entry("conv1", "c1/w"), entry("conv2", "c2/w")]

    def same(entries: Sequence[Entry], tables: Tables) -> bool:
        return list(entries) == before

    assert collapse(before, same) == (before, {})


def test_entries_with_other_comments_stay_apart() -> None:
    entries = [entry("conv1", "c1/w"), entry("conv2", "c2/w", comment="uncertain: else c3/w")]
    assert collapse(entries, always) == (entries, {})


def test_a_table_that_is_used_twice_gets_a_name() -> None:
    entries = [entry(f"conv_{x}", f"unit_{i}/w") for i, x in enumerate("abcd", 1)]
    entries += [entry(f"{x}fc", f"unit_{i}/fc/w") for i, x in zip("1234", "5678", strict=True)]
    entries += [entry(f"bn/scale_{x}", f"unit_{i}/bn/w") for i, x in enumerate("abcd", 1)]
    found, tables = collapse(entries, always)
    assert tables == {"unit": (("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"))}
    assert texts(found) == [
        ("conv_{unit}", "unit_{unit}/w"),
        ("{unit2:5=1,6=2,7=3,8=4}fc", "unit_{unit2}/fc/w"),
        ("bn/scale_{unit}", "unit_{unit}/bn/w"),
    ]


def test_constants_alone_stay_as_they_are() -> None:
    entries = [Entry(f"conv{i}", (("bias", Role((), "{constant: 0}")),)) for i in (1, 2)]
    assert collapse(entries, always) == (entries, {})
