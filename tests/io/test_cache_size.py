"""The size of a cache is announced before it is written."""

import logging
import shutil

import pytest

from dreaming.errors import SpaceError
from dreaming.io.cache_size import NOTABLE, announce, readable
from dreaming.io.disk_buffer import DiskBuffer


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1500, "1.5 kB"), (2.3e11, "230 GB"), (4e15, "4000 TB")])
def test_sizes(size, text):
    assert readable(size) == text


@pytest.mark.parametrize(("size", "level"), [(NOTABLE, logging.INFO), (NOTABLE / 2, logging.DEBUG)])
def test_only_large_caches_are_worth_a_line(tmp_path, caplog, size, level):
    caplog.set_level(logging.DEBUG)
    announce(tmp_path, "flow", 2, size / 2)
    (record,) = caplog.records
    assert (record.levelno, record.args[:3]) == (level, ("flow", readable(size), 2))


@pytest.mark.parametrize("write", [announce, DiskBuffer])
def test_a_disk_that_cannot_hold_it_is_refused_before_the_work(tmp_path, write):
    with pytest.raises(SpaceError):
        write(tmp_path, "flow", 2, shutil.disk_usage(tmp_path).total)
    assert not list(tmp_path.iterdir())
