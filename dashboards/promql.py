"""Reading PromQL: a query is parsed before it is asked, and names the series that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import promql_parser

from core.errors import ConfigError

_OPERATORS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


@dataclass(frozen=True)
class Selector:
    """One vector selector of a query."""

    metric: str
    matchers: tuple[tuple[str, str], ...]  # (label, PromQL matcher)

    def with_only(self, *matchers: str) -> str:
        """The same metric with these matchers and no others."""
        return f"{self.metric}{{{', '.join(matchers)}}}"

    def __str__(self) -> str:
        return self.with_only(*(text for _, text in self.matchers))


def parse(expr: str, where: str) -> promql_parser.Expr:
    """The syntax tree; ConfigError when it is no PromQL."""
    try:
        return promql_parser.parse(expr)
    except ValueError as error:
        raise ConfigError(
            f"not valid PromQL: {error}: {expr}", where=where, cure="Correct it in dashboards/queries.py."
        ) from error


def selectors(expr: str, where: str = "query") -> tuple[Selector, ...]:
    """Every series that `expr` reads, each once, in order of appearance."""
    found: dict[Selector, None] = {}

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[Selector(node.name or "", tuple(_matchers(node)))] = None

    promql_parser.walk(parse(expr, where), pre_visit=visit)
    return tuple(found)


def _matchers(node: promql_parser.VectorSelector) -> Iterator[tuple[str, str]]:
    for matcher in node.matchers.matchers:
        value = matcher.value.replace("\\", r"\\").replace('"', r"\"")
        yield matcher.name, f'{matcher.name}{_OPERATORS[str(matcher.op)]}"{value}"'
