"""What the modules of the API share: the open clip, names in addresses, and errors as JSON."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, DreamingError, ParameterError
from dreaming.ui.clip_file.cleanup import CleanupFile
from dreaming.ui.clip_file.layers import LayerFile
from dreaming.ui.clip_file.shots import ShotFile
from dreaming.ui.clip_state import EmptyMasks, parts_of
from dreaming.ui.keyframe_store import KeyframeStore
from dreaming.ui.mask_store import MaskStore
from dreaming.ui.part_folders import PartFolders
from dreaming.ui.pictures import Thumbnails
from dreaming.ui.user_files import ABSENT, FileChangedError

T = TypeVar("T")

log = logging.getLogger(__name__)

MAX_UPLOAD = 32 * 2**20
"""Bytes of a request; a black and white mask of 8192x8192 pixels needs less than one tenth."""


@dataclass
class OpenClip:
    """The clip that the page shows.

    Attributes:
        path: Its folder.
        thumbnail_turn: Held while a thumbnail is drawn, so that frames do not wait for many of them.
        propagation_turn: Held while a mask is computed for one frame, which uses all processor cores.
        clip: The clip as it was listed last.
    """

    path: Path
    masks: MaskStore = field(default_factory=MaskStore)
    keyframes: KeyframeStore = field(default_factory=KeyframeStore)
    layers: LayerFile = field(default_factory=LayerFile)
    empty_masks: EmptyMasks = field(default_factory=EmptyMasks)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    thumbnail_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    propagation_turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    clip: Clip = field(init=False)
    cleanup: CleanupFile = field(init=False)
    parts: PartFolders = field(init=False)
    shots: ShotFile = field(init=False)

    def __post_init__(self) -> None:
        self.cleanup = CleanupFile(self.layers.lock)
        self.shots = ShotFile(self.layers.lock)
        self.parts = PartFolders(self.masks, self.layers)
        self.clip = Clip(self.path)  # whose folder need not exist yet: extraction makes it

    def refresh(self) -> Clip:
        """List the clip's folder again.

        Raises:
            ClipError: If it is gone.
        """
        self.check_folder()
        self.clip = Clip(self.path)
        return self.clip

    def check_folder(self) -> None:
        """Refuse a clip that was moved or deleted while its page is open.

        Raises:
            ClipError: If it was.
        """
        if not self.path.is_dir():
            raise ClipError(
                self.path, found="no such folder", expected="the clip that this page shows",
                hint="bring it back, or start dreaming-ui with its new path",
            )  # fmt: skip


CLIP = web.AppKey("CLIP", OpenClip)


@web.middleware
async def report_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn errors that a user can correct into a status and one sentence, as JSON."""
    try:
        return await handler(request)
    except FileChangedError as error:
        sentence = "The file changed on disk since it was opened here."
        return web.json_response({"error": sentence, "version": error.version}, status=409)
    except (DreamingError, ParameterError) as error:
        return web.json_response({"error": str(error)}, status=422)
    except OSError as error:
        log.error("%s", error)
        sentence = f"{error.filename or 'A file'}: {(error.strerror or str(error)).lower()}."
        return web.json_response({"error": sentence}, status=500)


def frame_of(request: web.Request) -> str:
    """The frame's name in the address, which must be one of the clip's."""
    stem = request.match_info["stem"]
    if stem not in request.app[CLIP].clip.frames:
        raise web.HTTPNotFound(text="There is no such frame.")
    return stem


def part_of(request: web.Request) -> str:
    """The part's name in the address, which must be one of the clip's."""
    part = request.match_info["part"]
    if part not in parts_of(request.app[CLIP].clip):
        raise web.HTTPNotFound(text="There is no such part.")
    return part


def expected_version(request: web.Request) -> str:
    """The version of the file that the page read; a write without it could overwrite anything."""
    if request.headers.get("If-None-Match") == "*":
        return ABSENT
    version = request.headers.get("If-Match", "").strip('"')
    if version in ("", "*"):
        raise web.HTTPPreconditionRequired(text="State the version that was opened, in If-Match.")
    return version


async def read_json(request: web.Request, kind: type[T]) -> T:
    """The request's body, which must be JSON of this type."""
    try:
        data = await request.json()
    except ValueError:
        data = None
    if not isinstance(data, kind):
        raise web.HTTPBadRequest(text=f"Send a JSON {kind.__name__}.")
    return data
