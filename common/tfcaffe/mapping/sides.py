"""Both sides of a mapping, read from files: the net's plan and the variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from tfcaffe.load import load_net
from tfcaffe.mapping.mapping_file import MappingFile, load_mapping
from tfcaffe.mapping.resolve import Resolved, resolve
from tfcaffe.plan import Plan, make_plan
from tfcaffe.plugins import load_plugins
from tfcaffe.variables.base import Shape, Variables
from tfcaffe.variables.files import open_variables
from tfcaffe.variables.roles import with_averages, with_prefix

AnyPath = str | PathLike[str]


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
        apart = [name for name, variable in entries.items() if variable.role]
        return resolve(self.mapping, self.plan, shapes, apart=apart, partial=partial)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided while reading."""
        return (*self.plan.net.notes, *(self.variables.notes if self.variables else ()))


def read_sides(
    mapping: AnyPath,
    net: AnyPath,
    variables: AnyPath | None = None,
    *,
    like: AnyPath | None = None,
    prefix: str = "",
    ema: bool = False,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
) -> Sides:
    """Read all that a mapping is about; no numbers yet.

    Args:
        mapping: a file, or the name of a shipped mapping.
        net: the prototxt.
        variables: a checkpoint or another file of variables.
        like: a `.keras` of the same model, which names the variables of a `.weights.h5`.
        prefix: only the variables below this scope, named without it.
        ema: the numbers of the moving averages, where there are some.

    Raises:
        ConversionError: one of them is missing, damaged or wrong.
    """
    read = load_mapping(str(mapping))
    load_plugins([Path(path) for path in plugin])
    protos = [Path(path) for path in proto]
    plan = make_plan(load_net(net, phase=phase, level=level, stages=stage, protos=protos))
    found = None if variables is None else open_variables(variables, like)
    return Sides(read, plan, None if found is None else adapted(found, prefix, ema))


def adapted(variables: Variables, prefix: str, ema: bool) -> Variables:
    """`--prefix` and `--ema`."""
    if ema:
        variables = with_averages(variables)
    return with_prefix(variables, prefix) if prefix else variables


def shape_of(shape: Shape) -> str:
    """A shape for people."""
    return "×".join(map(str, shape)) or "scalar"
