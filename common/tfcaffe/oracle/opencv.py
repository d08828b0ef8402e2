"""OpenCV's Caffe importer, run in a process of its own: the second, independent reader."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from numpy.typing import ArrayLike

from tfcaffe.errors import RuntimeMissingError
from tfcaffe.oracle.process import Worker
from tfcaffe.oracle.records import Run
from tfcaffe.oracle.transport import load_run, save_arrays

WORKER = Path(__file__).with_name("opencv_worker.py")
WAY_OUT = "pip install 'opencv-python-headless>=4.10,<5'"


class OpenCV:
    """A running OpenCV 4; a net that kills it costs an error and a new process, no more.

    It reads the prototxt's TEST phase only, knows no level, stages or HDF5 weights, and names
    layers but no blobs: in its records `bottoms` and `tops` are empty and `outputs` are layer
    names. A repeated layer name gets a suffix. Input layers have no record. Layers are not
    fused: an in-place layer and the layer before it have a record and values of their own. A blob
    of one axis comes back as a column (N, 1); a max pooling has a second array, its mask.

    Args:
        timeout: seconds that one job may take.

    Raises:
        RuntimeMissingError: there is no OpenCV 4.10 or later 4.x in this environment.
    """

    def __init__(self, timeout: float = 600.0) -> None:
        self._timeout = timeout
        self._worker = Worker("OpenCV", [sys.executable, str(WORKER)], {})
        try:
            self.version: str = self._worker.hello()["version"]
        except RuntimeMissingError as error:
            raise RuntimeMissingError(f"OpenCV is not installed ({WAY_OUT}): {error}") from error
        major, minor = (int(part) for part in self.version.split(".")[:2])
        if major != 4 or minor < 10:
            self.close()
            raise RuntimeMissingError(
                f"OpenCV {self.version} will not do, its Caffe importer is used from 4.10 up to "
                f"the last 4.x: {WAY_OUT}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._worker.close()

    def run(
        self,
        net: Path,
        weights: Path | None = None,
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> Run:
        """A forward pass; every layer's outputs, in OpenCV's order.

        Args:
            net: the prototxt.
            weights: a .caffemodel.
            inputs: blob name -> array in Caffe's layout, every input of the net.

        Raises:
            OracleError: OpenCV refuses the net or the inputs, dies or is too slow.
            RuntimeMissingError: OpenCV cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="tfcaffe-") as folder:
            job = {
                "net": str(net.absolute()),
                "weights": None if weights is None else str(weights.absolute()),
                "inputs": save_arrays(inputs or {}, Path(folder), "input"),
                "folder": folder,
            }
            return load_run(self._worker.ask(job, str(net), self._timeout))
