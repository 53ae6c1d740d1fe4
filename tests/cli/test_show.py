"""``--cfg job``: the config, or a part of it, with the clip's values."""

import pytest
import yaml

from dreaming.cli.config import register_resolvers
from dreaming.cli.show import show_config, shows_config
from dreaming.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--cfg", "job"], True),
        (["--cfg=job"], True),
        (["-c", "job"], True),
        (["--cfg", "hydra"], False),
        (["--cfg"], False),
        (["x=1"], False),
    ],
)
def test_the_config_of_a_run_is_ours_to_show(arguments, shown):
    assert shows_config(arguments) is shown


def test_a_part_has_the_values_of_the_clip(tmp_path, capsys):
    register_resolvers()
    (tmp_path / "clip.yaml").write_text("gamma: 2.5")
    show_config("dream", ["--cfg", "job", "--package", "stage.extract", f"clip={tmp_path}"])
    assert yaml.safe_load(capsys.readouterr().out)["gamma"] == 2.5
    show_config("dream", ["--cfg", "job", "-p", "stage.extract.every", f"clip={tmp_path}"])
    assert capsys.readouterr().out == "1\n"
    with pytest.raises(ConfigError) as refused:
        show_config("dream", ["--cfg", "job", "--package", "nosuch", f"clip={tmp_path}"])
    assert refused.value.where == "--package"
