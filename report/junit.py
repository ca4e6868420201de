"""junit.xml: one suite a phase, one case a check; names are the check ids, so that nights compare.

FAIL is a failure; ERROR, INVALID and NO_DATA are errors with the verdict as their type; SKIPPED is skipped. A gate that
only warns passes, with what it says as the case's output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from core.rundir import iso
from core.words import Phase, Verdict
from report.model import ErrorRow, GateRow, Report

SUITE = "perf-suite"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(report: Report) -> str:
    """The XML document."""
    root = ET.Element("testsuites", name=SUITE, time=f"{report.duration_s:.3f}")
    for phase in (*Phase, None):
        suite = _suite(root, phase or "run", report)
        for check in report.checks:
            if check.phase is phase:
                _case(suite, check.id, check.verdict, check.observed, check.claim)
    _errors_case(suite, report.errors)
    gates = _suite(root, "gates", report)
    for gate in report.gates:
        if gate.severity == "warn" and gate.verdict is not Verdict.SKIPPED:
            _warning(_case(gates, gate.id, Verdict.PASS, "", gate.series), gate)
        else:
            _case(gates, gate.id, gate.verdict, _gate_text(gate), gate.series)
    for element in (*root, root):
        _count(element)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: ET.Element, name: str, report: Report) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=f"{SUITE}.{name}", timestamp=iso(report.started))


def _case(suite: ET.Element, name: str, verdict: Verdict, observed: str, claim: str) -> ET.Element:
    case = ET.SubElement(suite, "testcase", name=name, classname=suite.attrib["name"])
    tags = {Verdict.PASS: None, Verdict.SKIPPED: "skipped", Verdict.FAIL: "failure"}
    tag = tags.get(verdict, "error")
    if tag is None:
        return case
    outcome = ET.SubElement(case, tag, message=_xml_text(observed))
    if verdict is not Verdict.SKIPPED:
        outcome.set("type", verdict)
        outcome.text = _xml_text(claim)
    return case


def _warning(case: ET.Element, gate: GateRow) -> None:
    if gate.verdict is not Verdict.PASS:
        ET.SubElement(case, "system-out").text = _xml_text(f"warning {gate.verdict}: {_gate_text(gate)}")


def _errors_case(suite: ET.Element, errors: Sequence[ErrorRow]) -> None:
    """Always there under one name, so that a night with an error differs from one without by its outcome only."""
    text = "; ".join(f"{row.where}: {row.what}. {row.cure}" for row in errors)
    _case(suite, "every-part-ran", Verdict.ERROR if errors else Verdict.PASS, text, "every requested part could run")


def _gate_text(gate: GateRow) -> str:
    return f"{gate.observed}, wanted {gate.want} ({gate.reduction}, {gate.window.name})"


def _count(element: ET.Element) -> None:
    cases = list(element.iter("testcase"))
    element.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def _xml_text(text: str) -> str:
    """`text` without the characters that XML 1.0 forbids, such as a terminal's colour codes."""
    return _NOT_XML.sub("", text)
