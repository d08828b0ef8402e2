"""The conversion as two functions: to files, and to a Keras model in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from caffe2tf import formats
from caffe2tf.build import build
from caffe2tf.source import AnyPath, read_source
from tfcaffe.errors import OutputError, naming
from tfcaffe.output import check_writable, replacing_all

log = logging.getLogger("caffe2tf")


def convert(
    net: AnyPath,
    weights: AnyPath | None,
    output: AnyPath | Sequence[AnyPath],
    *,
    to: str | None = None,
    overwrite: bool = False,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | str | None = None,
    outputs: Sequence[str] = (),
    mean: AnyPath | Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: Literal["bgr", "rgb"] | None = None,
    keep_scale: bool = False,
    weight_decay: float | None = None,
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
) -> list[str]:
    """Write a Caffe net as TensorFlow files.

    Args:
        net: the prototxt, of any generation; `-` for the net that the caffemodel carries.
        weights: `.caffemodel` or Caffe's `.h5`; None writes the architecture with its fillers as
            initialisers.
        output: a path, or several for several outputs of one run. Its suffix says the format.
        to: the format, over what the suffix says (`caffe2tf.formats.names()`).
        overwrite: whether outputs that exist may be replaced.
        phase, level, stage and all others: see `load`.

    Returns:
        Notes on what was decided, for people.

    Raises:
        ConversionError: with the layer, the field and the way out; nothing is written then.
    """
    paths = [output] if isinstance(output, str | PathLike) else list(output)
    targets = [formats.Target(Path(path), formats.find(Path(path), to)) for path in paths]
    files = [path for target in targets for path in target.files]
    directories = [target.path for target in targets if target.format.directory]
    for path in files:
        check_writable(path, overwrite, directory=path in directories)
    _spare_inputs(files, [net, weights, mean, *proto, *plugin])
    source = read_source(
        net,
        weights,
        phase=phase,
        level=level,
        stage=stage,
        input_shape=input_shape,
        batch=batch,
        outputs=outputs,
        mean=mean,
        scale=scale,
        channel_order=channel_order,
        keep_scale=keep_scale,
        weight_decay=weight_decay,
        proto=proto,
        plugin=plugin,
    )
    with replacing_all(files, overwrite, directories=directories) as places:
        with naming(source.plan.net.path):
            notes = formats.write(source, targets, places)
        if source.weights is not None and not source.weights.unchanged():
            raise OutputError(f"{source.weights.path} changed while it was read; nothing written")
    return [*source.notes, *notes]


def _spare_inputs(outputs: Sequence[Path], inputs: Sequence[Any]) -> None:
    """Refuse an output that would overwrite what it is made from, however it is spelled."""
    sources = [source for source in inputs if isinstance(source, str | PathLike)]
    for path in filter(os.path.exists, outputs):
        for source in filter(os.path.exists, sources):
            if path.samefile(source):
                raise OutputError(f"{path}: is also an input; name another output")


def load(
    net: AnyPath,
    weights: AnyPath | None = None,
    *,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stage: Sequence[str] = (),
    input_shape: Mapping[str, Sequence[int | None]] | None = None,
    batch: int | str | None = None,
    outputs: Sequence[str] = (),
    mean: AnyPath | Sequence[float] | None = None,
    scale: float | None = None,
    channel_order: Literal["bgr", "rgb"] | None = None,
    keep_scale: bool = False,
    weight_decay: float | None = None,
    proto: Sequence[AnyPath] = (),
    plugin: Sequence[AnyPath] = (),
) -> Any:
    """The Keras model of a Caffe net, in memory.

    Args:
        net, weights: as for `convert`.
        phase, level, stage: whose layers, by the net's include and exclude rules.
        input_shape: Caffe's shape of input blobs by name, None for a size that stays free.
        batch: a number, or "any"; left out, free where the net allows.
        outputs: blobs to cut the net at.
        mean: built in: a file or one number per channel, in Caffe's channel order; subtracted.
        scale: built in: a factor after the mean.
        channel_order: built in: what the model is fed.
        keep_scale: a Scale stays apart from its BatchNorm.
        weight_decay: the solver's, which becomes L2 regularisers.
        proto: `.proto` files with a forked Caffe's fields.
        plugin: Python files with layer types of one's own.

    Raises:
        ConversionError: with the layer, the field and the way out.
    """
    source = read_source(
        net,
        weights,
        phase=phase,
        level=level,
        stage=stage,
        input_shape=input_shape,
        batch=batch,
        outputs=outputs,
        mean=mean,
        scale=scale,
        channel_order=channel_order,
        keep_scale=keep_scale,
        weight_decay=weight_decay,
        proto=proto,
        plugin=plugin,
    )
    with naming(source.plan.net.path):
        built = build(source)
    for note in (*source.notes, *built.notes):
        log.info(note)
    return built.model
