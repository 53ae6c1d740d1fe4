"""The program ``dreaming-ui``: a local web page over a clip folder."""

import argparse
import sys
from pathlib import Path

from dreaming import __version__
from dreaming.artifacts.record import read_record
from dreaming.cli.system_errors import check_working_folder, system_error
from dreaming.clip.clip import Clip
from dreaming.errors import ClipError, DreamingError, VideoError
from dreaming.io.file_pattern import existing_path, printable

USER_ERROR = 2


def main() -> None:
    """Entry point of ``dreaming-ui``."""
    arguments = _parser().parse_args()
    try:
        check_working_folder()
        run(arguments)
    except (DreamingError, OSError) as error:
        explained = error if isinstance(error, DreamingError) else system_error(error)
        if explained is None:
            raise
        print(f"dreaming-ui: {printable(str(explained))}", file=sys.stderr)
        sys.exit(USER_ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dreaming-ui", description="Paint masks and run stages on a local web page; Ctrl-C ends the server."
    )
    parser.add_argument(
        "path", nargs="?", type=Path, default=Path(), help="clip folder, or video; by default the working folder"
    )
    parser.add_argument("--port", type=_port, help="TCP port; by default 8747, or any other one if that is in use")
    parser.add_argument("--version", action="version", version=f"dreaming {__version__}")
    parser.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"found {port}, expected 1 to 65535")
    return port


def run(arguments: argparse.Namespace) -> None:
    """Serve the page of a clip folder or of a video.

    Raises:
        ClipError: If the path is no clip folder, or the video's clip folder belongs to another video.
        VideoError: If it does not exist.
    """
    from dreaming.ui.server import serve  # here, because --help must be quick

    clip, video = find_clip(Path(existing_path(str(arguments.path)) or arguments.path))
    serve(clip, video=video, port=arguments.port, opens_browser=not arguments.no_browser)


def find_clip(path: Path) -> tuple[Path, Path | None]:
    """The clip folder to open, and the video to extract its frames from.

    For a video, the folder is ``clips/<name>`` in the working folder, as in README. It need not exist.

    Raises:
        ClipError: If a folder is no clip, or the video's folder holds frames of something else.
        VideoError: If the path does not exist.
    """
    if path.is_dir():
        clip = Clip(path)
        if not len(clip.frames) and not any(path.glob("source.*")):
            raise ClipError(
                path, found="no frames", expected="a clip folder with frames/, or a video",
                hint="name a video, or put frames into frames/",
            )  # fmt: skip
        return path, None
    if not path.is_file():
        raise VideoError(path, found="no such file or folder", expected="a clip folder or a video")
    folder = Path("clips") / path.stem
    recorded = (read_record(folder / "source.json") or {}).get("path")
    if len(Clip(folder).frames) and recorded != str(path.resolve()):
        raise ClipError(
            folder, found=f"frames of {recorded or 'your own'}", expected=f"a new folder, or one of {path}",
            hint="rename the video or the folder",
        )  # fmt: skip
    return folder, path
