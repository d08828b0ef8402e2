"""`make faults`: proof that the parity tests can fail.

    python tests/plant_faults.py [--only TEXT]

Plants one fault at a time in a copy of the sources, runs the tests that should notice, and writes
the table `docs/faults.md`. A fault that no test notices is an error. Real Caffe is needed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from network_faults import NETWORK_FAULTS

REPOSITORY = Path(__file__).resolve().parent.parent
TABLE = REPOSITORY / "docs" / "faults.md"
COPIED = ("common", "caffe2tf", "tf2caffe", "tests", "mappings", "examples", "pyproject.toml")


class Fault(NamedTuple):
    """One mistake: in `file`, `old` (which occurs once) becomes `new`; `tests` should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


_BUILD, _RULES = "caffe2tf/layers", "common/tfcaffe/layers"
_CONVOLUTION = "test_parity_convolution.py"

FAULTS = (
    Fault(
        "convolution padded by one pixel more",
        f"{_BUILD}/convolution.py",
        'x, padding = padded(site, x, [(p, p) for p in g.pad]), "valid"\n    return',
        'x, padding = padded(site, x, [(p + 1, p - 1) for p in g.pad]), "valid"\n    return',
        _CONVOLUTION,
    ),
    Fault(
        "SAME taken where TensorFlow pads unevenly",
        f"{_BUILD}/convolution.py",
        "if total != 2 * pad:",
        "if total // 2 > pad:",
        _CONVOLUTION,
    ),
    Fault(
        "kernel height and width swapped",
        f"{_RULES}/convolution.py",
        'layout = Pattern(f"{axes} i o -> o i {axes}")',
        'layout = Pattern(f"{axes} i o -> o i {axes}" if len(set(kernel)) > 1 or axes != "h w" '
        'else "w h i o -> o i h w")',
        _CONVOLUTION,
    ),
    Fault(
        "stride height and width swapped",
        "common/tfcaffe/geometry.py",
        'return (getattr(options, f"{stem}_h"), getattr(options, f"{stem}_w"))\n    if not values',
        'return (getattr(options, f"{stem}_w"), getattr(options, f"{stem}_h"))\n    if not values',
        _CONVOLUTION,
    ),
    Fault(
        "order of the groups of a depthwise kernel",
        f"{_RULES}/convolution.py",
        "{axes} c m -> (c m) 1 {axes}",
        "{axes} c m -> (m c) 1 {axes}",
        _CONVOLUTION,
    ),
    Fault(
        "order of the groups in plain ops",
        f"{_BUILD}/convolution.py",
        "kernels = np.split(weights, chunks, axis=-1)",
        "kernels = np.split(weights, chunks, axis=-1)[::-1]",
        _CONVOLUTION,
    ),
    Fault(
        "bias of a convolution lost",
        f"{_BUILD}/convolution.py",
        'return {"bias": site.weight("bias")} if site.has("bias") else {}',
        'return {"bias": site.weight("bias") * 0} if site.has("bias") else {}',
        _CONVOLUTION,
    ),
    Fault(
        "grouped deconvolution's kernel not turned round",
        f"{_BUILD}/convolution.py",
        "turned = np.flip(values, tuple(range(2, rank + 2)))",
        "turned = values",
        "test_parity_deconvolution.py",
    ),
    Fault(
        "deconvolution cropped at the far end only",
        f"{_BUILD}/convolution.py",
        "(p, p + max(s - k, 0)) for",
        "(0, 2 * p + max(s - k, 0)) for",
        "test_parity_deconvolution.py",
    ),
    Fault(
        "pooling rounds down",
        f"{_RULES}/pooling.py",
        "pooled = -(-span // stride) + 1 if ceil else span // stride + 1",
        "pooled = span // stride + 1",
        "test_parity_pooling.py",
    ),
    Fault(
        "last pooling window never dropped",
        f"{_RULES}/pooling.py",
        "if clip and (pooled - 1) * stride >= size + pad:",
        "if False:",
        "test_parity_pooling.py",
    ),
    Fault(
        "maximum over zeros in the pads",
        f"{_BUILD}/pooling.py",
        "_LOWEST = -3.4028234663852886e38",
        "_LOWEST = 0.0",
        "test_parity_pooling.py",
    ),
    Fault(
        "average's divisor counts what lies beyond the pads",
        f"{_BUILD}/pooling.py",
        "if all(axis.whole for axis in axes):",
        "if True:",
        "test_parity_pooling.py",
    ),
    Fault(
        "average's divisor leaves the pads out",
        f"{_BUILD}/pooling.py",
        "all(axis.same for axis in axes) and not any(pad):",
        "all(axis.same for axis in axes):",
        "test_parity_pooling.py",
    ),
    Fault(
        "flatten order of an inner product",
        f"{_RULES}/inner_product.py",
        'layout = Pattern(f"({tf}) o -> o ({caffe})", sizes)',
        'layout = Pattern(f"({caffe}) o -> o ({caffe})", sizes)',
        "test_parity_inner_product.py",
    ),
    Fault(
        "transposed inner product read as it is not",
        f"{_RULES}/inner_product.py",
        "if options.transpose:",
        "if options.transpose and inputs != options.num_output:",
        "test_parity_inner_product.py",
    ),
    Fault(
        "BatchNorm's factor ignored",
        f"{_RULES}/normalisation.py",
        "scale = np.float32(0 if factor[0] == 0 else 1 / np.float32(factor[0]))",
        "scale = np.float32(1)",
        "test_parity_normalisation.py",
    ),
    Fault(
        "BatchNorm's eps left at its default",
        f"{_BUILD}/normalisation.py",
        "epsilon=site.options.eps",
        "epsilon=1e-5",
        "test_parity_normalisation.py",
    ),
    Fault(
        "LRN's alpha not divided by the window",
        f"{_BUILD}/normalisation.py",
        "scale, offset = options.alpha / size, options.k",
        "scale, offset = options.alpha, options.k",
        "test_parity_normalisation.py",
    ),
    Fault(
        "LRN's k ignored",
        f"{_BUILD}/normalisation.py",
        "scale, offset = options.alpha / size, options.k",
        "scale, offset = options.alpha / size, 1.0",
        "test_parity_normalisation.py",
    ),
    Fault(
        "MVN's eps inside the root",
        f"{_BUILD}/normalisation.py",
        'deviation = site.add("Rescaling", deviation, scale=1.0, offset=options.eps)',
        'deviation = site.add("Rescaling", variance, scale=1.0, offset=options.eps)\n'
        "    deviation = site.op(site.ops.sqrt, deviation)",
        "test_parity_normalisation.py",
    ),
    Fault(
        "Scale broadcast from the wrong axis",
        f"{_BUILD}/scale.py",
        "dims = [d for d, (axis,) in enumerate(data.dims) if first <= axis < end]",
        "dims = list(range(first, end))",
        "test_parity_scale.py",
    ),
    Fault(
        "an Eltwise coefficient dropped",
        f"{_BUILD}/eltwise.py",
        'x if c == 1 else site.add("Rescaling", x, scale=c)',
        "x if c else x",
        "test_parity_eltwise.py",
    ),
    Fault(
        "Subtract the other way round",
        f"{_BUILD}/eltwise.py",
        'return site.add("Subtract", *bottoms)',
        'return site.add("Subtract", *bottoms[::-1])',
        "test_parity_eltwise.py",
    ),
    Fault(
        "leaky ReLU without its slope",
        f"{_BUILD}/activation.py",
        'return site.add("ReLU", bottoms[0], negative_slope=slope)',
        'return site.add("ReLU", bottoms[0])',
        "test_parity_activation.py",
    ),
    Fault(
        "Power's shift after the scale is lost",
        f"{_BUILD}/activation.py",
        "x = _linear(site, bottoms[0], scale, shift)\n    return x if exponent == 1",
        "x = _linear(site, bottoms[0], scale, 0.0)\n    return x if exponent == 1",
        "test_parity_activation.py",
    ),
    Fault(
        "Softmax along Caffe's axis number in TensorFlow's layout",
        f"{_BUILD}/axes.py",
        'return site.add("Softmax", bottoms[0], axis=site.bottom.dim(axis))',
        'return site.add("Softmax", bottoms[0], axis=axis)',
        "test_parity_axes.py",
    ),
    Fault(
        "Concat's bottoms in another order",
        f"{_BUILD}/axes.py",
        'return site.add("Concatenate", *bottoms, axis=site.bottom.dim(axis))',
        'return site.add("Concatenate", *bottoms[::-1], axis=site.bottom.dim(axis))',
        "test_parity_axes.py",
    ),
    Fault(
        "ArgMax's first index among equals",
        f"{_BUILD}/axes.py",
        "turned = site.op(site.ops.flip, x, axis=-1)\n    values, found = site.op(site.ops.top_k, "
        "turned, k)",
        "values, found = site.op(site.ops.top_k, x, k)\n    found = site.op(site.ops.subtract, "
        "size - 1, found)",
        "test_parity_axes.py",
    ),
    Fault(
        "crop from the corner, whatever the offset",
        f"{_BUILD}/shape.py",
        "cuts[bottom.dim(axis)] = (offset, have - want - offset)",
        "cuts[bottom.dim(axis)] = (0, have - want)",
        "test_parity_shape.py",
    ),
    Fault(
        "reshape in TensorFlow's order",
        f"{_RULES}/shape.py",
        "return Layouts((before,), (after,))",
        "return Layouts((bottoms[0],), (Layout.natural(tops[0]),))",
        "test_parity_shape.py",
    ),
    Fault(
        "PReLU's slopes along another dimension",
        f"{_BUILD}/activation.py",
        "shared_axes=[d for d in dims if d != channel]",
        "shared_axes=[d for d in dims if d != 1]",
        "test_parity_activation.py",
    ),
    Fault(
        "a mean folded into the bias of a padded convolution",
        "caffe2tf/fold.py",
        " and not any(geometry.pad) else None",
        " else None",
        "test_fold.py",
    ),
    Fault(
        "a folded mean added",
        "caffe2tf/fold.py",
        'blobs["bias"] - (per_input',
        'blobs["bias"] + (per_input',
        "test_fold.py",
    ),
    Fault(
        "the statistics of the batch over the channels",
        "caffe2tf/layers/normalisation.py",
        "if d != site.bottom.dim(1))",
        "if d != site.bottom.dim(0))",
        "test_parity_normalisation.py",
    ),
)


