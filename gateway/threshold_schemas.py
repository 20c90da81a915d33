"""The public JSON of what projects decide by: scores looked at, profiles, policies and their lanes."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.schemas import Name, Score
from matching.thresholds.analysis import MAX_COST, MIN_COST, Method, Note, Refusal
from matching.thresholds.lanes import MAX_LANES
from mesh.media import MediaType

Remark = Annotated[str, Meta(max_length=500)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Lanes = Annotated[
    dict[str, Score],
    Meta(
        min_length=1,
        max_length=MAX_LANES,
        description="Each lane's name, and the score from which on it begins; the highest reached holds.",
    ),
]


class AnalysisQuery(msgspec.Struct, kw_only=True):
    """The query of POST /thresholds/analyse."""

    cost: Annotated[float, Meta(ge=MIN_COST, le=MAX_COST, description="What a false positive costs where a miss costs 1.")] = 1.0
    prevalence: Annotated[Share | UnsetType, Meta(description="The share of copies among pairs in earnest; without it, as in the set.")] = (
        UNSET
    )
    # Its lanes are counted, too.
    lanes: Lanes | UnsetType = UNSET
    otherwise: Name = "pass"


class BarBody(msgspec.Struct, kw_only=True):
    """Scores from `start` (inclusive) to `end`; the last bar has the score 1, too."""

    start: Score
    end: Score
    copies: int
    others: int
    unlabelled: int


class CurvePointBody(msgspec.Struct, kw_only=True):
    """Precision is null where nothing is found."""

    cutoff: Score
    recall: Score
    false_positive_rate: Score
    precision: Score | None


class PointBody(msgspec.Struct, kw_only=True):
    """One cutoff. Intervals are those of Clopper and Pearson, 95 %, exact; `cost` is that of one pair where a miss costs 1."""

    name: str
    cutoff: Score
    copies_found: int
    false_positives: int
    misses: int
    recall: Score
    recall_interval: list[Score]
    false_positive_rate: Score
    false_positive_interval: list[Score]
    precision: Score | None
    cost: float


class CurvesBody(msgspec.Struct, kw_only=True):
    """The points of both curves, from nothing found to everything; areas with their 95 % interval by bootstrap."""

    roc_area: Score
    roc_area_interval: list[Score]
    average_precision: Score
    points: list[CurvePointBody]


class RecommendationBody(msgspec.Struct, kw_only=True):
    """The cutoff, its 95 % interval by bootstrap, and the cutoffs that do the same to this set."""

    cutoff: Score
    interval: list[Score]
    same: list[Score]
    method: Method
    notes: list[Note]


class NoRecommendationBody(msgspec.Struct, kw_only=True):
    reason: Refusal
    message: str


class ScoreErrorBody(msgspec.Struct, kw_only=True):
    line: int
    message: str


class AnalysisBody(msgspec.Struct, kw_only=True):
    """Either `recommendation` or `no_recommendation` is null; `curves` is where there are labelled pairs of both kinds."""

    copies: int
    others: int
    unlabelled: int
    refused: int
    errors: list[ScoreErrorBody]
    histogram: list[BarBody]
    curves: CurvesBody | None
    points: list[PointBody]
    recommendation: RecommendationBody | None
    no_recommendation: NoRecommendationBody | None
    # Where the query gives them.
    lanes: dict[str, int] | UnsetType = UNSET


class CutoffsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A medium that is not named is none of the profile's business."""

    image: Score | UnsetType = UNSET
    video: Score | UnsetType = UNSET
    audio: Score | UnsetType = UNSET


class ProfileRequest(msgspec.Struct, kw_only=True):
    """The body of PUT /v1/profiles/{name}."""

    cutoffs: CutoffsBody
    note: Remark = ""


class ProfileBody(msgspec.Struct, kw_only=True):
    name: str
    cutoffs: CutoffsBody
    note: str
    updated_at: str


class ProfileListBody(msgspec.Struct, kw_only=True):
    profiles: list[ProfileBody]


class PolicyRequest(msgspec.Struct, kw_only=True):
    """The body of PUT /v1/policies/{name}."""

    lanes: Lanes
    otherwise: Name = "pass"
    note: Remark = ""


class PolicyBody(msgspec.Struct, kw_only=True):
    name: str
    lanes: dict[str, Score]
    otherwise: str
    note: str
    updated_at: str


class PolicyListBody(msgspec.Struct, kw_only=True):
    policies: list[PolicyBody]


class DecisionFilterFields(msgspec.Struct, kw_only=True):
    """Those that are given must hold."""

    since: Annotated[str | UnsetType, Meta(description="From this time on (RFC 3339).")] = UNSET
    until: Annotated[str | UnsetType, Meta(description="Before this time.")] = UNSET
    type: MediaType | UnsetType = UNSET
    match: bool | UnsetType = UNSET
    endpoint: Annotated[str, Meta(max_length=64)] = ""
    request_id: Annotated[str, Meta(max_length=64)] = ""
    min_score: Score | UnsetType = UNSET


class DryRunRequest(DecisionFilterFields, kw_only=True):
    """The body of POST /v1/lanes: `policy`, or `lanes` and `otherwise`; and which decisions it is tried on."""

    policy: Name | UnsetType = UNSET
    lanes: Lanes | UnsetType = UNSET
    otherwise: Name = "pass"


class DryRunQuery(msgspec.Struct, kw_only=True):
    """The query, where scores are posted instead; lanes as JSON."""

    policy: Name | UnsetType = UNSET
    lanes: Lanes | UnsetType = UNSET
    otherwise: Name = "pass"


class LanesBody(msgspec.Struct, kw_only=True):
    """How many fall in each lane; what found nothing has no score, and falls in the last."""

    total: int
    lanes: dict[str, int]
    refused: int
    errors: list[ScoreErrorBody]


class DecisionQuery(DecisionFilterFields, kw_only=True):
    """The query of GET /v1/decisions."""

    format: Literal["csv", "jsonl"] = "csv"
    after: Annotated[int, Meta(ge=0, le=2**53, description="Only those after this `number`: the last that you have.")] = 0
    limit: Annotated[int, Meta(ge=0, le=1_000_000, description="0: all.")] = 0
    policy: Annotated[str, Meta(max_length=64)] = ""
    lane: Annotated[str, Meta(max_length=64)] = ""
