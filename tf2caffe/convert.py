"""`tf2caffe.convert`: TensorFlow's numbers become a caffemodel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tf2caffe.fill import AnyPath, fill
from tfcaffe.errors import UsageError


def convert(
    source: AnyPath,
    output: AnyPath,
    *,
    prototxt: AnyPath | None = None,
    mapping: AnyPath | None = None,
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
    """Fill a prototxt with the numbers of a checkpoint, by a mapping.

    Args: see `tf2caffe.fill.fill`.

    Returns:
        Notes on what was decided, for people.

    Raises:
        UsageError: no prototxt or mapping is given: whole networks cannot be converted yet.
        ConversionError: with the file and line; nothing is written then.
    """
    if prototxt is None or mapping is None:
        raise UsageError(
            "give --prototxt NET.prototxt and --mapping MAP: whole networks are not converted yet"
        )
    return fill(
        source,
        output,
        prototxt=prototxt,
        mapping=mapping,
        base=base,
        like=like,
        prefix=prefix,
        ema=ema,
        phase=phase,
        level=level,
        stage=stage,
        proto=proto,
        plugin=plugin,
        overwrite=overwrite,
    )
