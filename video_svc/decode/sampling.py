"""Which moments of a film are looked at, and which of its packets that takes: fixed by what the file holds, never by the time taken.

The grid: every 1/n s from the first picture on, the picture nearest to it. Key frames: what can be decoded alone, for a first look.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from video_svc.decode.timeline import Timeline

Packets = npt.NDArray[np.bool_]
"""One entry a packet, in the order of decoding."""

MAX_WORK: Final = 5_000_000_000
"""Pixels of H.264 decoded for one film, some 10 s: 180 s of 720p or 120 s of 1080p at 30 a second. A film of more work is looked
at in part: as much of the beginning of each group of pictures as fits. Encoders begin groups where scenes begin, so that two
encodings of a film are looked at in mostly the same places."""

_WORK: Final = {"hevc": 1.5, "vp9": 1.75, "mjpeg": 1.2, "prores": 3.0}
"""Of a pixel, where it is more than that of H.264."""

SKIPPED_SHARE: Final = 0.6
"""Of the pictures that are shown before one that was decoded before them: what the usual pyramid of three holds, nearly."""

PASSES_OVER: Final = frozenset({"h264", "hevc", "vp8", "mpeg4", "mpeg2video", "mpeg1video"})
"""Decoders that know which pictures no other is made from, and need not decode these."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    moments: npt.NDArray[np.float64]
    """Seconds since the first picture, at each of which …"""
    pictures: npt.NDArray[np.float64]
    """… the picture that begins at these seconds is looked at."""
    is_fed: Packets
    is_wanted: Packets
    """The other packets are fed only because pictures are made from them."""


def plan_grid(timeline: Timeline, frames_per_second: float, codec: str, pixels: int) -> Plan:
    """`pixels`: of one picture."""
    moments = np.arange(0.0, max(timeline.duration_seconds, 1e-6), 1.0 / frames_per_second)
    chosen = _on_screen(timeline, moments, tolerance_seconds=0.5 / frames_per_second)
    is_wanted = np.full(len(timeline.seconds), not timeline.has_stamps)  # without stamps, pictures must come out to be counted
    is_wanted[chosen] = True
    is_fed = _needed(timeline, is_wanted)
    share = MAX_WORK / max(1.0, pixels * _WORK.get(codec, 1.0) * _decoded(timeline, is_fed, is_wanted, codec))
    if share < 1.0:
        is_fed = _beginnings(timeline, is_fed, share)
        is_seen = is_fed[chosen]
        moments, chosen, is_wanted = moments[is_seen], chosen[is_seen], is_wanted & is_fed
    return Plan(moments, timeline.seconds[chosen], is_fed, is_wanted)


def plan_key_frames(timeline: Timeline) -> Plan:
    is_wanted = timeline.is_key & timeline.is_shown
    moments = timeline.seconds[is_wanted]
    return Plan(moments, moments, is_wanted, is_wanted)


def plan_first(timeline: Timeline) -> Plan:
    """Everything, for who will stop at the first picture."""
    everything = np.ones(len(timeline.seconds), np.bool_)
    return Plan(np.zeros(1), np.zeros(1), everything, everything)


def _on_screen(timeline: Timeline, moments: npt.NDArray[np.float64], tolerance_seconds: float) -> npt.NDArray[np.intp]:
    """For each moment the packet of the nearest picture; where none is near, of the one that still stands."""
    shown = np.flatnonzero(timeline.is_shown)
    shown = shown[np.argsort(timeline.seconds[shown], kind="stable")]
    seconds = timeline.seconds[shown]
    after = np.searchsorted(seconds, moments, side="right").clip(1, None)
    before, after = after - 1, after.clip(None, len(seconds) - 1)
    is_nearer = seconds[after] - moments < np.minimum(moments - seconds[before], tolerance_seconds)
    return shown[np.where(is_nearer, after, before)]


def _groups(timeline: Timeline) -> list[slice]:
    """From each key frame up to the next, in the order of decoding."""
    starts = [0, *(int(number) for number in np.flatnonzero(timeline.is_key) if number)]
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(timeline.seconds)], strict=True)]


def _needed(timeline: Timeline, is_wanted: Packets) -> Packets:
    """Each group up to the last picture in it that is wanted. Pictures decoded after a key frame but shown before it lean on the
    group before, which is then needed whole."""
    is_fed = np.zeros_like(is_wanted)
    groups = _groups(timeline)
    is_leading = np.concatenate([timeline.seconds[group] < timeline.seconds[group.start] for group in groups])
    for number, group in enumerate(groups):
        following = groups[number + 1] if number + 1 < len(groups) else slice(0, 0)
        wanted = np.flatnonzero(is_wanted[group])
        if (is_wanted & is_leading)[following].any():
            is_fed[group] = True
        elif len(wanted):
            is_fed[group.start : group.start + wanted[-1] + 1] = True
    return _without_orphans(groups, is_leading, is_fed)


def _beginnings(timeline: Timeline, is_fed: Packets, share: float) -> Packets:
    result = np.zeros_like(is_fed)
    groups = _groups(timeline)
    for group in groups:
        fed = np.flatnonzero(is_fed[group])
        result[group.start + fed[: int(np.ceil(share * len(fed)))]] = True
    is_leading = np.concatenate([timeline.seconds[group] < timeline.seconds[group.start] for group in groups])
    return _without_orphans(groups, is_leading, result)


def _without_orphans(groups: list[slice], is_leading: Packets, is_fed: Packets) -> Packets:
    """What leans on a group whose end is missing is not fed either."""
    for before, group in pairwise(groups):
        if not is_fed[before.stop - 1]:
            is_fed[group] &= ~is_leading[group]
    return is_fed


def _decoded(timeline: Timeline, is_fed: Packets, is_wanted: Packets, codec: str) -> float:
    """About how many of the fed packets are decoded."""
    is_backward = timeline.seconds < np.maximum.accumulate(timeline.seconds)
    may_be_skipped = is_fed & ~is_wanted & is_backward if codec in PASSES_OVER else np.zeros_like(is_fed)
    return float(is_fed.sum() - SKIPPED_SHARE * may_be_skipped.sum())
