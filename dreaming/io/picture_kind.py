"""What a file is that OpenCV does not decode as an image, by its first bytes and a TIFF's tags."""

import io

_STARTS = {
    b"GIF8": "a GIF picture",
    b"8BPS": "a Photoshop document",
    b"gimp xcf": "a GIMP document",
    b"PK\x03\x04": "a ZIP archive or a painting program's document",
    b"%PDF": "a PDF document",
    b"\x00\x00\x01\x00": "an icon",
    b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture",
    b"\x1aE\xdf\xa3": "a video",
    b"version https://git-lfs": "a pointer of Git LFS instead of the picture",
    b"<": "a web page or an SVG drawing",
}
_BRANDS = {b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"mif1": "a HEIC picture", b"avif": "an AVIF picture"}
_READ_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # those that OpenCV's libtiff is built with
_REDUCED, _MASK = 1, 4  # TIFF 6.0, NewSubfileType: a thumbnail, a transparency mask


def describe_undecodable(data: bytes) -> tuple[str, str]:
    """What a file's content is, and an imperative that helps; both are empty for a damaged image or unknown data."""
    if data.startswith((b"II*\0", b"MM\0*")):
        return _describe_tiff(data)
    if data[4:8] == b"ftyp":
        kind = _BRANDS.get(data[8:12], "a video or another ISO media file")
    else:
        kind = next((kind for start, kind in _STARTS.items() if data.lstrip().startswith(start)), "")
    return kind, "save the picture as a PNG" if kind else ""


def _describe_tiff(data: bytes) -> tuple[str, str]:
    from PIL.TiffImagePlugin import BITSPERSAMPLE, COMPRESSION, SAMPLEFORMAT, ImageFileDirectory_v2

    try:
        tags = ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits, form = max(tags.get(BITSPERSAMPLE, (1,))), max(tags.get(SAMPLEFORMAT, (1,)))
        compression = int(tags.get(COMPRESSION, 1))
    except Exception:  # whatever Pillow raises for damaged tags
        return "", ""
    if form == 3 or bits > 16:
        values = "floating-point numbers" if form == 3 else "integers"
        return f"a TIFF picture of {bits}-bit {values}", "save it with 8 or 16 bits per channel, as PNG or TIFF"
    if compression not in _READ_COMPRESSIONS:
        return f"a TIFF picture of compression {compression}", "save it as a PNG, or as a TIFF with LZW compression"
    return "", ""


def count_pictures(file: object) -> int:
    """How many pictures, other than thumbnails, an image file opened by Pillow holds; one for any JPEG.

    Phones add a depth or gain map, or a smaller copy, to a JPEG.
    """
    from PIL.Image import Image
    from PIL.TiffImagePlugin import TiffImageFile

    assert isinstance(file, Image)
    count = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)
    if count == 1 or not isinstance(file, TiffImageFile):
        return count
    pictures = 0
    for index in range(count):
        file.seek(index)
        pictures += not int(file.tag_v2.get(254, 0)) & (_REDUCED | _MASK)
    file.seek(0)
    return pictures
