"""A small ONNX model, encoded by hand: a weighted sum of red, green and blue, and its sigmoid."""

import numpy as np


def _varint(value):
    return bytes([value & 127 | 128]) + _varint(value >> 7) if value > 127 else bytes([value])


def _part(number, content):
    """One field of a protocol buffer: a number, a text or a message."""
    if isinstance(content, int):
        return _varint(number << 3) + _varint(content)
    content = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _node(kind, inputs, output):
    return b"".join([*(_part(1, name) for name in inputs), _part(2, output), _part(3, output), _part(4, kind)])


def _value(name, shape):
    dimensions = b"".join(_part(1, _part(2 if isinstance(length, str) else 1, length)) for length in shape)
    return _part(1, name) + _part(2, _part(1, _part(1, 1) + _part(2, dimensions)))


def onnx_model(weights=(8.0, 0.0, -8.0), size=(16, 24), last="Sigmoid", maps=1, outputs=("logit", "mask")):
    """The bytes of a model with these outputs in this order, of ``maps`` equal maps; ``size`` may be names."""
    kernel = b"".join(_part(1, length) for length in (maps, len(weights), 1, 1)) + _part(2, 1) + _part(8, "kernel")
    kernel += _part(9, np.float32(weights).tobytes() * maps)
    graph = [
        _part(1, _node("Conv", ["picture", "kernel"], "logit")),
        _part(1, _node(last, ["logit"], "mask")),
        _part(2, "colour"),
        _part(5, kernel),
        _part(11, _value("picture", (1, len(weights), *size))),
        *(_part(12, _value(name, (1, maps, *size))) for name in outputs),
    ]
    return _part(1, 8) + _part(7, b"".join(graph)) + _part(8, _part(1, "") + _part(2, 13))
