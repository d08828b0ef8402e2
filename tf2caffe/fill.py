"""Variables into the blobs of a prototxt that the user already has, by a mapping."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from tfcaffe.bind import bind
from tfcaffe.errors import OutputError
from tfcaffe.files import caffemodel
from tfcaffe.input import FileIdentity
from tfcaffe.load import load_weights
from tfcaffe.mapping.apply import to_layers
from tfcaffe.mapping.sides import read_sides
from tfcaffe.output import check_writable

AnyPath = str | PathLike[str]


def fill(
    checkpoint: AnyPath,
    output: AnyPath,
    *,
    prototxt: AnyPath,
    mapping: AnyPath,
    base: AnyPath | None = None,
    like: AnyPath | None = None,
    prefix: str = "",
    ema: bool = False,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
    overwrite: bool = False,
) -> list[str]:
    """Write a `.caffemodel` with a checkpoint's numbers.

    Args:
        checkpoint: a TF1 or TF2 checkpoint's prefix, `.keras`, Keras's `.h5`, a SavedModel, `.npz`.
        output: the caffemodel to be.
        prototxt: the net that it is for.
        mapping: a file, or the name of a shipped mapping.
        base: a caffemodel whose numbers stay where the mapping says nothing.
        like, prefix, ema: how variables are named and chosen, see `read_sides`.
        phase, level, stage: whose layers, by the net's include and exclude rules.
        proto, plugin: forked layers' fields and types.
        overwrite: whether an output that exists may be replaced.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the file and line; nothing is written then.
    """
    output = Path(output)
    check_writable(output, overwrite)
    sides = read_sides(
        mapping,
        prototxt,
        checkpoint,
        like=like,
        prefix=prefix,
        ema=ema,
        phase=phase,
        level=level,
        stage=stage,
        proto=proto,
        plugin=plugin,
    )
    assert sides.variables is not None
    inputs = [FileIdentity.of(path) for path in sides.variables.files]
    notes = list(sides.notes)
    old = None
    if base is not None:
        old = bind(sides.plan, load_weights(base))
        notes += old.notes
    resolved = sides.resolved(partial=base is not None)
    resolved.check()
    if resolved.lone_blobs or resolved.left_blobs:
        kept = [str(blob) for blob in (*resolved.lone_blobs, *resolved.left_blobs)]
        notes.append(f"{len(kept)} blobs keep what {base} has: {', '.join(kept[:5])}")
    layers = to_layers(resolved, sides.variables.entries, old)
    caffemodel.write(output, layers, net_name=sides.plan.net.name, overwrite=overwrite)
    for identity in inputs:
        if not identity.unchanged():
            output.unlink(missing_ok=True)
            raise OutputError(f"{identity.path} changed while it was read; nothing written")
    return notes
