"""Checks of the user's image files by their headers, before any of them is decoded."""

import logging
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dreaming.errors import FrameError, SizeError
from dreaming.io.frame_folder import FrameFolder, is_signed
from dreaming.io.image import SUFFIXES, decode
from dreaming.io.picture_kind import count_pictures
from dreaming.io.types import Size

log = logging.getLogger(__name__)

UNREADABLE = (
    ".heic",
    ".heif",
    ".avif",
    ".gif",
    ".bmp",
    ".jp2",
    ".jxl",
    ".exr",
    ".hdr",
    ".tga",
    ".ppm",
    ".jfif",
    ".dng",
)
"""Suffixes of images that are not read."""

PROJECTS = (".psd", ".psb", ".xcf", ".kra", ".ora", ".afphoto", ".clip", ".procreate", ".aseprite")
"""Suffixes of painting programs' own files, which may lie beside the images that were exported from them."""


def check_pictures(folder: FrameFolder, size: Size | None = None) -> None:
    """Check that every image of a folder can be opened, is of a kind that is read, and has the right size.

    Args:
        folder: The folder.
        size: (height, width) that all must have in pixels; None: that of most of them.

    Raises:
        FrameError: If an image cannot be opened, is no regular file, of a kind that is not read, such as HEIC, or
            holds several pictures.
        SizeError: If one has another size.
    """
    if not folder.path.is_dir():
        return
    listed = set(folder.names.values())
    others = sorted(path for path in folder.path.iterdir() if path.name not in listed)
    for path in others:
        if path.suffix.lower() in UNREADABLE and path.stem not in folder and not path.name.startswith("."):
            raise FrameError(
                path,
                topic="a-picture-that-is-not-read",
                found=f"a {path.suffix[1:].upper()} picture, which is not read",
                expected=", ".join(suffix[1:] for suffix in SUFFIXES),
                hint="convert it or move it elsewhere",
            )
    projects = [path.name for path in others if path.suffix.lower() in PROJECTS]
    if unread := [name for name in projects if Path(name).stem not in folder]:
        log.warning("%s: not read: %s; export each as a PNG of the same name", folder.path, ", ".join(unread))
    sizes = {path: _header_size(path) for path in folder.files.values()}
    groups = Counter(sizes.values()).most_common()
    if len(groups) > 1 or size is not None:
        _check_groups(sizes, [group for group, _ in groups], size)


def _check_groups(sizes: Mapping[Path, Size], groups: list[Size], size: Size | None) -> None:
    """Compare the decoded size of one image of each header size, because decoders turn some images upright."""
    examples = [next(path for path, found in sizes.items() if found == group) for group in groups]
    found = [decode(path).shape[:2] for path in examples]
    expected = size or found[0]
    # The rarest size first: it is the most likely mistake.
    for group, path, actual in reversed(list(zip(groups, examples, found, strict=True))):
        if actual != expected:
            others = sum(other == group for other in sizes.values()) - 1
            hint = "resize or remove it" + (f", and {others} more of this size" if others else "")
            raise SizeError(path, found=(actual[0], actual[1]), expected=expected, hint=hint)


def _header_size(path: Path) -> Size:
    """(height, width) in a file's header; of the decoded image if Pillow does not read the kind."""
    import PIL.Image
    from PIL.ExifTags import Base

    if path.suffix == ".png" and is_signed(path):  # ten times as fast
        with path.open("rb") as png:
            width, height = struct.unpack(">II", png.read(24)[16:])
        return height, width
    try:
        with PIL.Image.open(path) as file:
            # The method of PNG files would decode the picture to find an orientation that follows it.
            turned = PIL.Image.Image.getexif(file).get(Base.Orientation, 1) in range(5, 9)
            size = (file.width, file.height) if turned else (file.height, file.width)
            count = count_pictures(file)
            if file.mode in ("F", "I"):  # numbers of 32 bits, which decode refuses
                decode(path)
    except Exception:  # whatever Pillow raises for damaged files; decode names the file and the reason
        image = decode(path)
        return image.shape[0], image.shape[1]
    if count > 1:
        raise FrameError(
            path,
            topic="a-picture-that-is-not-read",
            found=f"{count} pictures or layers in one file, of which only the first would be read",
            expected="a single picture",
            hint="flatten it, or export each to a file of its own",
        )
    return size
