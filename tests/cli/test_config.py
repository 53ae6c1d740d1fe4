import os

import pytest
from omegaconf import OmegaConf

from dreaming.artifacts.shard import Shard
from dreaming.cli.config import (
    clip_path,
    config_root,
    informs_only,
    parse,
    parse_shard,
    prepare,
    run_folder,
    thread_count,
)
from dreaming.errors import ConfigError


def config(**keys):
    return OmegaConf.create(keys)


def test_the_config_lies_in_the_checkout():
    assert (config_root() / "conf" / "train.yaml").is_file()
    assert config_root().is_absolute()


def test_overrides_are_found_among_flags():
    parsed = parse(["-m", "clip=a", "stages=[mask]", "--cfg=job", "+x.y=1"])
    assert [override.key_or_group for override in parsed] == ["clip", "stages", "x.y"]
    with pytest.raises(ConfigError, match=r"^b: found no key, expected key=value"):
        parse(["a=1", "b"])
    with pytest.raises(ConfigError, match=r"^c=\[1: "):
        parse(["a=1", "c=[1", "d"])


@pytest.mark.parametrize("text", ["=3", "seed=" + 400 * "{a:" + "1" + 400 * "}", "seed=[", "clip=\udcff"])
def test_what_is_no_override_is_refused(text):
    with pytest.raises(ConfigError):
        parse([text])


@pytest.mark.parametrize("flag", ["--help", "--cfg", "--cfg=job", "--version", "--info", "-h", "-c"])
def test_flags_that_only_inform(flag):
    assert informs_only(["clip=a", flag])
    assert not informs_only(["clip=a", "-m", f"video={flag}"])


def test_shards():
    assert parse_shard(config(shard="2/5")) == Shard(2, 5)
    assert parse_shard(config()) == Shard(1, 1)
    for wrong in ("0/2", "3/2", "1", "1/", "a/b", "1/2/3", "-1/2"):
        with pytest.raises(ConfigError, match="^shard: found '" + wrong):
            parse_shard(config(shard=wrong))


def test_a_clip_may_be_called_by_a_number():
    assert str(clip_path(config(clip=2024))) == "2024"


def test_threads():
    assert thread_count(config(threads=3)) == 3
    assert thread_count(config(threads=None)) >= 1


@pytest.mark.parametrize(("columns", "kept"), [("0", None), ("00", None), ("80", "80")])
def test_a_terminal_of_no_width_is_none(monkeypatch, columns, kept):
    monkeypatch.setattr("sys.argv", ["dreaming"])
    monkeypatch.setenv("COLUMNS", columns)
    prepare()
    assert os.environ.get("COLUMNS") == kept


def test_a_run_to_resume_has_to_be_there(tmp_path):
    assert run_folder(str(tmp_path), "unet", None).startswith(str(tmp_path / "runs" / "unet"))
    for choice in ("last", "best", "first"):
        with pytest.raises(ConfigError) as error:
            run_folder(str(tmp_path), "unet", choice)
        assert (error.value.where, error.value.found) == ("ckpt_path", choice)
    begun = tmp_path / "runs" / "unet" / "2026-01-01"
    begun.mkdir(parents=True)
    (begun / "fingerprint.json").write_text("{}")
    (begun / "best.ckpt").touch()
    for choice in ("last", begun / "best.ckpt"):
        assert run_folder(str(tmp_path), "unet", str(choice)) == str(begun)
