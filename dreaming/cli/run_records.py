"""Hydra's records of a run, which a run that is refused before it writes anything does not leave behind."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from dreaming.errors import DreamingError
from dreaming.io.atomic import writes_begun
from dreaming.io.locks import FOLDER as LOCKS

MAY_EXIST = ("hydra.run.dir=", "ckpt_path=")
"""Beginnings of the overrides with which a run folder may have existed before."""

_RECORDS: ContextVar[tuple[Path, ...]] = ContextVar("records", default=())
"""Files that Hydra has written for the current run, then the folders of them, from the innermost on."""


def note_records() -> None:
    """Remember the records of the current job, in the job, if its run folder is new and of no other job.

    The jobs of a multirun share a folder; one that the user chose, or whose run is resumed, may hold earlier records.
    """
    hydra = HydraConfig.get()
    chosen = [text for text in (*hydra.overrides.hydra, *hydra.overrides.task) if text.startswith(MAY_EXIST)]
    if hydra.mode is not RunMode.RUN or chosen:
        return
    folder = Path(hydra.runtime.output_dir)
    details = folder / str(hydra.output_subdir)
    files = [details / f"{name}.yaml" for name in ("config", "hydra", "overrides")]
    _RECORDS.set((*files, folder / f"{hydra.job.name}.log", details, folder))


@contextmanager
def removed_on_refusal(clips: Sequence[Path]) -> Iterator[None]:
    """Remove the records of a run, and folders that it created, if it is refused before it writes a file.

    Args:
        clips: The clip folders that the command names, which need not exist.
    """
    new = [folder for clip in clips for folder in (clip, *clip.parents) if not folder.exists()]
    before = writes_begun()
    _RECORDS.set(())
    try:
        yield
    except DreamingError:
        records = _RECORDS.get()
        if writes_begun() == before and records and set(records[-1].rglob("*")) <= set(records):
            _remove(records, clips, new)
        raise


def _remove(records: Sequence[Path], clips: Sequence[Path], new: Sequence[Path]) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) in records:
            handler.close()  # Windows removes no open file
            root.removeHandler(handler)
    runs = [folder for folder in records[-1].parents for clip in clips if clip.absolute() in folder.parents]
    locks = [path for folder in new for path in (*folder.glob(f"{LOCKS}/*.lock"), folder / LOCKS)]
    for path in (*records, *runs, *locks, *new):
        with suppress(OSError):  # a folder with other files, or a file that is not there
            path.rmdir() if path.is_dir() else path.unlink()
