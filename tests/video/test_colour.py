"""Colours of videos with other primaries and transfer functions, measured with a colour chart."""

import av
import numpy as np
import pytest
from colour_chart import CHART, chart_light, chart_picture, delta_e, patches, srgb_encode
from drawn_video import film

from dreaming.video.colour import HLG_PEAK, SDR_WHITE, Colours, nits_to_pq, pq_to_nits, tone_map
from dreaming.video.reader import probe, read_frames

TAGS = {"bt2020": 9, "p3": 12, "srgb": 1}
MATRICES = {"bt2020": ("BT2020", 9), "p3": ("ITU709", 1), "srgb": ("ITU709", 1)}


def encode(path, code, space, transfer, *, limits="MPEG", peak=None):
    """Write the chart's code values (24, 3) in 0..1 as a video of 10 bits."""
    picture = chart_picture(np.rint(np.clip(code, 0, 1) * 65535).astype(np.uint16))
    matrix, tag = MATRICES[space]
    with av.open(str(path), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv444p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = TAGS[space], transfer, tag
        context.color_range = 1 if limits == "MPEG" else 2
        frame = av.VideoFrame.from_ndarray(picture, format="rgb48le")
        frame = frame.reformat(format="yuv444p10le", dst_colorspace=matrix, dst_color_range=limits)
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def shown(path):
    ((_, image),) = read_frames(path)
    assert image.dtype == np.uint8
    return patches(image)


@pytest.mark.parametrize("limits", ["MPEG", "JPEG"])
@pytest.mark.parametrize(("space", "transfer"), [("srgb", 1), ("bt2020", 14), ("p3", 13), ("p3", 1)])
def test_sdr_colours_are_those_of_the_chart(tmp_path, space, transfer, limits):
    path = encode(tmp_path / "chart.mkv", srgb_encode(chart_light(space)), space, transfer, limits=limits)
    difference = delta_e(shown(path))
    assert difference.mean() < 0.8
    assert difference.max() < 2


@pytest.mark.parametrize(("transfer", "power"), [(4, 2.2), (5, 2.8), (8, 1.0)])
def test_power_functions_are_decoded(tmp_path, transfer, power):
    path = encode(tmp_path / "chart.mkv", chart_light("srgb") ** (1 / power), "srgb", transfer)
    assert delta_e(shown(path)).mean() < 2


def hlg(nits):
    """HLG code values of linear BT.2020 light on a display of 1000 cd/m²."""
    luminance = (nits / HLG_PEAK) @ [0.2627, 0.6780, 0.0593]
    scene = nits / HLG_PEAK * np.power(luminance, 1 / 1.2 - 1)[:, None]
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_hdr_is_tone_mapped(tmp_path, transfer):
    """Dark and middle tones, below 90 cd/m², keep their colours; the chart's white is at 203 cd/m²."""
    nits = np.maximum(chart_light("bt2020"), 1e-6) * SDR_WHITE
    code, tag = (nits_to_pq(nits), 16) if transfer == "pq" else (hlg(nits), 18)
    difference = delta_e(shown(encode(tmp_path / "hdr.mkv", code, "bt2020", tag)))
    below = nits.max(axis=1) < 85
    assert below.sum() >= 10
    assert difference[below].max() < 1.5
    assert difference.mean() < 2


def test_hdr_causes_no_warning(tmp_path, caplog):
    path = encode(tmp_path / "hdr.mkv", np.full((24, 3), 0.5), "bt2020", 16)
    probe(path)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_tone_mapping_is_monotone_and_ends_at_white():
    nits = np.linspace(0, 1000, 2001)
    mapped = tone_map(nits, 1000)
    assert (np.diff(mapped) >= -1e-9).all()
    assert mapped[-1] == pytest.approx(SDR_WHITE, rel=1e-3)
    np.testing.assert_allclose(mapped[nits < 85], nits[nits < 85], rtol=1e-6)
    np.testing.assert_allclose(tone_map(nits[:300], 150), np.minimum(nits[:300], SDR_WHITE))
    np.testing.assert_allclose(pq_to_nits(nits_to_pq(nits)), nits, atol=1e-6)


def test_an_unsupported_matrix_is_named(tmp_path, caplog):
    path = film(tmp_path / "ycgco.mkv", "ffv1", "yuv444p", pts=[0], stream={"colorspace": 8})
    probe(path)
    assert [record.args for record in caplog.records] == [(path, "YCgCo")]


def test_undeclared_colours_are_those_of_bt709():
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))
    assert Colours.of(frame).is_srgb
    assert len(CHART) == 24
