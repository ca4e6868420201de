"""What a query says about its own samples: how far each looks back, which labels its lines have, whether it only grows.

ValueError where the text is not PromQL.
"""

from __future__ import annotations

import re

import promql_parser

_COUNTER = re.compile(r".*_(total|count|sum|bucket)$")


def lookback_s(promql: str) -> float:
    """Seconds before its own moment of which a sample speaks: the widest range in the query, 0 without one."""
    ranges = [node.range.total_seconds() for node in _nodes(promql) if isinstance(node, promql_parser.MatrixSelector)]
    return max(ranges, default=0.0)


def kept_labels(promql: str) -> frozenset[str] | None:
    """Labels by which the query's lines are told apart; None where the query does not name them."""
    aggregates = [node for node in _nodes(promql) if isinstance(node, promql_parser.AggregateExpr)]
    modifiers = [node.modifier for node in aggregates if node.modifier is not None]
    if not aggregates or any(modifier.type != promql_parser.AggModifierType.By for modifier in modifiers):
        return None
    return frozenset(label for modifier in modifiers for label in modifier.labels) - {"le"}


def is_counter(promql: str) -> bool:
    """True where the samples are a counter's own values, which fall only when its process starts again."""
    nodes = _nodes(promql)
    if any(isinstance(node, promql_parser.MatrixSelector) for node in nodes):
        return False
    names = [node.name for node in nodes if isinstance(node, promql_parser.VectorSelector) and node.name]
    return bool(names) and all(_COUNTER.match(name) for name in names)


def _nodes(promql: str) -> list[promql_parser.Expr]:
    found: list[promql_parser.Expr] = []

    def note(node: promql_parser.Expr) -> bool:
        found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(promql), note)
    return found
