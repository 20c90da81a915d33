"""What the API's reference shows of scores, profiles, policies and the decision log. Tests hold them against the types."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.analyst import PROFILES, analysis_of
from gateway.examples import REQUEST_ID, SHA256
from matching.thresholds.analysis import Wanted

ANALYSIS: Final[dict[str, Any]] = msgspec.to_builtins(
    analysis_of(
        b"score,label\n0.97,1\n0.91,1\n0.84,1\n0.44,1\n0.52,0\n0.31,0\n0.08,0\n0,0\nhigh,1\n", Wanted(cost=10.0, cutoffs=PROFILES), None
    )
)
_UPDATED: Final = "2026-11-21T10:15:30.120Z"
PROFILE: Final[dict[str, Any]] = {"name": "strict", "cutoffs": {"image": 0.72}, "note": "pilot of November", "updated_at": _UPDATED}
POLICY: Final[dict[str, Any]] = {
    "name": "moderation",
    "lanes": {"auto_block": 0.95, "review": 0.7},
    "otherwise": "pass",
    "note": "",
    "updated_at": _UPDATED,
}
LANES: Final[dict[str, Any]] = {
    "total": 10_431,
    "lanes": {"auto_block": 118, "review": 263, "pass": 10_050},
    "refused": 0,
    "errors": [],
}
DECISIONS: Final = (
    "number,time,request_id,endpoint,media_type,source_sha256,target_sha256,source_pdq,target_pdq,score,confidence,match,threshold,"
    "profile,policy,lane,algorithm,version,hits\r\n"
    f"41,{_UPDATED},{REQUEST_ID},match_image,image,{SHA256},{SHA256},,,1.0,high,true,0.72,strict,moderation,auto_block,sift,3,\r\n"
)
