"""Both sides of a mapping, read from files: the net's plan and the variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from tfcaffe.errors import naming
from tfcaffe.infer import check_types
from tfcaffe.load import load_net
from tfcaffe.mapping import orders, shipped
from tfcaffe.mapping.mapping_file import MappingFile, load_mapping
from tfcaffe.mapping.resolve import Resolved, resolve
from tfcaffe.options import completed
from tfcaffe.plan import Plan, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.variables.base import Shape, Variables
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.roles import with_averages, with_prefix

AnyPath = str | PathLike[str]
_NO_TYPE = "a plugin says which shapes and blobs they have (--plugin FILE.py, docs/layers.md)"


@dataclass(frozen=True)
class Sides:
    """A mapping, its net, and the file of variables where there is one."""

    mapping: MappingFile
    plan: Plan
    variables: Variables | None

    def resolved(self, *, partial: bool = False) -> Resolved:
        """The mapping held against both.

        Args:
            partial: whether blobs may be left out.

        Raises:
            MappingError: the mapping itself is wrong.
        """
        if self.variables is None:
            return resolve(self.mapping, self.plan, partial=partial)
        entries = self.variables.entries
        shapes = {name: variable.shape for name, variable in entries.items()}
        apart = {name for name, variable in entries.items() if variable.role}
        return resolve(
            self.mapping,
            self.plan,
            shapes,
            apart=apart,
            epsilons=self.variables.epsilons,
            ordering=self.variables.ordering,
            partial=partial,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided while reading."""
        read = self.variables.notes if self.variables else ()
        asked = shipped.conditions(self.mapping.path)
        return (*self.plan.net.notes, *read, *asked, *orders.notes(self.plan))


class SideOptions(TypedDict, total=False):
    """Keyword options that say which layers and variables are meant, named like the flags.

    like: a `.keras` of the same model, which names the variables of a `.weights.h5`.
    prefix: only the variables below this scope, named without it.
    ema: the numbers of the moving averages, where there are some (False).
    phase, level, stage: whose layers, by the net's include and exclude rules ("TEST", 0, none).
    proto: `.proto` files with a forked Caffe's fields.
    plugin: Python files with layer types of one's own.
    """

    like: AnyPath | None
    prefix: str
    ema: bool
    phase: Literal["TEST", "TRAIN"]
    level: int
    stage: Sequence[str]
    proto: Sequence[AnyPath]
    plugin: Sequence[AnyPath]


DEFAULTS: SideOptions = {
    "like": None,
    "prefix": "",
    "ema": False,
    "phase": "TEST",
    "level": 0,
    "stage": (),
    "proto": (),
    "plugin": (),
}
LISTS = ("stage", "proto", "plugin")


def read_sides(
    mapping: AnyPath,
    net: AnyPath,
    variables: AnyPath | None = None,
    **options: Unpack[SideOptions],
) -> Sides:
    """Read all that a mapping is about; no numbers yet.

    Args:
        mapping: a file, or the name of a shipped mapping.
        net: the prototxt.
        variables: a checkpoint or another file of variables.

    Raises:
        ConversionError: one of them is missing, damaged or wrong.
        TypeError: there is no such option.
    """
    read = load_mapping(str(mapping))
    plan = read_net(net, **options)
    return Sides(read, plan, None if variables is None else read_variables(variables, **options))


def read_net(net: AnyPath, **options: Unpack[SideOptions]) -> Plan:
    """The net's plan.

    Raises:
        ConversionError: the net is missing, damaged or wrong.
        TypeError: there is no such option.
    """
    given = completed(options, DEFAULTS, LISTS, "SideOptions")
    load_plugins([Path(path) for path in given["plugin"]])
    layers = load_net(
        net,
        phase=given["phase"],
        level=given["level"],
        stages=given["stage"],
        protos=[Path(path) for path in given["proto"]],
    )
    with naming(layers.path):
        check_types(layers, _NO_TYPE)
    return make_plan(layers)


def read_variables(path: AnyPath, **options: Unpack[SideOptions]) -> Variables:
    """A file's variables, named and chosen as the options say.

    Raises:
        ConversionError: the file is missing or damaged, or has no such variables.
    """
    like = options.get("like")
    found = open_variables(path, like)
    if like is not None and Path(like) not in found.files:
        idle = f"--like {like} is idle: {path} is {found.kind}, which names its variables itself"
        found = replace(found, notes=(*found.notes, idle))
    if options.get("ema"):
        found = with_averages(found)
    if options.get("prefix"):
        found = with_prefix(found, options["prefix"])
    return found


def shape_of(shape: Shape) -> str:
    """A shape for people."""
    return "×".join(map(str, shape)) or "scalar"