FAULTS += tuple(Fault(*entry) for entry in NETWORK_FAULTS)


def run(fault: Fault) -> str | None:
    """The first test that noticed, if any did."""
    with tempfile.TemporaryDirectory(prefix="tfcaffe-fault-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, tree / name)
        file = tree / fault.file
        text = file.read_text(encoding="utf-8")
        if text.count(fault.old) != 1:
            raise SystemExit(
                f"{fault.name}: its place occurs {text.count(fault.old)} times in {fault.file}; "
                "mend the table"
            )
        file.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        answer = _pytest(tree, fault.tests)
    failed = re.findall(r"^FAILED \S*::(\S+)", answer.stdout, re.MULTILINE)
    return failed[0] if answer.returncode == 1 and failed else None


def _pytest(tree: Path, tests: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(map(str, (tree, tree / "common")))
    caffe = REPOSITORY / ".pycaffe" / "python"
    environment = {"CAFFE_PYTHON": str(caffe), **os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "-q", "--maxfail=3", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--tb=no", f"tests/{tests}" if "/" in tests else f"tests/caffe2tf/{tests}"],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> None:
    """Plant all faults and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="faults whose name has this text")
    only = parser.parse_args().only
    lines = [
        "# Planted faults",
        "",
        "`make faults` plants each of these mistakes in a copy of the sources, one at a time, and",
        "runs the tests of its layer family or op against real Caffe. Each turns them red.",
        "",
        "| fault | in | first test that noticed |",
        "|---|---|---|",
    ]
    missed = 0
    for fault in FAULTS:
        if only in fault.name:
            first = run(fault)
            missed += first is None
            lines.append(f"| {fault.name} | `{fault.file}` | `{first}` |")
            print(f"{fault.name}: noticed by {first}", flush=True)
    if missed:
        sys.exit(f"{missed} faults that no test noticed")
    if not only:
        TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"wrote {TABLE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
