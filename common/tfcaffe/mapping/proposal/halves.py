"""Convolutions whose groups are variables of their own: `conv2_1/kernel`, `conv2_2/kernel`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tfcaffe.mapping.proposal.fits import Fits
from tfcaffe.mapping.proposal.likeness import Name, index
from tfcaffe.mapping.proposal.scopes import Known, Scope
from tfcaffe.mapping.proposal.units import CaffeUnit
from tfcaffe.plan import Plan


def with_halves(
    scopes: Sequence[Scope], units: Sequence[CaffeUnit], plan: Plan, fits: Fits
) -> list[Scope]:
    """The scopes, with those in one that only together are a convolution in groups."""
    counts = {unit: _groups(unit, plan) for unit in units}
    if all(count == 1 for count in counts.values()):
        return list(scopes)
    series: dict[object, list[Scope]] = defaultdict(list)
    for scope in scopes:
        if scope.roles.keys() <= {"weights", "bias"} and not scope.others:
            shapes = tuple(sorted((role, v.shape) for role, v in scope.roles.items()))
            if index(scope.name.tokens[-1] if scope.name.tokens else ""):
                series[scope.name.tokens[:-1], shapes].append(scope)
    found: list[Scope] = []
    gone: set[Scope] = set()
    for members in series.values():
        if len(members) not in counts.values() or len(members) == 1:
            continue
        members = sorted(members, key=lambda scope: scope.name.indexes[-1].value)
        whole = _joined(members)
        beside = _bias_of(whole, scopes)
        if beside:
            whole = replace(whole, roles={**whole.roles, **beside.roles})
        wanted = [u for u, n in counts.items() if n == len(members) and fits.fit(u, whole)]
        if wanted and not any(fits.fit(u, scope) for u in units for scope in members):
            found.append(whole)
            gone.update(members)
            gone.update([beside] if beside else [])
    return [scope for scope in scopes if scope not in gone] + found


def _groups(unit: CaffeUnit, plan: Plan) -> int:
    entry = plan.layers[unit.at]
    return int(entry.layer.message.convolution_param.group) if _is_plain(unit) else 1


def _is_plain(unit: CaffeUnit) -> bool:
    kernel = unit.blobs.get("weights")
    return kernel is not None and kernel.type == "Convolution" and kernel.param.shape[1] > 1


def _bias_of(whole: Scope, scopes: Sequence[Scope]) -> Scope | None:
    """The bias of all groups, where it is one variable in the scope that they lie in."""
    found = [s for s in scopes if s.name.text == whole.name.text and s.roles.keys() == {"bias"}]
    alone = len(found) == 1 and not found[0].others and "bias" not in whole.roles
    return found[0] if alone else None


def _joined(members: Sequence[Scope]) -> Scope:
    first = members[0]
    roles = {}
    for role, variable in first.roles.items():
        names = tuple(scope.roles[role].name for scope in members)
        shape = (*variable.shape[:-1], variable.shape[-1] * len(members))
        roles[role] = Known(" + ".join(names), shape, names)
    text = first.name.text
    return Scope(Name(text[: text.rindex(first.name.tokens[-1])].rstrip("_-/")), roles)
