"""Parts are added and renamed with their masks, and clip.yaml follows."""

import shutil

import pytest

from dreaming.errors import ClipError
from dreaming.flow.dis import DisFlow
from dreaming.maskers.flow import FlowMasker
from dreaming.stages.mask import MaskStage
from dreaming.ui.clip_file import editing
from dreaming.ui.clip_file.layers import LayerFile
from dreaming.ui.clip_state import parts_of
from dreaming.ui.mask_store import MaskStore
from dreaming.ui.part_folders import PartFolders
from dreaming.ui.user_files import FileChangedError


@pytest.fixture
def parts():
    return PartFolders(MaskStore(), LayerFile())


def masks(drawing):
    return sorted(path.relative_to(drawing.path).as_posix() for path in drawing.path.rglob("hand_masks/*.png"))


def test_the_masks_of_a_single_subject_move_to_its_part(disc_clip, parts):
    drawing = disc_clip(masks=(1, 4))
    before = drawing.clip.hand_mask("subject", "0004")
    parts.add(drawing.clip, "head")
    assert masks(drawing) == ["parts/subject/hand_masks/0001.png", "parts/subject/hand_masks/0004.png"]
    assert parts_of(drawing.clip) == ["head", "subject"]
    assert (drawing.clip.hand_mask("subject", "0004") == before).all()
    assert [layer.part for layer in drawing.clip.layers] == ["subject"]
    assert not (drawing.path / "hand_masks").exists()


@pytest.mark.parametrize("change", ["add", "rename", "rename twice", "add and rename"])
def test_predicted_masks_follow_their_part_and_are_not_made_again(disc_clip, parts, change):
    drawing = disc_clip(count=5, size=(16, 24), masks=(1, 4))
    MaskStage({"flow": FlowMasker(DisFlow())}).run(drawing.clip)
    drawing.clip.mattes("subject", "flow").path.mkdir(parents=True)
    if change != "rename":
        parts.add(drawing.clip, "head") if "add" in change else parts.rename(drawing.clip, "subject", "flow")
    if change != "add":
        parts.rename(drawing.clip, "flow" if change == "rename twice" else "subject", "body")
    name = "subject" if change == "add" else "body"
    (drawing.path / "parts" / "head").is_dir() and shutil.rmtree(drawing.path / "parts" / "head")
    assert drawing.clip.parts == [name]
    before = {path: path.stat().st_mtime_ns for path in drawing.clip.masks(name, "flow").path.glob("*.png")}
    assert len(before) == (5 if change != "rename twice" else 0)  # masks/flow cannot become masks/flow/flow
    assert drawing.clip.mattes(name, "flow").path.is_dir() == bool(before)
    stage = MaskStage({"flow": FlowMasker(DisFlow())})
    stage.run(drawing.clip)
    assert stage.frames_made == 5 - len(before)


def test_a_part_is_added_to_a_clip_without_masks(disc_clip, parts):
    drawing = disc_clip(masks=())
    parts.add(drawing.clip, "head")
    assert parts_of(drawing.clip) == ["head"]
    assert drawing.clip.parts == []


@pytest.mark.parametrize("named", [False, True])
def test_a_part_is_renamed_with_its_layers(disc_clip, parts, named):
    drawing = disc_clip(masks=(1,))
    if named:
        parts.rename(drawing.clip, "subject", "subject-2")
    old = "subject-2" if named else "subject"
    (drawing.path / "clip.yaml").write_text(f"layers: # mine\n- name: painted\n  part: {old} # it\n")
    parts.rename(drawing.clip, old, "dancer")
    assert masks(drawing) == ["parts/dancer/hand_masks/0001.png"]
    assert parts_of(drawing.clip) == drawing.clip.parts == ["dancer"]
    text = " ".join((drawing.path / "clip.yaml").read_text().split())
    assert text == "layers: # mine - name: painted part: dancer # it"
    assert [layer.part for layer in drawing.clip.layers] == ["dancer"]


def test_a_part_without_masks_is_renamed(disc_clip, parts):
    drawing = disc_clip(masks=())
    parts.rename(drawing.clip, "subject", "dancer")
    parts.rename(drawing.clip, "dancer", "singer")
    assert parts_of(drawing.clip) == ["singer"]


@pytest.mark.parametrize("error", [FileChangedError("other"), OSError(28, "full")])
@pytest.mark.parametrize("named", [False, True])
def test_a_part_keeps_its_name_if_the_layers_cannot_be_written(disc_clip, parts, monkeypatch, named, error):
    drawing = disc_clip(masks=(1,))
    if named:
        parts.rename(drawing.clip, "subject", "subject-2")
    old = "subject-2" if named else "subject"
    (drawing.path / "clip.yaml").write_text(f"layers:\n- name: painted\n  part: {old}\n")
    before = sorted(drawing.path.rglob("*"))

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(editing, "replace_file", fail)
    with pytest.raises(type(error)):
        parts.rename(drawing.clip, old, "dancer")
    assert sorted(drawing.path.rglob("*")) == before


def test_a_name_that_a_layer_depends_on_stays(disc_clip, parts):
    drawing = disc_clip(masks=(), keyframes=())
    for part in ("head", "body"):
        drawing.save(f"parts/{part}/hand_masks/0001.png", drawing.truth["0001"])
        drawing.save(f"keyframes/{part}/0001.png", drawing.styled["0001"])
    with pytest.raises(ClipError):
        parts.rename(drawing.clip, "head", "face")
    assert drawing.clip.parts == ["body", "head"]


def test_a_part_that_is_cleaned_up_keeps_its_name(disc_clip, parts):
    drawing = disc_clip(masks=(1,))
    parts.add(drawing.clip, "head")
    (drawing.path / "clip.yaml").write_text("cleanup:\n  subject: [{grow: 1.5}]\n")
    with pytest.raises(ClipError):
        parts.rename(drawing.clip, "subject", "body")
    parts.rename(drawing.clip, "head", "face")
    assert parts_of(drawing.clip) == ["face", "subject"]


@pytest.mark.parametrize(
    "name", ["", " ", "a.", "..", ".a", "a/b", "a\0b", "nul", "x" * 201, "subject", "taken", "Taken"]
)
@pytest.mark.parametrize("method", ["add", "rename"])
def test_names_are_new_and_inside_the_clip(disc_clip, parts, method, name):
    drawing = disc_clip(masks=(1,))
    parts.add(drawing.clip, "taken")
    before = sorted(drawing.path.parent.rglob("*"))
    arguments = [drawing.clip, *(["subject"] if method == "rename" else []), name]
    with pytest.raises(ClipError):
        getattr(parts, method)(*arguments)
    assert sorted(drawing.path.parent.rglob("*")) == before


@pytest.mark.parametrize("method", ["add", "rename"])
def test_masks_of_assigned_uses_stay(disc_clip, parts, method):
    drawing = disc_clip(masks=())
    drawing.save("nn/train_output/0001.png", drawing.truth["0001"])
    before = sorted(drawing.path.rglob("*"))
    with pytest.raises(ClipError):
        parts.add(drawing.clip, "head") if method == "add" else parts.rename(drawing.clip, "subject", "head")
    assert sorted(drawing.path.rglob("*")) == before
