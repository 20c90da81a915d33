"""Between profiles, policies, decisions and protobuf: one function a direction and message."""

from __future__ import annotations

import re
from typing import Any, Final

from index_svc.decision import Decision, DecisionFilter
from index_svc.messages import moment
from index_svc.rule import Rule, RuleKind
from index_svc.texts import checked_text
from matching.thresholds.lanes import Policy
from mesh.errors import InvalidRequest
from mesh.wire import (
    confidence_from_proto,
    confidence_to_proto,
    cutoffs_from_proto,
    cutoffs_to_proto,
    media_type_from_proto,
    media_type_to_proto,
)
from protos import decisions_pb2, thresholds_pb2

_HASH: Final = re.compile(r"([0-9a-f]{64})?", re.ASCII)
_HASHES: Final = ("source_sha256", "target_sha256", "source_pdq", "target_pdq")
_TEXTS: Final = ("request_id", "endpoint", "profile", "policy", "lane", "algorithm")
_MAX_TEXT: Final = 64
_KINDS: Final[dict[int, RuleKind]] = {
    thresholds_pb2.RULE_KIND_PROFILE: RuleKind.PROFILE,
    thresholds_pb2.RULE_KIND_POLICY: RuleKind.POLICY,
}


def kind_from_proto(number: int) -> RuleKind:
    if number not in _KINDS:
        raise InvalidRequest(f"kind has no meaning for {number}", field="kind")
    return _KINDS[number]


def rule_to_proto(rule: Rule) -> thresholds_pb2.Rule:
    updated_at = rule.updated_at.timestamp() if rule.updated_at else 0.0
    message = thresholds_pb2.Rule(name=rule.name, note=rule.note, updated_at=updated_at)
    if isinstance(rule.body, Policy):
        lanes = [thresholds_pb2.Lane(name=name, min_score=floor) for name, floor in rule.body.lanes]
        message.policy.CopyFrom(thresholds_pb2.Policy(lanes=lanes, otherwise=rule.body.otherwise))
    else:
        message.profile.CopyFrom(cutoffs_to_proto(rule.body))
    return message


def rule_from_proto(message: thresholds_pb2.Rule) -> Rule:
    is_policy = message.WhichOneof("body") == "policy"
    return Rule(message.name, _policy(message.policy) if is_policy else cutoffs_from_proto(message.profile), message.note)


def _policy(message: thresholds_pb2.Policy) -> Policy:
    lanes = {lane.name: lane.min_score for lane in message.lanes}
    if len(lanes) < len(message.lanes):
        raise InvalidRequest("a lane is there twice", field="lanes")
    try:
        return Policy.of(lanes, message.otherwise)
    except ValueError as problem:
        raise InvalidRequest(str(problem), field="lanes") from problem


def decision_to_proto(decision: Decision) -> decisions_pb2.Decision:
    return decisions_pb2.Decision(
        number=decision.number,
        at=decision.at.timestamp() if decision.at else 0.0,
        media_type=media_type_to_proto(decision.media_type),
        score=decision.score,
        confidence=confidence_to_proto(decision.confidence),
        is_match=decision.is_match,
        threshold=decision.threshold,
        version=decision.version,
        hits=[decisions_pb2.DecidedHit(asset_id=str(asset), score=score) for asset, score in decision.hits or ()],
        **{name: getattr(decision, name) for name in (*_TEXTS, *_HASHES)},
    )


def decision_from_proto(message: decisions_pb2.Decision) -> Decision:
    """A pair; searches are written where they are made."""
    for name in _HASHES:
        if not _HASH.fullmatch(getattr(message, name)):
            raise InvalidRequest(f"{name} has 64 hexadecimal digits", field=name)
    texts: dict[str, Any] = {name: checked_text(getattr(message, name), name, max_characters=_MAX_TEXT) for name in _TEXTS}
    return Decision(
        media_type=media_type_from_proto(message.media_type),
        score=message.score if message.HasField("score") else None,
        confidence=confidence_from_proto(message.confidence),
        is_match=message.is_match,
        threshold=message.threshold,
        version=message.version,
        **texts,
        **{name: getattr(message, name) for name in _HASHES},
    )


def filter_from_proto(message: decisions_pb2.DecisionFilter) -> DecisionFilter:
    texts = ("endpoint", "policy", "lane", "request_id")
    return DecisionFilter(
        since=moment(message.since, "since") if message.HasField("since") else None,
        until=moment(message.until, "until") if message.HasField("until") else None,
        media_type=media_type_from_proto(message.media_type) if message.media_type else None,
        is_match=message.is_match if message.HasField("is_match") else None,
        min_score=message.min_score if message.HasField("min_score") else None,
        **{name: checked_text(getattr(message, name), name, max_characters=_MAX_TEXT) for name in texts},
    )
