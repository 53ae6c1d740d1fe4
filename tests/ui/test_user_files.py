"""Files of the user's are replaced as they were read, and kept."""

import pytest

from dreaming.errors import ClipError
from dreaming.ui.user_files import ABSENT, FileChangedError, check_version, replace_file, version_of


def test_versions_follow_the_content(tmp_path):
    path = tmp_path / "a"
    assert version_of(None) == version_of(path) == ABSENT
    path.write_bytes(b"1")
    first = version_of(path)
    check_version(path, first)
    path.write_bytes(b"2")
    with pytest.raises(FileChangedError) as error:
        check_version(path, first)
    assert error.value.version == version_of(path) != first


@pytest.mark.parametrize("new", ["a.txt", "a.md"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_replaced_file_is_kept_where_asked(disc_clip, new, keep):
    clip = disc_clip(count=1).clip
    old, new = clip.path / "a.txt", clip.path / new
    old.write_bytes(b"1")
    replace_file(clip, old, new, b"2", version_of(old), keep=keep)
    assert new.read_bytes() == b"2"
    assert old.exists() == (old == new)
    assert (clip.path / "trash/a.txt").exists() == keep


def test_links_are_refused(disc_clip, tmp_path):
    clip = disc_clip(count=1).clip
    (tmp_path / "other").write_bytes(b"1")
    (clip.path / "a.txt").symlink_to(tmp_path / "other")
    with pytest.raises(ClipError):
        replace_file(clip, clip.path / "a.txt", clip.path / "a.txt", b"2", version_of(clip.path / "a.txt"))
    assert (tmp_path / "other").read_bytes() == b"1"
