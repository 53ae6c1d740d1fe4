"""What a segmenter learns from: hand-masked frames, made-up ones, and the evidence for each of them."""

from functools import cached_property
from typing import Any

from dreaming.data.evidence import ClipEvidence
from dreaming.data.evidence_input import EvidenceInput
from dreaming.data.lucid import Lucid
from dreaming.frames.clip import Clip
from dreaming.frames.references import References


class Lessons:
    """Makes a datamodule's frames and evidence of some of a clip's hand masks; what several folds share, once.

    Args:
        clip: The clip.
        references: All hand-masked frames that any fold learns from.
        evidence: Which evidence the network is given; None: none.
        lucid: How frames are made up; None: not.
    """

    def __init__(self, clip: Clip, references: References, evidence: EvidenceInput | None, lucid: Lucid | None) -> None:
        self._clip, self._references, self._input, self._lucid = clip, references, evidence, lucid

    @cached_property
    def _known(self) -> ClipEvidence:
        assert self._input is not None
        return self._input.of(self._clip, self._references)

    def of(self, learn: References, unseen: References | None) -> dict[str, Any]:
        """Arguments of a datamodule: ``train``, ``valid``, ``made_up``, ``evidence`` and ``valid_evidence``.

        Args:
            learn: What to learn from; nothing else is known of what is not in it.
            unseen: What to judge by.
        """
        given: dict[str, Any] = {"train": learn, "valid": unseen}
        if self._input is None:
            return given | ({"made_up": self._lucid.frames(learn)} if self._lucid else {})
        known = self._known.with_references(learn)
        evidence = self._input.simulated(known, learn.stems)
        if self._lucid is not None:
            given["made_up"], more = self._input.lucid(known, learn, self._lucid)
            evidence += more
        if unseen is not None:
            given["valid_evidence"] = [versions[0] for versions in self._input.whole(known, unseen.stems)]
        return given | {"evidence": evidence}
