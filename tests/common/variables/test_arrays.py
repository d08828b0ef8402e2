"""`.npz`, and the `.npy` of older converters: arrays and containers, and nothing else."""

import collections
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tfcaffe.errors import FileFormatError, UsageError, WeightsError
from tfcaffe.variables.files import open_variables, write_variables

KERNEL = np.random.default_rng(2).standard_normal((3, 2, 4)).astype(np.float32)
ARRAYS = {
    "conv/weights": KERNEL,
    "conv/fortran": np.asfortranarray(KERNEL),
    "big": KERNEL.astype(">f4"),
    "double:0": KERNEL.astype(np.float64),
    "nothing": np.zeros((0, 3), np.float32),
    "global_step": np.int64(3),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(save: Any, tmp_path: Path) -> None:
    save(tmp_path / "m.npz", **ARRAYS, text=np.array(["a"]))
    found = open_variables(tmp_path / "m.npz")
    assert found.kind == "a NumPy archive"
    assert list(found.entries) == [name.removesuffix(":0") for name in ARRAYS]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.entries[name.removesuffix(":0")].read(), array)
    assert found.entries["global_step"].role == "counter"
    assert any("text.npy: no numbers" in note for note in found.notes)
    assert any("double: float64" in note for note in found.notes)


def test_stored_members_are_views_of_the_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", **ARRAYS)
    array = open_variables(tmp_path / "m.npz").entries["conv/weights"].read()
    assert array.base is not None
    assert not array.flags.writeable


