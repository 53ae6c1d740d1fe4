import io
import logging

import pytest
import rich

from dreaming.progress import LINE_SECONDS, ConsoleHandler, bar, step


@pytest.fixture
def console():
    """The console of a process whose output is not a terminal."""
    rich.reconfigure(file=io.StringIO(), width=80, force_terminal=False)
    yield rich.get_console()
    rich.reconfigure()


def test_a_bar_counts_steps_and_time():
    with bar("masks", 3) as progress:
        assert progress.done == 0
        progress.skip(1)
        progress.advance()
        progress.advance("J 0.9")
        assert progress.done == 2
        assert progress.seconds > 0


def test_an_error_passes_through_a_bar():
    with pytest.raises(ValueError, match="mine"), bar("masks", 3):
        raise ValueError("mine")


def test_a_bar_follows_the_time_limit_and_never_counts_below_zero():
    with bar("fit", 1000) as progress:
        progress.started -= 100  # seconds
        progress.advance(limit=7)
        assert progress.remaining() > 90_000
        assert progress.remaining(7) == 7
        assert progress.remaining(-1) == 0


def test_without_a_terminal_a_line_appears_every_half_minute(console, caplog):
    caplog.set_level(logging.INFO)
    with step(3, 6), bar("fit", 1000) as progress:
        progress.skip(10)
        progress.advance()
        assert not caplog.records
        progress._logged -= LINE_SECONDS
        progress.advance("loss 0.5")
        progress.advance()
    (record,) = caplog.records
    assert record.getMessage().startswith("step 3 of 6, fit: 12/1000, ")
    assert record.getMessage().endswith(", loss 0.5")
    with bar("fit", 1) as progress:
        assert progress.title == "fit"


def test_80_columns_show_title_count_and_time():
    rich.reconfigure(file=io.StringIO(), width=80, force_terminal=True)
    try:
        with step(3, 10), bar("guides/dancer/propagated", 1200) as progress:
            progress.advance("loss 0.123, jaccard 0.912 and more that is less important")
            progress._progress.refresh()
            shown = rich.get_console().file.getvalue()
    finally:
        rich.reconfigure()
    assert "step 3 of 10, guides/dancer/propagated: 1/1200, " in shown
    assert " left, " in shown


def test_bars_leave_no_line_where_the_output_is_no_terminal(console):
    with bar("masks", 2) as progress:
        progress.advance()
    assert not console.file.getvalue()


def test_a_record_is_one_line_however_long_and_whatever_it_holds(console):
    message = "[bold]" + "long " * 50 + "[/nothing] end"
    ConsoleHandler().emit(logging.LogRecord("x", logging.WARNING, "f", 1, "%s", (message,), None))
    (line,) = console.file.getvalue().splitlines()
    level, text = line.split(maxsplit=1)
    assert (level, text) == ("WARNING", message)
