"""The format of a file or folder, decided by its content."""

from pathlib import Path

from dreaming.errors import MaskError
from dreaming.imports.annotation import Annotations, read_json
from dreaming.imports.coco import is_coco, read_coco
from dreaming.imports.cvat import LABELS, read_cvat
from dreaming.imports.davis import read_davis
from dreaming.imports.label_studio import is_label_studio, read_label_studio
from dreaming.imports.labelme import is_labelme, read_labelme

FORMATS = "DAVIS pictures, CVAT masks, LabelMe, COCO or Label Studio"


def read_annotations(path: Path) -> Annotations:
    """Read masks of another program.

    Args:
        path: A JSON file of COCO, Label Studio or LabelMe, a picture with a palette, or a folder: of such pictures, of
            LabelMe's JSON, with a single JSON file (also in ``annotations/``), or with CVAT's ``labelmap.txt``.

    Raises:
        MaskError: If nothing there is understood.
    """
    if path.is_file():
        return read_davis([path]) if path.suffix.lower() == ".png" else _read_json(path)
    if (path / LABELS).is_file():
        return read_cvat(path)
    visible = [each for each in sorted(path.iterdir()) if each.is_file() and not each.name.startswith(".")]
    pictures = [each for each in visible if each.suffix.lower() == ".png"]
    texts = [each for each in visible if each.suffix.lower() == ".json"] or sorted(path.glob("annotations/*.json"))
    if texts and (not pictures or is_labelme(read_json(texts[0]))):  # LabelMe's lie beside the frames
        return read_labelme(texts) if len(texts) > 1 else _read_json(texts[0])
    if pictures:
        return read_davis(pictures)
    raise MaskError(path, found="neither pictures nor JSON", expected=FORMATS, hint="unpack archives first")


def _read_json(path: Path) -> Annotations:
    if path.suffix.lower() != ".json":
        raise MaskError(path, found="another kind of file", expected=FORMATS, hint="unpack archives first")
    data = read_json(path)
    if is_coco(data):
        return read_coco(path, data)
    if is_labelme(data):
        return read_labelme([path])
    if is_label_studio(data):
        return read_label_studio(path, data)
    raise MaskError(path, found="JSON of another program", expected=FORMATS)
