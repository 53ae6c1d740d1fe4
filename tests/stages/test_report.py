import base64
import errno
import json
import logging
import re
from html import unescape
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from dreaming.artifacts.manifest import Manifest
from dreaming.errors import AccessError, FrameError
from dreaming.io.atomic import access_error
from dreaming.stages.report import EXPLANATIONS, ReportStage
from dreaming.stages.scores.record import GOOD
from dreaming.training.run_registry import Best, record


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.videos, self.posters, self.links, self.compared = [], [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag == "img" and named["alt"] in ("source", "result"):
            self.compared[named["alt"]] = named["src"]
        elif tag == "img":
            self.images.append(named["src"])
        elif tag == "video":
            self.videos.append(named["src"])
            self.posters.append(named.get("poster"))
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


def test_folders_are_listed_equally_often_for_any_number_of_frames(disc_clip, file_accesses):
    sums = []
    for count in (4, 12):
        drawn = disc_clip(str(count), count=count, masks=(), keyframes=(2,))
        for folder in ("styled/painted", "composite"):
            make(drawn, folder, drawn.styled, 1.0)
        file_accesses.clear()
        report(drawn)
        sums.append(sum(count for (call, _), count in file_accesses.items() if call != "stat"))
    assert sums[0] == sums[1]


def test_the_page_shows_every_stage_and_needs_no_other_file(drawing):
    text, page = report(drawing, rows=3)
    assert len(page.images) == 3 * 4, "frame, mask, styled, composite"
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    assert [source[:22] for source in page.videos] == ["data:video/mp4;base64,"]
    assert [source[:23] for source in page.posters] == ["data:image/jpeg;base64,"]
    assert page.links == []
    assert list(page.compared) == ["source", "result"]
    assert len(set(page.compared.values())) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.compared.values())
    assert not re.search(r"https?://|url\(", text)
    for heading in ("frame", "mask: unet", "styled: painted", "composite"):
        assert f"<figcaption>{heading}, 0001</figcaption>" in text
    assert "8 frames of 48x32" in text
    assert "subject: 3 hand masks for the maskers, cross-validation" in text


def test_the_page_plots_crispness_over_time_with_the_keyframes(drawing):
    text, _ = report(drawing)
    (points,) = re.findall(r'<polyline[^>]* points="([^"]*)"', text)
    assert len(points.split()) == 8
    assert re.findall(r"<title>keyframe (\w+)</title>", text) == ["0004"]
    assert "viewBox" in text


def test_the_page_shows_suggested_frames_that_are_not_painted_yet(drawing):
    masked, free = (
        [stem for stem in drawing.stems if (stem in drawing.clip.split("subject").seen) == is_masked]
        for is_masked in (True, False)
    )
    wanted = {"subject": [*masked, *free], "keyframes/painted": free[:1], "keyframes/other": free, "damaged": 7}
    suggestions = {name: [{"frame": s} for s in v] if isinstance(v, list) else v for name, v in wanted.items()}
    suggestions["subject"][:0] = [7, {"frame": ["x"]}, {}]
    (drawing.path / "suggestions.json").write_text(json.dumps(suggestions))
    text, page = report(drawing, rows=1)
    shown = text[text.index("What to paint next") :]
    assert re.findall(r"<figcaption>(\w+)</figcaption>", shown) == [*free[:3], free[0]]
    assert len(page.images) == 4 + 4
    (drawing.path / "suggestions.json").unlink()
    assert len(report(drawing, rows=1)[1].images) == 4


def test_the_command_of_the_run_is_shown(drawing, tmp_path):
    overrides = tmp_path / "run" / ".hydra" / "overrides.yaml"
    overrides.parent.mkdir(parents=True)
    run_folder = overrides.parents[1]
    command = "<code>dreaming clip=a &#39;stages=[mask, report]&#39; masker=pixels</code>"
    suggest = "<code>dreaming clip={} &#39;stages=[suggest,report]&#39;</code>"
    written = "- clip=a\n- stages=[mask, report]\n- masker=pixels\n"
    for text, is_shown in ((written, True), ("7", False), ("!!python/x 1", False)):
        overrides.write_text(text)
        page, _ = report(drawing, run_folder=run_folder)
        assert (command in page, "<h2>Repeat it</h2>" in page) == (is_shown, is_shown)
        assert suggest.format("a masker=pixels") in page or not is_shown, "it would train other maskers"


def test_a_page_that_somebody_changed_is_kept(drawing):
    (drawing.path / "report.html").write_bytes(b"mine")
    report(drawing)
    report(drawing, rows=2)
    assert (drawing.path / "report.html.kept-1").read_bytes() == b"mine"
    assert len(list(drawing.path.glob("report*"))) == 2


def test_the_latest_worst_frames_are_linked_and_a_score_occurs_once(drawing):
    for time in ("2026-01-01", "2026-01-02"):
        drawing.save(f"runs/dream/{time}/worst-subject-unet.png", drawing.images["0001"])
    score = {"kind": "masks", "name": "unet", "scored on": "cross-validation", "frames": 3, "IoU": 0.5}
    (drawing.path / "evaluation.json").write_text(json.dumps({"summary": [score], "frames": []}))
    trained(drawing, "head", "folds")
    text, page = report(drawing)
    assert page.links == [("a", {"href": "runs/dream/2026-01-02/worst-subject-unet.png"})]
    assert text.count("0.5000") == 1


