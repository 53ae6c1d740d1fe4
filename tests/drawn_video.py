"""Small videos of a drawn scene, in many formats."""

import logging
from fractions import Fraction

import av
import numpy as np

SCENE = ((200, 60, 30), (30, 90, 210), (60, 200, 90), (240, 240, 240))  # top left, top right, bottom left, right


def scene(height, width, number=0):
    """Four flat corners; a black bar of 0, 8 or 16 columns marks the frame's number."""
    image = np.zeros((height, width, 3), np.uint8)
    for corner, colour in enumerate(SCENE):
        rows = slice(0, height // 2) if corner < 2 else slice(height // 2, None)
        columns = slice(0, width // 2) if corner % 2 == 0 else slice(width // 2, None)
        image[rows, columns] = colour
    image[:8, : 8 * (number % 3)] = 0
    return image


def film(path, codec="libx264", pix_fmt="yuv420p", *, size=(48, 64), pts=range(12), base=Fraction(1, 25), **more):
    """A video of ``scene``; ``more``: options, muxer, stream (attributes), turn (degrees), sound (codec)."""
    with av.open(str(path), "w", options=more.get("muxer", {})) as output:
        stream = output.add_stream(codec, rate=1 / base, options=more.get("options", {}))
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.time_base = base
        for name, value in more.get("stream", {}).items():
            setattr(stream.codec_context, name, value)
        if "turn" in more:
            stream.set_display_rotation(*more["turn"])
        sound = output.add_stream(more["sound"], rate=48000, layout="mono") if "sound" in more else None
        for number, time in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(scene(*size, number))
            frame = frame.reformat(format=pix_fmt, **more.get("convert", {}))
            frame.pts, frame.time_base = time, base
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 24000), np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            context = sound.codec_context
            resampler = av.AudioResampler(context.format, context.layout, 48000, context.frame_size or 1024)
            for part in [*resampler.resample(samples), *resampler.resample(None), None]:
                output.mux(sound.encode(part))
    return path


def corners(image):
    height, width = image.shape[:2]
    rows, columns = (height // 4 + 2, height * 3 // 4), (width // 4 + 2, width * 3 // 4)
    return np.array([image[row, column] for row in rows for column in columns], int)


def warnings(caplog):
    return [record.args for record in caplog.records if record.levelno == logging.WARNING]


VIDEOS = {
    "h264.mp4": {"sound": "aac"},
    "bframes.mov": {"options": {"bf": "3"}},
    "h264.mkv": {"sound": "libopus"},
    "odd10.mkv": {"codec": "ffv1", "pix_fmt": "yuv420p10le", "size": (47, 63)},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}, "sound": "libopus"},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8", "cpu-used": "8"}},
    "hevc10.mp4": {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "options": {"x265-params": "log-level=none:crf=10", "preset": "ultrafast"},
    },
    "rgb8.gif": {"codec": "gif", "pix_fmt": "rgb8", "base": Fraction(1, 20)},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "h264.ts": {},
}
