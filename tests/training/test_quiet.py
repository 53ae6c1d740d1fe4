"""Lightning's messages are suppressed in a block."""

import logging
import warnings

from dreaming.training.quiet import quiet_lightning


def test_levels_are_restored():
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    with quiet_lightning():
        assert not logger.isEnabledFor(logging.INFO)
    assert logger.level == before


def test_other_warnings_are_shown():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with quiet_lightning():
            warnings.warn("The dataloader does not have many workers", stacklevel=1)
            warnings.warn("another one", stacklevel=1)
    assert [str(each.message) for each in shown] == ["another one"]
