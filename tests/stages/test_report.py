import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest

from dreaming.errors import FrameError
from dreaming.io.manifest import Manifest
from dreaming.stages.report import ReportStage


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.videos, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "img":
            self.images.append(named["src"])
        elif tag == "video":
            self.videos.append(named["src"])
        elif {"href", "src"} & named.keys():
            self.links.append((tag, named))


def make(drawing, folder, pictures, seconds):
    for stem, picture in pictures.items():
        drawing.save(f"{folder}/{stem}.png", picture)
    record = Manifest("test", 1, {}, {}, seconds=seconds, frames=len(pictures))
    record.write(drawing.path / folder / "manifest.json")


@pytest.fixture
def drawing(disc_clip):
    """A clip with everything that the stages before would leave."""
    drawn = disc_clip("a <b> clip")
    make(drawn, "masks/unet", drawn.truth, 1.25)
    make(drawn, "styled/painted", drawn.styled, 2.5)
    make(drawn, "composite", drawn.styled, 0.75)
    (drawn.path / "dream.mp4").write_bytes(b"not really a video")
    Manifest("video", 1, {}, {}, seconds=0.5, frames=8).write(drawn.path / "dream.json")
    return drawn


def report(drawing, **config):
    ReportStage(**config).run(drawing.clip)
    text = (drawing.path / "report.html").read_text()
    return text, Page(text)


def test_the_page_shows_every_stage_and_needs_no_other_file(drawing):
    text, page = report(drawing, rows=3)
    assert len(page.images) == 3 * 4, "frame, mask, styled, composite"
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    assert [source[:22] for source in page.videos] == ["data:video/mp4;base64,"]
    assert page.links == []
    assert not re.search(r"https?://|url\(", text)
    for heading in ("frame", "mask: unet", "styled: painted", "composite"):
        assert f"<div>{heading}</div>" in text
    assert "8 frames of 48x32" in text
    assert "protocol folds" in text


def test_times_are_listed_and_summed(drawing):
    text, _ = report(drawing)
    rows = dict(re.findall(r"<tr><td>([^<]+)</td><td>\d+</td><td>([\d.]+)</td></tr>", text))
    assert rows == {"masks/unet": "1.2", "styled/painted": "2.5", "composite": "0.8", "dream.mp4": "0.5"}
    assert "<th>together</th><th></th><th>5.0</th>" in text


def test_names_are_escaped(drawing):
    text, _ = report(drawing)
    assert "<h1>a &lt;b&gt; clip</h1>" in text
    assert "<b>" not in text


def test_a_large_video_is_linked(drawing):
    _, page = report(drawing, embed=0)
    assert page.videos == ["dream.mp4"]
    (drawing.path / "dream.mp4").unlink()
    assert report(drawing)[1].videos == []


def test_scores_are_shown(drawing):
    summary = [
        {"kind": "masks", "of": "unet", "frames": 5, "J": 0.91234, "F": 0.8},
        {"kind": "styled", "of": "painted", "frames": 7, "SSIM": 0.5, "PSNR": 20.0},
    ]
    (drawing.path / "evaluation.json").write_text(json.dumps({"summary": summary, "frames": []}))
    text, _ = report(drawing)
    assert "<th>J</th><th>F</th><th>SSIM</th><th>PSNR</th>" in text
    assert "<td>masks unet</td><td>5</td><td>0.9123</td><td>0.8000</td><td></td><td></td>" in text


@pytest.mark.parametrize(
    ("kind", "heading", "said"),
    [
        ("masks", "Against the truth", "Frames with a hand mask, but for the test masks, and keyframes are left out."),
        ("styled", "Against the truth", "keyframes are left out."),
        ("masks, test", "At the test masks", "Only frames that have a test mask are scored"),
        ("masks, held out", "At held-out hand masks", "held back from the maskers"),
        ("masks, out of fold", "At left-out hand masks", "each by maskers that were fitted without its mask"),
    ],
)
def test_it_is_said_what_the_scores_are_of(drawing, kind, heading, said):
    scores = {"kind": kind, "of": "it", "frames": 5, "J": 0.5}
    folder = drawing.path / "runs" / "dream" / "now" if "," in kind else drawing.path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps({"summary": [scores, scores], "frames": []}))
    text = unescape(report(drawing)[0])
    assert f"<h2>{heading}</h2>" in text
    assert said in text
    if kind.startswith("masks,"):
        assert "left out.</p>" not in text
        assert "Against the truth" not in text


def test_a_picture_that_is_missing_leaves_its_place_empty(drawing, caplog):
    (drawing.path / "styled/painted/0008.png").unlink()
    _, page = report(drawing, rows=2)
    assert len(page.images) == 2 * 4 - 1
    assert "styled/painted/0008.png: found no such picture" in caplog.text


def test_wide_pictures_are_scaled_down(drawing):
    small, large = (sum(map(len, report(drawing, width=width)[1].images)) for width in (12, 480))
    assert small < large


def test_a_clip_with_frames_alone_has_a_page(disc_clip):
    drawing = disc_clip(masks=(), keyframes=())
    text, page = report(drawing)
    assert "8 frames of 48x32" in text
    assert page.videos == []


def test_a_clip_without_frames_is_told(disc_clip):
    with pytest.raises(FrameError, match="found no frames"):
        report(disc_clip(frames=False))
