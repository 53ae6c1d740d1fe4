import io
import logging

import pytest
import rich

from dreaming.progress import ConsoleHandler, bar


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
