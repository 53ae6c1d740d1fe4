"""Writing of the demo clip: a video, hand masks and keyframes as a user provides them, and their ground truth."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dreaming.demo.fur import FurryScene
from dreaming.demo.painters import PAINTERS, PainterName
from dreaming.demo.scene import DemoScene
from dreaming.io.atomic import write_atomically
from dreaming.io.frame_folder import FrameFolder
from dreaming.io.types import Image

LAYERS = b"""\
# Two layers, bottom to top: the whole frame, painted in keyframes/background/, and the dancer, cut out by its masks and
# painted in keyframes/dancer/.
layers:
  - {name: background}
  - {name: dancer, part: subject}
"""


def write_demo(
    scene: DemoScene,
    folder: Path,
    *,
    masks: int = 5,
    keyframes: int = 2,
    painter: PainterName = "oil",
    background: PainterName | None = None,
) -> None:
    """Write a clip as a user would provide it, and its ground truth.

    ``folder`` receives ``source.mp4``; ``hand_masks/`` of frames spread evenly over the clip, including both ends;
    ``keyframes/painted/`` of frames between them; ``truth/masks/`` and ``truth/styled/`` of all frames. Frames are
    numbered from 0001. Keyframes are painted from the uncompressed frames. A furry animal also has its true mattes in
    ``truth/alpha/``, of 16 bits.

    With a painter of the background there are two layers, ``background`` and ``dancer``, listed in ``clip.yaml``. Their
    keyframes and true stylised frames have a folder each.

    Raises:
        SpaceError: If the disk is full.
    """
    last, digits = scene.frames - 1, max(4, len(str(scene.frames)))
    masked = set(np.round(np.linspace(0, last, masks)).astype(int).tolist())
    keys = set(np.round(np.linspace(0, last, keyframes + 2)[1:-1]).astype(int).tolist())
    true_masks, hand_masks = FrameFolder(folder / "truth" / "masks"), FrameFolder(folder / "hand_masks")
    # Painter, keyframes and true stylised frames of each layer.
    layers = [(painter, folder / "keyframes" / "painted", folder / "truth" / "styled")]
    if background is not None:
        styles = {"background": background, "dancer": painter}
        layers = [(p, folder / "keyframes" / n, folder / "truth" / "styled" / n) for n, p in styles.items()]
    images = []
    for index in range(scene.frames):
        stem = f"{index + 1:0{digits}d}"
        image, mask = scene.frame(index)
        images.append(image)
        grey = mask.astype(np.uint8) * 255
        for target in [true_masks] + [hand_masks] * (index in masked):
            target.write(stem, grey)
        if isinstance(scene, FurryScene):
            FrameFolder(folder / "truth" / "alpha").write(stem, np.rint(scene.matte(index) * 65535).astype(np.uint16))
        for name, painted, true_styled in layers:
            styled = PAINTERS[name](image, index)
            for path in [true_styled] + [painted] * (index in keys):
                FrameFolder(path).write(stem, styled)
    if background is not None:
        write_atomically(folder / "clip.yaml", LAYERS)
    write_atomically(folder / "source.mp4", _encode(scene, images))


def _encode(scene: DemoScene, images: list[Image]) -> bytes:
    """Encode an mp4 of H.264 and AAC in high quality."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(scene.fps), options={"crf": "12", "preset": "medium"})
        video.height, video.width = scene.height, scene.width
        # Subsampled chroma needs even sides. Other sizes use full chroma, so that frames and masks stay equal in size.
        video.pix_fmt = "yuv420p" if scene.height % 2 == scene.width % 2 == 0 else "yuv444p"
        samples, rate = scene.sound()
        audio = container.add_stream("aac", rate=rate, layout="stereo")
        audio.bit_rate = 160_000
        for image in images:
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = rate, 0, Fraction(1, rate)
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    return buffer.getvalue()
