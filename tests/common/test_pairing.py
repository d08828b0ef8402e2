"""A prototxt tells which weights it was written with."""

from __future__ import annotations

from pathlib import Path

from tfcaffe.files import pairing


def test_other_weights_are_told(tmp_path: Path) -> None:
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    weights.write_bytes(b"weights")
    net.write_text(f"# a net\n# {pairing.comment(weights)}\nname: 'net'\n")
    assert not pairing.mixed(net, weights)
    weights.write_bytes(b"Weights")
    (note,) = pairing.mixed(net, weights)
    assert "net.caffemodel is not the file that net.prototxt was written with" in note
    weights.write_bytes(b"longer weights")
    assert pairing.mixed(net, weights)


def test_nets_that_say_nothing(tmp_path: Path) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text("name: 'net'\n# its weights: many\n")
    assert not pairing.mixed(net, net)
    assert not pairing.mixed(tmp_path / "none", net)
    assert not pairing.mixed(Path("a\0b"), net)
