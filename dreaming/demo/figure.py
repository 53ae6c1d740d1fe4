"""The people of the demo clip: their motion, and the drawing of their limbs and clothes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Texture = Callable[[Floats, Floats], Floats]
"""Function from positions along a limb (in units) and across it (-1..1 from edge to edge) to RGB (N, 3)."""

LIGHT = np.array([-0.5, -0.55, 0.67])  # direction of the light: left, up, out of the image


class DrawingCanvas:
    """A supersampled image to draw on, in units of length.

    Args:
        image: RGB uint8, (H, W, 3), modified in place.
        scale: Samples per unit of length.
    """

    def __init__(self, image: NDArray[np.uint8], scale: float) -> None:
        self.image, self.scale = image, scale
        self.covered: NDArray[np.bool_] = np.zeros(image.shape[:2], np.bool_)
        """True where a limb or a piece of cloth was drawn, (H, W)."""

    def limb(self, start: Floats, end: Floats, radii: tuple[float, float], texture: Texture) -> None:
        """Draw a rounded, tapered and shaded limb between points (x, y) in units; ``radii`` are half its thickness."""
        length = float(np.hypot(*(end - start)))
        axis = (end - start) / length
        along, across, box = self._coordinates(start, axis, [start, end], max(radii))
        overhang = along - np.clip(along, 0, length)
        radius = radii[0] + (radii[1] - radii[0]) * np.clip(along / length, 0, 1)
        normal_along, normal_across = overhang / radius, across / radius
        inside = normal_along**2 + normal_across**2 <= 1
        self._fill(box, inside, axis, along, normal_along, normal_across, texture)

    def cloth(
        self, start: Floats, axis: Floats, length: float, widths: tuple[float, float], swing: float, texture: Texture
    ) -> None:
        """Draw a skirt or coat: a flaring shape with folds and a swinging hem.

        Args:
            start: (x, y) of the middle of the upper edge, in units.
            axis: (x, y) unit vector from there towards the hem.
            length: Distance from the upper edge to the hem.
            widths: Half the width at the upper edge and at the hem.
            swing: Sideways displacement of the hem.
            texture: Texture.
        """
        hem = start + axis * length
        margin = max(widths) + abs(swing) + 0.2 * length
        along, across, box = self._coordinates(start, axis, [start, hem], margin)
        fall = np.clip(along / length, 0, 1)
        side = (across - swing * fall**2) / (widths[0] + (widths[1] - widths[0]) * fall**0.8)
        folds = np.sin(9 * side + 25 * swing)
        inside = (np.abs(side) <= 1) & (along >= 0) & (along <= length * (1 + 0.05 * folds - 0.08 * side**2))
        bulge = np.clip(0.75 * side + 0.3 * fall * folds, -0.95, 0.95)
        self._fill(box, inside, axis, along, np.zeros_like(bulge), bulge, texture)

    def shadow(self, centre: Floats, radii: tuple[float, float], strength: float) -> None:
        """Darken the ground softly around ``centre``, without covering it."""
        along, across, box = self._coordinates(centre, np.array([1.0, 0.0]), [centre], 2.5 * max(radii))
        dim = 1 - strength * np.exp(-((along / radii[0]) ** 2) - (across / radii[1]) ** 2)
        self.image[box] = np.rint(self.image[box] * dim[..., None])

    def _coordinates(
        self, origin: Floats, axis: Floats, points: list[Floats], margin: float
    ) -> tuple[Floats, Floats, tuple[slice, slice]]:
        """Coordinates along and across an axis, of all samples within ``margin`` of the points' bounding box."""
        low = np.floor((np.min(points, axis=0) - margin) * self.scale).astype(int)
        high = np.ceil((np.max(points, axis=0) + margin) * self.scale).astype(int)
        left, right = np.clip((low[0], high[0]), 0, self.covered.shape[1])
        top, bottom = np.clip((low[1], high[1]), 0, self.covered.shape[0])
        x = (np.arange(left, right) + 0.5)[None, :] / self.scale - origin[0]
        y = (np.arange(top, bottom) + 0.5)[:, None] / self.scale - origin[1]
        return x * axis[0] + y * axis[1], y * axis[0] - x * axis[1], np.s_[top:bottom, left:right]

    def _fill(
        self,
        box: tuple[slice, slice],
        inside: NDArray[np.bool_],
        axis: Floats,
        along: Floats,
        normal_along: Floats,
        normal_across: Floats,
        texture: Texture,
    ) -> None:
        along, n, m = along[inside], normal_along[inside], normal_across[inside]
        depth = np.sqrt(np.clip(1 - n**2 - m**2, 0, None))
        incidence = LIGHT[0] * (n * axis[0] - m * axis[1]) + LIGHT[1] * (n * axis[1] + m * axis[0]) + LIGHT[2] * depth
        shade = 0.58 + 0.52 * np.clip(incidence, 0, None)
        self.image[box][inside] = np.clip(np.rint(texture(along, m) * shade[:, None]), 0, 255)
        self.covered[box] |= inside


