"""Judging what the site decided about a machine, and what the machine told the site. Pure."""

from __future__ import annotations

import re

from lab.judge.causes import decided, told_decision
from lab.judge.evidence import Evidence
from lab.judge.run_checks import MAX_REFERENCES, PXE_LOG, counted, how_often, many, plural, unfinished
from lab.judge.seen import DecisionSeen
from lab.judge.verdict import Cause, Status, Verdict
from lab.scenario.expect import PxeExpectation
from lab.scenario.expectations import PxeCountExpected, PxeExpected, StatusExpected
from lab.yamlio import quoted

_ENDS_A_START = re.compile(r": found \w+ advertisement |: Not serviced\.$")


def check_pxe(item: PxeExpected, evidence: Evidence) -> Verdict:
    """One start's decision, or that of every start."""
    which = f"start {item.start} from the network" if item.start else "a start from the network"
    expected = f"at {which}, the site {_wanted(item.want)}"
    seen = evidence.decisions[item.start - 1 : item.start] if item.start else evidence.decisions
    if not seen:
        status: Status = "falsified" if evidence.complete else "no-evidence"
        number = len(evidence.decisions)
        what = f"the machine started from the network {_times(number)}" if evidence.complete else ""
        return Verdict(status, expected, what or unfinished(evidence), item.place, evidence.end)
    wrong = [decision for decision in seen if not _is_so(item.want, decision)]
    shown = (wrong or list(seen))[0]
    references = tuple(decision.seq for decision in (wrong or seen))[:MAX_REFERENCES]
    told = f"the site {told_decision(shown)}"
    file, line = _log_line(evidence, shown)
    if wrong:
        return Verdict(
            "falsified", expected, told, item.place, references, file, line, _causes(evidence, shown)
        )
    if not item.start and not evidence.complete:  # another start may come
        return Verdict("no-evidence", expected, unfinished(evidence), item.place, references)
    return Verdict("held", expected, told, item.place, references, file, line)


def check_pxe_count(item: PxeCountExpected, evidence: Evidence) -> Verdict:
    expected = f"the machine starts from the network {_times(item.count)}"
    found = len(evidence.decisions)
    status: Status = "held" if found == item.count else "falsified"
    if found <= item.count and not evidence.complete:
        return Verdict("no-evidence", expected, unfinished(evidence), item.place)
    causes = decided(evidence) if status == "falsified" else ()
    references = tuple(decision.seq for decision in evidence.decisions)[:MAX_REFERENCES]
    return Verdict(status, expected, f"it did so {_times(found)}", item.place, references, causes=causes)


def check_status(item: StatusExpected, evidence: Evidence) -> Verdict:
    want = item.want
    what = f" {want.id}" if want.id is not None else ""
    messages = plural(want, "message")
    verb = "says" if messages == "message" else "say"
    says = f" that {verb} {quoted(want.contains)}" if want.contains else ""
    expected = f"the machine sends {how_often(want)} status {messages}{what}{says}"
    with_id = [one for one in evidence.statuses if want.id in (None, one.id)]
    found = [one for one in with_id if want.contains is None or want.contains in one.text]
    status = counted(want, len(found), evidence.complete)
    if status == "no-evidence":
        seen = unfinished(evidence)
    elif found:
        words = f": {quoted(found[0].text, 90)}" if found[0].text else ""
        seen = f"{many(len(found), 'such message')}, first {found[0].id}{words}"
    elif with_id:
        seen = f"{many(len(with_id), 'message')} with that id, first: {quoted(with_id[0].text, 90)}"
    elif evidence.statuses:
        ids = ", ".join(str(number) for number in sorted({one.id for one in evidence.statuses}))
        seen = f"none among {many(len(evidence.statuses), 'message')}, which have the ids {ids}"
    else:
        seen = "the machine sent no status message"
    references = tuple(dict.fromkeys(one.seq for one in found or with_id))[:MAX_REFERENCES]
    return Verdict(status, expected, seen, item.place, references)


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _is_so(want: PxeExpectation, seen: DecisionSeen) -> bool:
    return (
        want.action in (None, seen.action)
        and (want.deployment is None or want.deployment.upper() == seen.deployment.upper())
        and (want.boot_image is None or want.boot_image.upper() == seen.boot_image.upper())
        and want.mandatory in (None, seen.mandatory)
        and want.known in (None, seen.known)
        and (want.device is None or want.device.casefold() == seen.device.casefold())
    )


def _wanted(want: PxeExpectation) -> str:
    known = {True: "a machine that it knows", False: "a machine that it does not know", None: "the machine"}
    who = want.device or known[want.known]
    actions = {
        "boot": "lets {} boot",
        "abort": "sends {} on to its next boot device",
        "ignore": "does not answer {}",
    }
    said = actions.get(want.action or "", "decides about {}").format(who)
    if want.boot_image:
        said += f" with boot image {want.boot_image}"
    if want.deployment is not None:
        said += f" for deployment {want.deployment}" if want.deployment else " for no deployment"
    if want.mandatory is not None:
        said += ", at once" if want.mandatory else ", if F12 is pressed"
    return said


def _causes(evidence: Evidence, decision: DecisionSeen) -> tuple[Cause, ...]:
    wall = evidence.wall(decision.seq)
    return tuple(Cause(wall, f"the site: {reason}", decision.seq) for reason in decision.reasons)


def _log_line(evidence: Evidence, decision: DecisionSeen) -> tuple[str, int | None]:
    """Where SMSPXE.log has the decision, if it has one: the last record with the machine's address of a start
    says what came of it."""
    mac = decision.mac.upper()
    records = [one for one in evidence.pxe_records or () if mac and mac in one.message.upper()]
    ends = [one for one in records if _ENDS_A_START.search(one.message)]
    starts = [one for one in evidence.decisions if one.mac == decision.mac]
    if len(ends) != len(starts):
        return (PXE_LOG, records[0].line) if records else ("", None)
    return PXE_LOG, ends[starts.index(decision)].line
