"""A colour chart, its conversion to other colour spaces, and the CIE 1976 colour difference."""

import numpy as np

# sRGB values of the ColorChecker's 24 patches (published by X-Rite).
CHART = np.array(
    [(115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170),
     (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46),
     (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (20, 133, 161),
     (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)], np.uint8
)  # fmt: skip
SRGB_TO_XYZ = np.array([[0.412391, 0.357584, 0.180481], [0.212639, 0.715169, 0.072192], [0.019331, 0.119195, 0.950532]])
XYZ_TO = {  # published inverse matrices, D65
    "srgb": np.linalg.inv(SRGB_TO_XYZ),
    "bt2020": np.array(
        [[1.716651, -0.355671, -0.253366], [-0.666684, 1.616481, 0.015769], [0.017640, -0.042771, 0.942103]]
    ),
    "p3": np.array(
        [[2.493497, -0.931384, -0.402711], [-0.829489, 1.762664, 0.023625], [0.035846, -0.076172, 0.956885]]
    ),
    "adobe": np.array(
        [[2.041369, -0.564946, -0.344694], [-0.969266, 1.876011, 0.041556], [0.013447, -0.118390, 1.015410]]
    ),
}


def srgb_decode(code):
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_encode(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def chart_light(space):
    """Linear light (24, 3) of the chart in a colour space; 1 is white."""
    return srgb_decode(CHART / 255) @ SRGB_TO_XYZ.T @ XYZ_TO[space].T


def chart_picture(values, side=16):
    """An image (4 side, 6 side, 3) of 24 values (24, 3)."""
    return np.ascontiguousarray(values.reshape(4, 6, 3).repeat(side, axis=0).repeat(side, axis=1))


def patches(image, side=16):
    """Mean colours (24, 3) of the middle of each patch."""
    middle = image.reshape(4, side, 6, side, 3)[:, side // 4 : -side // 4, :, side // 4 : -side // 4]
    return middle.mean(axis=(1, 3)).reshape(24, 3)


def lab(values):
    """CIE L*a*b* under D65 of sRGB values in 0..255."""
    xyz = srgb_decode(np.asarray(values) / 255) @ SRGB_TO_XYZ.T / SRGB_TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def delta_e(found, expected=CHART):
    """CIE 1976 colour difference of each pair of sRGB values (N, 3)."""
    return np.linalg.norm(lab(found) - lab(expected), axis=1)