def plain(colour: Floats) -> Texture:
    """A single colour, RGB in 0..255, (3,)."""
    return lambda along, side: np.broadcast_to(colour, (*along.shape, 3))


def stripes(first: Floats, second: Floats, period: float) -> Texture:
    """Rings around the limb, ``period`` units apart."""
    return lambda along, side: np.where(np.sin(2 * np.pi * along / period)[:, None] > 0, first, second)


def checks(light: Floats, dark: Floats, period: float) -> Texture:
    """Gingham: two crossing sets of bands, darkest where they cross; four bands from edge to edge."""

    def gingham(along: Floats, side: Floats) -> Floats:
        bands = (np.sin(2 * np.pi * along / period) > 0) * 0.5 + (np.sin(4 * np.pi * side) > 0) * 0.5
        return light + (dark - light) * bands[:, None]

    return gingham


@dataclass(frozen=True)
class Wardrobe:
    """A person's appearance: a texture for each part of the body, and the cut of the clothes."""

    skin: Texture
    hair: Texture
    face: Texture
    top: Texture
    cloth: Texture
    legs: Texture
    shoes: Texture
    hat: Texture | None
    cloth_length: float
    flare: float


def _towards(angle: float) -> Floats:
    """Unit vector (x, y) of an angle: 0 points down, positive angles to the right."""
    return np.array([np.sin(angle), np.cos(angle)])


def draw_person(
    canvas: DrawingCanvas, ground: Floats, size: float, beat: float, facing: float, dance: float, dress: Wardrobe
) -> None:
    """Draw a person in one pose.

    Args:
        canvas: The canvas.
        ground: (x, y) of the feet, in the canvas's units.
        size: Height in units, without raised arms.
        beat: Phase of the stride in radians; 2 pi are two steps.
        facing: -1 for walking left, 0 for facing the viewer, 1 for walking right.
        dance: Motion of the arms, from 0 (swinging) to 1 (dancing).
        dress: Appearance.
    """
    frontal = 1 - abs(facing)
    lean = 0.07 * facing + 0.09 * dance * np.sin(beat)
    up = -_towards(-lean)
    legs = {side: _leg(side, beat, facing) for side in (-1, 1)}
    # A soft maximum keeps the height of the hips smooth when the weight shifts to the other foot.
    drops = np.array([ankle[1] for _, _, ankle, _ in legs.values()])
    drop = 0.02 * np.log(np.exp(drops / 0.02).sum())
    hip = np.array([ground[0], ground[1] - size * (drop + 0.03)])
    neck = hip + 0.29 * size * up

    def limb(start: Floats, end: Floats, first: float, last: float, texture: Texture) -> None:
        canvas.limb(start, end, (first * size, last * size), texture)

    def arm(side: int) -> None:
        across = np.array([-up[1], up[0]])
        shoulder = neck - 0.035 * size * up + side * 0.082 * size * (1 - 0.45 * abs(facing)) * across
        raised = 0.5 + 0.5 * side * np.sin(beat / 2 + 0.6)
        dancing = side * (0.85 + 1.5 * raised + 0.2 * np.sin(2 * beat))
        walking = -side * 0.55 * facing * np.sin(beat) + side * 0.12
        upper = dance * dancing + (1 - dance) * walking
        lower = upper + dance * side * (0.55 + 0.45 * np.sin(beat + side)) + (1 - dance) * 0.45 * facing
        elbow = shoulder + 0.165 * size * _towards(upper)
        wrist = elbow + 0.15 * size * _towards(lower)
        limb(elbow, wrist, 0.027, 0.02, dress.skin)
        limb(wrist, wrist + 0.03 * size * _towards(lower), 0.023, 0.02, dress.skin)
        limb(shoulder, elbow, 0.04, 0.034, dress.top)

    far = -1 if facing >= 0 else 1
    arm(far)
    for side in (far, -far):
        start, knee, ankle, toe = (hip + size * joint for joint in legs[side])
        limb(knee, ankle, 0.038, 0.022, dress.legs)
        limb(start, knee, 0.056, 0.038, dress.legs)
        limb(ankle, toe, 0.026, 0.021, dress.shoes)
    limb(neck - 0.04 * size * up, hip + 0.07 * size * up, 0.088, 0.068, dress.top)
    swing = size * (-0.05 * np.sin(beat - 0.5) * (0.4 + 0.6 * dance) - 0.035 * facing)
    canvas.cloth(
        hip + 0.09 * size * up, -up, dress.cloth_length * size, (0.07 * size, dress.flare * size), swing, dress.cloth
    )
    limb(neck - 0.02 * size * up, neck + 0.04 * size * up, 0.028, 0.026, dress.skin)
    _draw_head(canvas, neck, size, lean + 0.12 * dance * np.sin(beat + 0.8), facing, frontal, dress)
    arm(-far)