@pytest.mark.parametrize("change", [{"IoU": "high"}, {"scored on": ["x"]}, {"name": None}, {"frames": []}])
def test_damaged_scores_are_not_shown(drawing, caplog, change):
    score = {"kind": "masks", "name": "unet", "scored on": "ground truth", "frames": 3, "IoU": 0.5, **change}
    (drawing.path / "evaluation.json").write_text(json.dumps({"summary": [score], "frames": []}))
    text, _ = report(drawing)
    assert "<h2>Scores</h2>" not in text
    assert [record.args[0] for record in caplog.records] == [drawing.path / "evaluation.json"]


def test_times_are_listed_and_summed(drawing):
    for fold, seconds in {"all": 2.5, "without-one": 0.5}.items():
        make(drawing, f"predictions/subject/unet/{fold}", drawing.truth, seconds)
    text, _ = report(drawing)
    rows = dict(re.findall(r"<tr><td>([^<]+)</td><td>\d+</td><td>([\d.]+)</td></tr>", text))
    made = {"masks/unet": "1.2", "styled/painted": "2.5", "composite": "0.8", "dream.mp4": "0.5"}
    assert rows == made | {"predictions/subject/unet": "3.0"}
    assert "<th>total</th><th></th><th>8.0</th>" in text


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
    key = {"scored on": "ground truth"}
    summary = [
        {**key, "kind": "masks", "name": "unet", "frames": 5, "IoU": 0.91234, "boundary F": 0.8},
        {**key, "kind": "styled", "name": "painted", "frames": 7, "SSIM": 0.5, "PSNR": 20.0},
    ]
    (drawing.path / "evaluation.json").write_text(json.dumps({"summary": summary, "frames": []}))
    text, _ = report(drawing)
    assert "<th>IoU</th><th>boundary F</th><th>SSIM</th><th>PSNR</th>" in text
    assert {name for name, good in GOOD.items() if f"<li>{good}</li>" in text} == {"IoU", "boundary F", "SSIM", "PSNR"}
    assert (
        "<td>masks: unet</td><td>ground truth</td><td>5</td><td></td><td>0.9123</td><td>0.8000</td><td></td><td></td>"
        in text
    )


@pytest.mark.parametrize("scored_on", EXPLANATIONS)
def test_the_page_explains_what_the_scores_are_measured_on(drawing, scored_on):
    scores = {"kind": "masks", "name": "it", "scored on": scored_on, "frames": 5, "IoU": 0.5}
    folder = drawing.path if scored_on == "ground truth" else drawing.path / "runs" / "dream" / "now"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps({"summary": [scores, scores], "frames": []}))
    text = unescape(report(drawing)[0])
    assert {key: text.count(explanation) for key, explanation in EXPLANATIONS.items()} == {
        key: int(key == scored_on) for key in EXPLANATIONS
    }


def trained(drawing, subject, validation):
    weights = drawing.path / "runs" / "unet" / subject / "checkpoints" / "last.ckpt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"")
    best = Best(
        folder=weights.parents[1],
        checkpoint="checkpoints/last.ckpt",
        score=0.5,
        monitor="val/jaccard",
        mode="max",
        steps=7,
        validation=validation,
        subject=subject,
        fingerprint={"references": ""},
        seconds=61.0,
    )
    record(best, drawing.path / "runs" / "unet")


def test_trained_models_are_listed_with_their_validation(drawing):
    for subject, validation in (("head", "folds"), ("body", "holdout")):
        trained(drawing, subject, validation)
    text, _ = report(drawing)
    for subject, validation in (("head", "cross-validation"), ("body", "hold-out")):
        cells = ("unet", subject, "7", "61", "val/jaccard 0.5000", validation)
        assert "".join(f"<td>{cell}</td>" for cell in cells) in text


def test_a_picture_that_is_missing_leaves_its_place_empty(drawing, caplog):
    (drawing.path / "styled/painted/0008.png").unlink()
    _, page = report(drawing, rows=2)
    assert len(page.images) == 2 * 4 - 1
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert (warning.levelname, warning.args[0].where) == ("WARNING", str(drawing.path / "styled/painted/0008.png"))


def test_wide_pictures_are_scaled_down(disc_clip):
    _, page = report(disc_clip(count=1, size=(20, 960), masks=(), keyframes=()))
    data = base64.b64decode(page.images[0].split(",")[1])
    assert cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == (10, 480, 3)


def test_a_clip_with_frames_alone_has_a_page(disc_clip):
    drawing = disc_clip(masks=(), keyframes=())
    text, page = report(drawing)
    assert "8 frames of 48x32" in text
    assert page.videos == []


def test_a_clip_without_frames_is_told(disc_clip):
    drawing = disc_clip(frames=False)
    with pytest.raises(FrameError) as caught:
        report(drawing)
    assert caught.value.where == str(drawing.clip.frames.path)


def test_a_finished_page_stays_where_it_cannot_be_written(drawing, monkeypatch, caplog):
    def denied(path, data):
        raise access_error(path, errno.EROFS)

    monkeypatch.setattr("dreaming.stages.report.write_output", denied)
    with pytest.raises(AccessError):
        ReportStage().run(drawing.clip)
    (drawing.path / "report.html").write_text("finished")
    ReportStage().run(drawing.clip)
    assert (drawing.path / "report.html").read_text() == "finished"
    assert "WARNING" in [record.levelname for record in caplog.records]
