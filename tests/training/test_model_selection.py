"""Choosing by a few paired scores."""

from dreaming.training.model_selection import choose, table


def test_the_best_mean_wins_where_it_is_clearly_ahead():
    scores = {"mean": [0.80, 0.81, 0.79], "gated": [0.90, 0.91, 0.89]}
    assert choose(scores, ["mean", "gated"], 1.0) == "gated"
    assert choose(scores, ["gated", "mean"], 1.0) == "gated"


def test_the_more_trusted_wins_where_the_best_is_ahead_by_chance():
    scores = {"trusted": [0.80, 0.90, 0.85], "lucky": [0.90, 0.86, 0.85]}
    assert choose(scores, ["trusted", "lucky"], 1.0) == "trusted"
    assert choose(scores, ["lucky", "trusted"], 1.0) == "lucky"
    assert choose(scores, ["trusted", "lucky"], 0.0) == "lucky"


def test_scores_are_compared_in_pairs():
    """Frames differ by far more than candidates, of which one is better on each frame."""
    scores = {"trusted": [0.20, 0.50, 0.90], "better": [0.22, 0.53, 0.92]}
    assert choose(scores, ["trusted", "better"], 1.0) == "better"


def test_a_lone_score_has_no_error():
    assert choose({"a": [0.5], "b": [0.6]}, ["a", "b"], 1.0) == "b"


def test_the_table_lists_the_best_first():
    assert table({"a": [0.5, 0.7], "b": [0.9]}, "b").endswith("b 0.9000, a 0.6000")