def test_too_large_for_float32(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", kernel=np.array([1e300]))
    with pytest.raises(WeightsError, match=r"'kernel'.*too large"):
        open_variables(tmp_path / "m.npz").entries["kernel"].floats()


def expect_refusal(path: Path, match: str) -> None:
    with pytest.raises(FileFormatError, match=match):
        for variable in open_variables(path).entries.values():
            variable.read()


def npy(array: Any, **changes: Any) -> bytes:
    """An array as `.npy`, whose header says something else."""
    stream = io.BytesIO()
    about = np.lib.format.header_data_from_array_1_0(np.asarray(array)) | changes
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue() + np.asarray(array).tobytes()


BAD_MEMBERS = {
    "no array": ("a.txt", b"text", "is no array"),
    "no name": (".npy", npy(KERNEL), "is no array"),
    "no header": ("a.npy", b"\x93NUMPY", "no sound"),
    "huge": ("a.npy", npy(KERNEL, shape=(1 << 40, 1 << 40)), "claims"),
    "negative": ("a.npy", npy(KERNEL, shape=(-3, 2, 4)), "cannot be|claims"),
    "short": ("a.npy", npy(KERNEL)[:-4], "claims"),
    "code": ("a.npy", npy(KERNEL, descr="__import__('os')"), "no sound"),
    "objects": ("a.npy", npy(KERNEL, descr="|O"), "pickled objects"),
}


@pytest.mark.parametrize(("name", "data", "match"), BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_bad_members(name: str, data: bytes, match: str, how: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w", how) as archive:
        archive.writestr("good.npy", npy(KERNEL))
        archive.writestr(name, data)
    expect_refusal(tmp_path / "m.npz", match)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_bad_archives(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(KERNEL))
        archive.writestr("a.npy", npy(KERNEL))
    expect_refusal(path, "is there twice")
    np.savez(path, a=KERNEL)
    good = path.read_bytes()
    path.write_bytes(good[:-30])
    expect_refusal(path, "incomplete zip")
    path.write_bytes(good.replace(KERNEL.tobytes(), (KERNEL + 1).tobytes()))
    expect_refusal(path, "checksum|CRC")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a:0.npy", npy(KERNEL))
        archive.writestr("a.npy", npy(KERNEL))
    expect_refusal(path, "two variables are called 'a'")


def test_a_flipped_byte_never_gives_other_numbers(tmp_path: Path, rng: np.random.Generator) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "m.npz", kernel=KERNEL, bias=KERNEL[0])
        good = (tmp_path / "m.npz").read_bytes()
        refused = 0
        for at in rng.choice(len(good), 150, replace=False):
            (tmp_path / "m.npz").write_bytes(good[:at] + bytes([good[at] ^ 0x11]) + good[at + 1 :])
            try:
                entries = open_variables(tmp_path / "m.npz").entries
                arrays = [variable.read() for variable in entries.values()]
            except (FileFormatError, UsageError):
                refused += 1
            else:
                assert [array.tobytes() for array in arrays] == [
                    KERNEL.tobytes(),
                    KERNEL[0].tobytes(),
                ]
        assert refused > 100


LAYERS = {
    "conv-1": {"weights": KERNEL, "biases": KERNEL[0, 0]},
    "fc/6": {"weights": np.asfortranarray(KERNEL[0]), "biases": np.float32([2])},
}
LISTS = [[KERNEL, KERNEL[0, 0]], [], [KERNEL[1]]]


def pickled(path: Path, value: Any, protocol: int = 2) -> Path:
    """As np.save writes it, with a pickle of that protocol."""
    with path.open("wb") as stream:
        about = {"descr": "|O", "fortran_order": False, "shape": np.shape(value)[:1]}
        if isinstance(value, dict):
            about["shape"] = ()
        np.lib.format.write_array_header_1_0(stream, about)
        array: Any = np.empty(about["shape"], object)
        array[...] = value
        pickle.dump(array, stream, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_dictionaries(protocol: int, tmp_path: Path) -> None:
    for kind in (dict, collections.OrderedDict):
        path = pickled(tmp_path / "m.npy", kind(LAYERS), protocol)
        found = open_variables(path)
        assert {n: v.shape for n, v in found.entries.items()} == {
            "conv-1/weights": (3, 2, 4),
            "conv-1/biases": (4,),
            "fc/6/weights": (2, 4),
            "fc/6/biases": (1,),
        }
        np.testing.assert_array_equal(found.entries["conv-1/weights"].read(), KERNEL)
        np.testing.assert_array_equal(found.entries["fc/6/weights"].read(), KERNEL[0])


def test_as_numpy_saves_it(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.array(LAYERS, object))
    assert next(iter(open_variables(tmp_path / "d.npy").entries)) == "conv-1/weights"
    np.savez(tmp_path / "m.npz", layers=np.array(LAYERS, object))
    expect_refusal(tmp_path / "m.npz", "pickled objects")


@pytest.mark.parametrize("protocol", [2, 4])
def test_lists(protocol: int, tmp_path: Path) -> None:
    array = np.empty(3, object)
    array[:] = LISTS
    with (tmp_path / "m.npy").open("wb") as stream:
        about = {"descr": "|O", "fortran_order": False, "shape": (3,)}
        np.lib.format.write_array_header_1_0(stream, about)
        pickle.dump(array, stream, protocol=protocol)
    found = open_variables(tmp_path / "m.npy")
    assert list(found.entries) == ["0/0", "0/1", "2/0"]
    np.testing.assert_array_equal(found.entries["2/0"].read(), KERNEL[1])
    assert any("by their positions" in note for note in found.notes)


def python_2(array: np.ndarray) -> bytes:
    """An array as Python 2's cPickle writes it: its bytes are a string."""
    data = array.tobytes()
    size = b"U" + bytes([len(data)]) if len(data) < 256 else b"T" + struct.pack("<I", len(data))
    axes = b"(" + b"".join(b"K" + bytes([n]) for n in array.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01" + axes
        + b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        + b"J\xff\xff\xff\xffK\x00tb\x89" + size + data + b"tb"
    )  # fmt: skip


OBJECTS = (
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01)"
    b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]"
)


def raw(path: Path, code: bytes) -> Path:
    about = {"descr": "|O", "fortran_order": False, "shape": ()}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, about)
        stream.write(b"\x80\x02" + code)
    return path


@pytest.mark.parametrize("shape", [(3, 2, 4), (200, 9, 7)], ids=["short", "long"])
def test_python_2(shape: tuple[int, ...], tmp_path: Path, rng: np.random.Generator) -> None:
    array = rng.standard_normal(shape).astype(np.float32)
    code = OBJECTS + b"}U\x04conv}U\x07weights" + python_2(array) + b"ssatb."
    found = open_variables(raw(tmp_path / "m.npy", code))
    np.testing.assert_array_equal(found.entries["conv/weights"].read(), array)
    assert np.load(tmp_path / "m.npy", allow_pickle=True, encoding="latin1").item()["conv"]


