"""Mappings, nets and files of variables that are wrong: each is told by its place."""

from __future__ import annotations

import re

import numpy as np
import pytest

from desk import CHECK, FILL, MAPPING, Desk

BAD_FILES = {
    "unknown key": (("net: ours", "nett: ours"), 2, "'nett' is no key.*did you mean 'net'"),
    "unknown word of a role": (("fc/b}", "{varable: a}}"), 8, "did you mean 'variable'"),
    "unknown role": (("bias: fc/b", "bais: fc/b"), 8, "no blob 'bais'; it has weights, bias"),
    "unknown layer": (("  fc:", "  fcc:"), 8, "no layer with weights is called 'fcc'.*fc"),
    "a variable used twice": (("bias: fc/b", "bias: k/b"), 8, "k/b stands for conv.bias"),
    "wrong rank": (("weights: fc/w", "weights: d/w"), 8, r"\[3, 2, 4, 2\], wanted is \[200, 5\]"),
    "wrong shape": (("bias: fc/b", "bias: bn/beta"), 8, r"\[4\], wanted is \[5\]"),
    "alias": (("net: ours", "net: &a ours"), 2, "anchors and aliases"),
    "bomb": (("net: ours", "x: &a [1, 1]\ny: [*a, *a]"), 2, "anchors and aliases"),
    "tag": (("net: ours", "net: !!python/object/apply:os.system [x]"), 2, "tag"),
    "duplicate key": (("layers:", "net: again\nlayers:"), 3, "line 2 already"),
    "layout": (("bias: fc/b", "bias: {variable: fc/b, layout: HWIO}"), 8, "layout 'HWIO'"),
    "layout of a kernel": (("k/w", "{variable: k/w, layout: HWIX}"), 4, "layout 'HWIX'"),
    "deep": (("net: ours", "net: " + "[" * 50 + "]" * 50), 2, "nested deeper"),
    "recurrent": (("k/w", "{variable: k/w, part: input}"), 4, "recurrent layers"),
    "no version": (("mapping: 1", "mapping: 2"), 1, "mapping: 1"),
}


@pytest.mark.parametrize(("change", "line", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_mapping(desk: Desk, change: tuple[str, str], line: int, words: str) -> None:
    """One message with file and line; nothing is written."""
    assert change[0] in MAPPING
    desk.write("map.yaml", MAPPING.replace(*change, 1))
    before = desk.files
    said = desk(FILL)
    assert said.code == 2 and said.err.count("error:") == 1
    assert re.search(rf"map\.yaml:{line}:\d+: .*{words}", said.err), said.err
    assert desk.files == before
    assert desk(CHECK).code in (1, 2)


def test_a_mapping_for_another_net(desk: Desk) -> None:
    said = desk(FILL.replace("map.yaml", "lenet_caffe_tensorflow"))
    assert said.code == 2
    assert "lenet_caffe_tensorflow.yaml: does not fit net.prototxt" in said.err
    assert "no entry for bn.mean [4]" in said.err
    assert "net.caffemodel" not in desk.files


def test_broken_checkpoints(desk: Desk) -> None:
    assert desk(FILL).code == 0
    assert desk.back("--mapping map.yaml -o vars.ckpt").code == 0
    (desk.folder / "net.caffemodel").unlink()
    fill = FILL.replace("vars.npz", "vars.ckpt")
    assert desk(fill.replace("net.caffemodel", "good.caffemodel")).code == 0
    index, shard = desk.folder / "vars.ckpt.index", desk.folder / "vars.ckpt.data-00000-of-00001"
    whole = index.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:40] + b"\xff" * 8 + whole[48:], b""):
        index.write_bytes(broken)
        said = desk(fill)
        assert said.code == 2 and "vars.ckpt" in said.err and said.err.count("error:") == 1
        assert "internal error" not in said.err
    index.write_bytes(whole)
    shard.unlink()
    said = desk(fill)
    assert said.code == 2 and "vars.ckpt" in said.err and "internal error" not in said.err
    assert "net.caffemodel" not in desk.files


def test_a_hostile_pickle(desk: Desk) -> None:
    """It is told what it would have run, and nothing is run."""
    code = b"\x80\x02cos\nsystem\nX\x0a\x00\x00\x00touch deed\x85R."
    header = np.lib.format
    with (desk.folder / "vars.npy").open("wb") as file:
        about = {"descr": "|O", "fortran_order": False, "shape": ()}
        header.write_array_header_1_0(file, about)
        file.write(code)
    said = desk(FILL.replace("vars.npz", "vars.npy"))
    assert said.code == 2 and "vars.npy" in said.err and "system" in said.err
    assert not {"deed", "net.caffemodel"} & desk.files.keys()
