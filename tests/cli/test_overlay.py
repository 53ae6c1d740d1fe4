from omegaconf import OmegaConf

from dreaming.cli.overlay import with_clip_settings


def test_clip_yaml_beats_the_config_and_the_command_line_beats_clip_yaml(tmp_path):
    (tmp_path / "clip.yaml").write_text("{gamma: 2.2, start: 3, every: 2, size: [24, 32]}")
    extract = {"gamma": 1.0, "start": 1, "end": None, "every": 1, "size": None}
    asked = OmegaConf.create({"clip": str(tmp_path), "stage": {"extract": {**extract, "every": 5}}})
    found = with_clip_settings(asked, ["stage.extract.every=5"]).stage.extract
    assert found == {"gamma": 2.2, "start": 3, "end": None, "every": 5, "size": [24, 32]}