@pytest.mark.parametrize("net", ["mtcnn_det1/det1.npy", "mtcnn_det2/det2.npy"])
def test_corpus(corpus: Path, net: str) -> None:
    path = corpus / "models" / net
    if not path.is_file():
        pytest.skip("not in this corpus")
    expected = np.load(path, allow_pickle=True, encoding="latin1").item()
    entries = open_variables(path).entries
    assert len(entries) == sum(map(len, expected.values()))
    for layer, roles in expected.items():
        for role, array in roles.items():
            np.testing.assert_array_equal(entries[f"{layer}/{role}"].read(), array)


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_hostile_pickle_runs_nothing(protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "made"
    for value in ({"conv": {"weights": Hostile(target)}}, {"conv": [KERNEL, Hostile(target)]}):
        path = pickled(tmp_path / "m.npy", value, protocol)
        expect_refusal(path, "posix.mkdir, which could run code; nothing of it was run")
        assert not target.exists()
    np.load(path, allow_pickle=True)
    assert target.exists()


HOSTILE = {
    "a builtin": (b"c__builtin__\neval\nU\x011\x85R.", "eval"),
    "an attribute of numpy": (b"cnumpy\nsave\n.", "numpy.save"),
    "numpy's loader": (b"cnumpy.core.multiarray\nfromfile\n.", "fromfile"),
    "an array of nothing": (b"cnumpy\nndarray\n)R.", "makes no array"),
    "an instance": (b"(icollections\nOrderedDict\n.", "instruction"),
    "a new object": (b"cnumpy\nndarray\n)\x81.", "instruction"),
    "a far memo": (b"Nr\xff\xff\xff\x7f0.", "instruction"),
    "too short": (b"]", "too early"),
    "no end of a name": (b"c" + b"a" * 10_000, "without an end"),
    "huge data": (b"T\xff\xff\xff\x7f", "too early"),
    "empty stack": (b"R.", "too little"),
    "no mark": (b"t.", "pop from empty"),
    "itself": (b"]q\x00h\x00a.", "each other without end"),
    "a type of objects in numbers": (OBJECTS + b"cnumpy\ndtype\nU\x02V8K\x00K\x01\x87Ratb.", "V8"),
    "a text": (OBJECTS + b"}U\x01aU\x01bsatb.", "is no array"),
    "a list as a key": (b"}]Ns.", "no name"),
}


@pytest.mark.parametrize(("code", "match"), HOSTILE.values(), ids=HOSTILE.keys())
def test_damaged_and_hostile_pickles(code: bytes, match: str, tmp_path: Path) -> None:
    expect_refusal(raw(tmp_path / "m.npy", code), match)


def test_sharing_without_end(tmp_path: Path) -> None:
    value: Any = [KERNEL]
    for _ in range(6):
        value = [value] * 30
    expect_refusal(pickled(tmp_path / "m.npy", {"a": value}), "without end")


def test_any_byte_changed_is_an_error_or_harmless(tmp_path: Path, rng: np.random.Generator) -> None:
    good = pickled(tmp_path / "m.npy", LAYERS).read_bytes()
    for _ in range(400):
        at = int(rng.integers(10, len(good)))
        (tmp_path / "m.npy").write_bytes(good[:at] + bytes([rng.integers(256)]) + good[at + 1 :])
        try:
            for variable in open_variables(tmp_path / "m.npy").entries.values():
                assert variable.read().shape == variable.shape
        except FileFormatError:
            pass


def test_a_plain_array_has_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", KERNEL)
    expect_refusal(tmp_path / "m.npy", "one array without a name")


def test_what_is_no_file_of_variables(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "a.pb").write_bytes(b"\x0a\x00")
    (tmp_path / "folder").mkdir()
    for name in ("empty", "a.pb", "folder"):
        expect_refusal(tmp_path / name, name)
    with pytest.raises(UsageError, match="no such file"):
        open_variables(tmp_path / "gone.npz")


@pytest.mark.parametrize("suffix", ["npz", "weights.h5", "h5", "ckpt"])
def test_what_needs_no_tensorflow(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"m.{suffix}"
    if suffix.endswith("h5"):
        with h5py.File(path, "w") as file:
            file["layers/dense/vars/0" if suffix == "weights.h5" else "dense/kernel"] = KERNEL
    else:
        write_variables(path, [("dense/kernel", KERNEL)])
    script = f"""
import sys
from tfcaffe.variables.files import needs_tensorflow, open_variables
print(needs_tensorflow({str(path)!r}))
for variable in open_variables({str(path)!r}).entries.values():
    variable.floats()
print(*sorted({{"tensorflow", "keras"}} & sys.modules.keys()))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout.split()) == (0, ["False"]), result.stderr
