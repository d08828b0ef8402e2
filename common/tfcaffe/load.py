"""From files to a wired net: the way in that all commands share."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

from tfcaffe import net as nets
from tfcaffe.errors import FileFormatError, NetError, UsageError
from tfcaffe.files import caffe_hdf5, caffemodel, phases, prototxt, schema
from tfcaffe.files.file_kind import FileKind, file_kind, is_hdf5
from tfcaffe.files.weights import Weights
from tfcaffe.net import Net

CARRIED = "-"  # in place of a prototxt: the net that the caffemodel carries


def load_net(
    net: str | PathLike[str],
    weights: str | PathLike[str] | None = None,
    *,
    phase: Literal["TEST", "TRAIN"] = "TEST",
    level: int = 0,
    stages: Sequence[str] = (),
    protos: Sequence[Path] = (),
) -> Net:
    """The net of a prototxt for one phase, or (`-`) the one that a caffemodel carries.

    Raises:
        FileFormatError, NetError: see `prototxt.read`.
        UnsupportedError: a carried net with fields that forks disagree on.
        UsageError: `-` without weights; a file of another kind.
    """
    if str(net) == CARRIED:
        if weights is None:
            raise UsageError("`-` stands for the net in a caffemodel: name the caffemodel, too")
        from tfcaffe.files.carried_net import carried_net

        message = carried_net(Path(weights))
        try:  # Caffe filters before it saves, but keeps the rules: most often for TRAIN
            return nets.from_message(message, path=str(weights))
        except NetError:
            message = phases.filter_net(message, phase, level, stages)
            return nets.from_message(message, path=str(weights))
    kind = file_kind(Path(net))
    if kind is FileKind.TENSORFLOW:
        raise UsageError(f"{net}: is a TensorFlow file, where the Caffe net's prototxt is wanted")
    if kind is FileKind.WEIGHTS:
        raise UsageError(
            f"{net}: is binary, as weights are, where the net's prototxt is wanted; the weights "
            "come second, and `-` before them stands for the net that a caffemodel carries"
        )
    file = prototxt.read(Path(net), schema=schema.load(tuple(protos)))
    kept = phases.filter_file(file, phase, level, stages)
    if not kept.net.layer:
        state = ", ".join([f"phase {phase}", f"level {level}", *(f"stage {s}" for s in stages)])
        raise FileFormatError(
            f"{net}: no layer is left in {state}; its include and exclude rules choose by --phase, "
            "--level and --stage"
        )
    left_out = [nets.layer_of(*entry) for entry in phases.left_out(file, kept)]
    notes = [*kept.notes, *phases.unheard(file.net, level, stages)]
    return nets.from_message(kept.net, kept.lines, str(net), notes, left_out)


def load_weights(path: str | PathLike[str]) -> Weights:
    """The weights of a `.caffemodel` or a Caffe `.h5`, told apart by content.

    Raises:
        UsageError: there is no such file; it is one of TensorFlow's.
        FileFormatError: it is neither, or is damaged.
    """
    path = Path(path)
    if file_kind(path) is FileKind.TENSORFLOW:
        raise UsageError(
            f"{path}: is a TensorFlow file, where Caffe's weights (.caffemodel or .h5) are wanted"
        )
    return caffe_hdf5.read(path) if is_hdf5(path) else caffemodel.read(path)
