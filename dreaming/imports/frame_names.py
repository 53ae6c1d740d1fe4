"""Which frame of a clip an image of another program is."""

import re
from collections.abc import Iterable, Mapping, Sequence

from dreaming.errors import MaskError


def match_frames(
    images: Iterable[str], stems: Sequence[str], where: object, *, counts_from_zero: bool = False
) -> Mapping[str, str]:
    """Return the frame of each image: the one of its name, otherwise of its number.

    Numbers count only if all images have one at the end of their name and all differ. If there is an image 0 and no
    frame 0, or ``counts_from_zero``, image 0 is the first frame that a video has, 0001.

    Args:
        images: Names of images without suffix.
        stems: Names of the clip's frames.
        where: The file that is imported, for errors.
        counts_from_zero: Whether the names are known to count a video's frames from 0.

    Raises:
        MaskError: If an image has no frame.
    """
    names = list(dict.fromkeys(images))
    if set(names) <= set(stems):
        return {name: name for name in names}
    numbers = {name: number for name in names if (number := _last_number(name)) is not None}
    frames = {number: stem for stem in stems if (number := _last_number(stem)) is not None}
    first = 1 if counts_from_zero or (0 in numbers.values() and 0 not in frames) else 0
    if len(set(numbers.values())) == len(names) and len(frames) == len(stems):
        matched = {name: frames[number + first] for name, number in numbers.items() if number + first in frames}
        if len(matched) == len(names):
            return matched
        names = [name for name in names if name not in matched]
    else:
        names = [name for name in names if name not in stems]
    raise MaskError(
        where,
        found=f"the image {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""),
        expected=f"the names or numbers of frames ({', '.join(stems[:2])}, ...)",
        hint="rename the images like their frames",
    )


def _last_number(name: str) -> int | None:
    match = re.search(r"\d{1,9}$", name)
    return int(match[0]) if match else None