def _leg(side: int, beat: float, facing: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Positions of hip joint, knee, ankle and toe relative to the middle of the hips, for a person of height 1."""
    phase = beat + (np.pi if side > 0 else 0)
    frontal = 1 - abs(facing)
    lift = (0.5 + 0.5 * np.cos(phase)) ** 2  # highest while the foot moves forward
    thigh = facing * (0.4 * np.sin(phase) + 0.2 * lift) + side * (0.1 + 0.35 * lift) * frontal
    shin = thigh - facing * (0.12 + 0.75 * lift) - side * 0.75 * lift * frontal
    joint = np.array([side * 0.042 * (1 - 0.5 * abs(facing)), 0.0])
    knee = joint + 0.235 * _towards(thigh)
    ankle = knee + 0.225 * _towards(shin)
    toe = ankle + np.array([0.07 * facing + side * 0.035 * frontal, 0.012])
    return joint, knee, ankle, toe


def _draw_head(
    canvas: DrawingCanvas, neck: Floats, size: float, tilt: float, facing: float, frontal: float, dress: Wardrobe
) -> None:
    up, radius = -_towards(-tilt), 0.082 * size
    right = np.array([-up[1], up[0]])
    middle = neck + 0.115 * size * up
    look = 0.35 * facing * radius * right

    def blob(centre: Floats, radius: float, texture: Texture, stretch: Floats) -> None:
        canvas.limb(centre, centre + stretch, (radius, radius), texture)

    if dress.hat is None:
        blob(middle + 1.4 * radius * up - 0.8 * look, 0.5 * radius, dress.hair, 0.1 * radius * up)
    blob(middle + 0.12 * radius * up - 0.3 * look, 1.1 * radius, dress.hair, 0.15 * radius * up)
    blob(middle - 0.1 * radius * up + 0.3 * look, 0.86 * radius, dress.skin, -0.12 * radius * up)
    fringe = middle + 0.62 * radius * up
    canvas.limb(
        fringe - (0.6 + 0.1 * facing) * radius * right,
        fringe + (0.6 - 0.1 * facing) * radius * right,
        (0.3 * radius, 0.34 * radius),
        dress.hair,
    )
    gaze = middle + 1.6 * look
    for side in (-1, 1):
        spread = side * 0.36 * radius * (0.75 + 0.25 * frontal) * right
        blob(gaze + spread, 0.1 * radius, dress.face, -0.12 * radius * up)
        mouth = gaze - 0.5 * radius * up
        canvas.limb(mouth - 0.1 * radius * up, mouth + 0.6 * spread, (0.07 * radius, 0.06 * radius), dress.face)
    if dress.hat is not None:
        brim = middle + 0.62 * radius * up
        canvas.limb(brim - 1.35 * radius * right, brim + 1.35 * radius * right, (0.16 * radius,) * 2, dress.hat)
        canvas.limb(brim, brim + 0.55 * radius * up, (0.85 * radius, 0.7 * radius), dress.hat)
