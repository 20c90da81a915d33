"""What decides a pair beside its score: the profile and the policy that the request names, and the log that its project keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.access import Caller
from gateway.decision_client import Decided, DecisionClient
from gateway.schemas import MatchOptionFields
from gateway.threshold_client import ThresholdClient
from matching.decision import CUTOFFS
from matching.thresholds.lanes import Policy
from mesh import call
from mesh.errors import InvalidRequest, NotFound
from mesh.media import MatchOptions, MatchResult, MediaType, Profile

DEFAULT: Final = "default"
"""The project's profile that decides where a request names none."""
_RECORD_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Decider:
    """Of one request: what the matcher is told, the lane of a result, and where it is written down."""

    options: MatchOptions
    threshold: float
    profile: str
    policy_name: str
    policy: Policy | None
    endpoint: str
    project: str
    log: DecisionClient | None

    def lane(self, result: MatchResult) -> str | None:
        """None: the request named no policy."""
        return self.policy.lane(result.similarity_score) if self.policy else None

    async def record(self, results: Iterable[MatchResult]) -> None:
        """Before the answer is sent: what is not on disk is not answered."""
        decided = [
            Decided(self.endpoint, result, self.threshold, self.profile, self.policy_name, self.lane(result) or "") for result in results
        ]
        if self.log is not None and decided:
            if call.remaining_seconds() < _RECORD_SECONDS:
                # What a whole batch found is not lost because its last target took all the time.
                call.begin(call.request_id(), _RECORD_SECONDS)
            await self.log.record(self.project, decided)


@dataclass(frozen=True, slots=True)
class Deciders:
    """One a caller and endpoint."""

    thresholds: ThresholdClient
    decisions: DecisionClient
    caller: Caller
    endpoint: str
    medium: MediaType

    async def of(self, wanted: MatchOptionFields) -> Decider:
        """Refuses names that the caller's project does not have."""
        profile = wanted.profile or (DEFAULT if self.medium in self.caller.default_cutoffs else Profile.GENERAL)
        own = await self._own_cutoff(profile) if wanted.profile else self.caller.default_cutoffs.get(self.medium)
        threshold = own if wanted.threshold is None else wanted.threshold
        policy = await self._policy(wanted.policy) if wanted.policy else None
        return Decider(
            options=wanted.options(own),
            threshold=CUTOFFS[self.medium].profiles[profile] if threshold is None else threshold,
            profile=profile if wanted.threshold is None else "",
            policy_name=wanted.policy or "",
            policy=policy,
            endpoint=self.endpoint,
            project=self.caller.project,
            log=self.decisions if self.caller.logs_decisions else None,
        )

    async def _own_cutoff(self, name: str) -> float | None:
        """None: it is a profile of the product."""
        if name in set(Profile):
            return None
        if not self.caller.project:
            raise InvalidRequest(
                f"profile: it is none of {', '.join(Profile)}, and one of your own goes with an API key of its project", field="profile"
            )
        try:
            cutoff = await self.thresholds.cutoff(self.caller.project, name, self.medium)
        except NotFound as problem:
            raise InvalidRequest(
                f"profile: it is none of {', '.join(Profile)}, and the project has none of that name", field="profile"
            ) from problem
        if cutoff is None:
            raise InvalidRequest(f"profile: {name} has no cutoff for {self.medium}", field="profile")
        return cutoff

    async def _policy(self, name: str) -> Policy:
        if not self.caller.project:
            raise InvalidRequest("policy: it goes with an API key of its project", field="policy")
        try:
            return await self.thresholds.policy(self.caller.project, name)
        except NotFound as problem:
            raise InvalidRequest("policy: the project has none of that name", field="policy") from problem
