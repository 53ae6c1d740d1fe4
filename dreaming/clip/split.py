"""The split of hand masks: training and validation of maskers and ensemble, and test."""

import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

from dreaming.artifacts.record import read_known_record, write_record
from dreaming.errors import ClipError, MaskError
from dreaming.io.frame_folder import FrameFolder, natural_key
from dreaming.io.prefetch import prefetch_map

log = logging.getLogger(__name__)

HOLD_OUT_FROM = 12
"""Number of hand masks showing the subject from which on some are held out; fewer are all needed for training."""

FEWEST_TO_SPLIT = 6
"""Minimum number of hand masks to split: three train the maskers, one validates them, the ensemble gets two."""

Validation: TypeAlias = Literal["auto", "split", "folds"]
"""Whether some masks are held out; ``auto``: as the folders are laid out, else from ``HOLD_OUT_FROM`` masks on."""

SHARES = {"nn_train": 0.5, "nn_valid": 0.1, "ensemble_train": 0.3, "ensemble_valid": 0.1}
AT_ONCE = 2  # masks read
HALVES = ("nn", "ensemble")
USES = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """Frame names by the use of their masks.

    Attributes:
        validation: ``explicit`` (folders by the user), ``split`` (some held out by dreaming) or ``folds`` (none held
            out, so that scores come from cross-validation).
    """

    validation: str
    nn_train: tuple[str, ...] = ()
    nn_valid: tuple[str, ...] = ()
    nn_test: tuple[str, ...] = ()
    ensemble_train: tuple[str, ...] = ()
    ensemble_valid: tuple[str, ...] = ()
    ensemble_test: tuple[str, ...] = ()
    backsub: tuple[str, ...] = ()

    @property
    def nn(self) -> tuple[str, ...]:
        """Names that maskers may see, in training or validation."""
        return self.nn_train + self.nn_valid

    @property
    def bootstrap(self) -> tuple[str, ...]:
        """Names in ``backsub`` alone: only background subtraction is trained on them, and nothing is scored on them."""
        others = {*self.nn, *self.nn_test, *self.ensemble_train, *self.ensemble_valid, *self.ensemble_test}
        return tuple(stem for stem in self.backsub if stem not in others)

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the test masks, which are only used to score results."""
        return self.nn_test + self.ensemble_test

    @property
    def seen(self) -> frozenset[str]:
        """Names whose masks may be used for training or model selection; test masks are not among them."""
        return frozenset(self.nn + self.ensemble_train + self.ensemble_valid + self.bootstrap)


def holds_out(count: int, validation: Validation) -> bool:
    """Whether some masks are held out if this number of hand masks show the subject."""
    return validation == "split" or (validation == "auto" and count >= HOLD_OUT_FROM)


def split_by_count(stems: Sequence[str], validation: Validation = "auto", absent: Container[str] = ()) -> Split:
    """The deterministic split of ``hand_masks/``, each use spread evenly over time.

    The first and the last mask train the maskers, so that no prediction is an extrapolation in time.

    Args:
        stems: Names of the hand-masked frames, in order.
        validation: ``split``: hold some out; ``folds``: hold none out; ``auto``: decide by their number.
        absent: Those that do not show the subject: they do not count, and are distributed last, so that each use gets
            some that do.

    Raises:
        MaskError: If there are too few to hold some out.
    """
    present = [stem for stem in stems if stem not in absent]
    if not holds_out(len(present), validation):
        return Split("folds", nn_train=tuple(stems), backsub=tuple(stems))
    if len(present) < FEWEST_TO_SPLIT:
        raise MaskError(
            "validation",
            topic="too-few-hand-masks",
            found=f"split, and {len(present)} hand masks" + " that show the subject" * (len(present) < len(stems)),
            expected=f"at least {FEWEST_TO_SPLIT} to hold some out",
            hint="paint more, or set it to folds or auto",
        )
    chosen: dict[str, list[str]] = {use: [] for use in SHARES}
    chosen["nn_train"] = [stems[0], stems[-1]]
    for number, stem in enumerate(sorted(stems[1:-1], key=lambda stem: stem in absent), start=3):
        use = max(SHARES, key=lambda use: SHARES[use] * number - len(chosen[use]))
        chosen[use].append(stem)
    ordered = {use: tuple(stem for stem in stems if stem in set(names)) for use, names in chosen.items()}
    return Split("split", **ordered, backsub=ordered["nn_train"])


@dataclass(frozen=True)
class MaskLayout:
    """The folders of one part's hand masks: ``hand_masks/``, or six folders each in ``nn/`` and ``ensemble/``.

    ``hand_masks/`` and ``backsub/`` are listed once.

    Args:
        root: The clip's folder, or ``parts/<part>`` in it.
        frames: The clip's frames, on which the masks of ``hand_masks/`` are painted.
        skipped_frames: Names of the video's frames that were not extracted; their masks in ``hand_masks/`` are ignored.
    """

    root: Path
    frames: FrameFolder
    skipped_frames: frozenset[str] = frozenset()

    @cached_property
    def explicit(self) -> bool:
        """Whether ``nn/`` or ``ensemble/`` exists."""
        return any((self.root / half).is_dir() for half in HALVES)

    @property
    def exists(self) -> bool:
        """Whether there are hand masks at all."""
        return self.explicit or len(self.hand_masks) > 0

    @cached_property
    def _backsub(self) -> FrameFolder:
        return FrameFolder(self.root / "backsub")

    @cached_property
    def hand_masks(self) -> FrameFolder:
        """The folder ``hand_masks/``."""
        return FrameFolder(self.root / "hand_masks", exclude=self.skipped_frames)

    def pairs(self) -> Iterator[tuple[str, FrameFolder, FrameFolder]]:
        """Yield each mask's name, its frame's folder and its own; of ``backsub/``, only names that no other folder has.

        Raises:
            MaskError: If a mask has no frame of its name, or two of the explicit folders hold one of the same name.
            ClipError: If both layouts exist.
        """
        if not self.explicit:
            yield from _pair(self.hand_masks, self.frames)
            return
        if len(self.hand_masks):
            raise ClipError(
                self.root,
                topic="two-layouts-of-masks",
                found="hand_masks/ and nn/ or ensemble/ side by side",
                expected="one layout of masks",
                hint="move the masks of one of them away",
            )
        seen: dict[str, Path] = {}
        for half in HALVES:
            for use in USES:
                masks, frames = (FrameFolder(self.root / half / f"{use}_{side}") for side in ("output", "input"))
                for stem, path in masks.files.items():
                    if stem in seen:
                        raise MaskError(
                            path,
                            topic="two-layouts-of-masks",
                            found=f"a mask that is in {seen[stem].parent.relative_to(self.root)} too",
                            expected="each mask in one folder, so that no masker is evaluated on its training masks",
                            hint="remove one of the two",
                        )
                    seen[stem] = path
                # The 2021 program wrote subfolders with the maskers' outputs here, instead of frames.
                yield from _pair(masks, frames if len(frames) else self.frames)
        yield from _pair(self._backsub, self.frames, exclude=seen)

    @property
    def folders(self) -> list[FrameFolder]:
        """All folders of masks."""
        if not self.explicit:
            return [self.hand_masks]
        return [*(self._masks(half, use) for half in HALVES for use in USES), self._backsub]

    def absent(self) -> dict[str, Path]:
        """The masks without foreground, by name; none if all masks are empty."""
        masks = [(stem, folder) for folder in self.folders for stem in folder.stems]
        shown = prefetch_map(lambda mask: bool(mask[1].read_painted_mask(mask[0]).any()), masks, AT_ONCE)
        absent = {stem: folder.files[stem] for (stem, folder), seen in zip(masks, shown, strict=True) if not seen}
        return absent if len(absent) < len(masks) else {}

    def split(self, validation: Validation = "auto", absent: Callable[[], Container[str]] | None = None) -> Split:
        """The split by folders, or by count; with ``folds`` only the test masks are held out.

        Args:
            validation: Whether some are held out.
            absent: Returns the masks without foreground; called only if the split depends on them.
        """
        if not self.explicit:
            stems = self.hand_masks.stems
            asked = holds_out(len(stems), validation)
            return split_by_count(stems, validation, (absent or self.absent)() if asked else ())
        named = {f"{half}_{use}": self._stems(half, use) for half in HALVES for use in USES}
        if validation == "folds":
            used = [stem for name, stems in named.items() if not name.endswith("_test") for stem in stems]
            tests = {name: stems for name, stems in named.items() if name.endswith("_test")}
            everything = tuple(sorted(used, key=natural_key))
            return Split("folds", nn_train=everything, backsub=tuple(self._backsub.stems) or everything, **tests)
        return Split("explicit", **named, backsub=tuple(self._backsub.stems) or named["nn_train"])

    def _masks(self, half: str, use: str) -> FrameFolder:
        return FrameFolder(self.root / half / f"{use}_output")

    def _stems(self, half: str, use: str) -> tuple[str, ...]:
        return tuple(self._masks(half, use).stems)


def _pair(
    masks: FrameFolder, frames: FrameFolder, exclude: Container[str] = ()
) -> Iterator[tuple[str, FrameFolder, FrameFolder]]:
    for stem, path in masks.files.items():
        if stem in exclude:
            continue
        if stem not in frames:
            raise MaskError(
                path,
                topic="a-mask-without-its-frame",
                found=f"no frame named {stem} in {frames.path}",
                expected="a mask named like the frame it is painted on",
                hint="rename the mask or add the frame",
            )
        yield stem, frames, masks


def write_split(path: Path, splits: Mapping[str, Split]) -> None:
    """Record the split of each part, with a warning if its masks changed since it was first written."""
    before = read_split(path)
    for part, split in splits.items():
        if part in before and before[part] != split:
            log.warning("%s: the hand masks of %s changed; they are split again (%s)", path, part, split.validation)
    if before != dict(splits):
        write_record(path, {"parts": {part: asdict(split) for part, split in splits.items()}})


def read_split(path: Path) -> dict[str, Split]:
    """The recorded split of each part; empty if none was recorded or the record is of another version."""
    data = read_known_record(path, {"parts": dict[str, dict[str, str | tuple[str, ...]]]})
    if data is None:
        return {}
    names = {f.name for f in fields(Split)}
    if any(record.keys() != names for record in data["parts"].values()):
        log.warning("%s: not used, because it is damaged or of another version", path)
        return {}
    return {part: Split(**record) for part, record in data["parts"].items()}
