import pytest

from dreaming.progress import bar


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
