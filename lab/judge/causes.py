"""The likely cause of a failure: a chain read from the timeline, from what was answered to what followed."""

from __future__ import annotations

from lab.judge.content_seen import folded
from lab.judge.evidence import Evidence
from lab.judge.seen import ENGINE, WIZARD, DecisionSeen, StepSeen
from lab.judge.verdict import Cause
from lab.sequence.codes import cause as usual_cause
from lab.sequence.codes import describe
from lab.yamlio import quoted

#: How the names begin of what the engine notes of each step.
_KEPT = ("_smstslastaction", "_smstscurrentaction", "_smstsnextinstruction", "_smstsinstruction")


def failing_step(evidence: Evidence) -> StepSeen | None:
    """The step that ended the sequence, or None when it succeeded or came to no end."""
    finish = evidence.finish
    if finish is None or finish.result != "failed":
        return None
    failed = [step for step in evidence.steps if step.result == "failed" and not step.group]
    named = [step for step in failed if step.name == finish.failed_step]
    # A failed step elsewhere (continue on error) is not what ended a sequence whose last step succeeded.
    candidates = named if finish.failed_step else failed
    return candidates[-1] if candidates else None


def engine_failure(evidence: Evidence) -> tuple[Cause, ...]:
    """What the engine logged before a sequence failed that no step's own code explains (a restart that could
    not be made: the step that asked for it has succeeded)."""
    finish = evidence.finish
    if finish is None or finish.result != "failed":
        return ()
    asked = [s.seq for s in evidence.steps if s.name == finish.failed_step and s.seq < finish.seq]
    since = asked[-1] if asked else 0
    records = [r for r in evidence.records if r.severity == "error" and since < r.seq < finish.seq]
    links = [
        Cause(evidence.wall(r.seq), f"{r.component} logged {quoted(' '.join(r.message.split()), 100)}", r.seq)
        for r in records[:2]
    ]
    ended = f"the sequence failed with {describe(finish.code)}"
    return (*links, Cause(evidence.wall(finish.seq), ended, finish.seq)) if links else ()


def lost(evidence: Evidence) -> tuple[Cause, ...]:
    """What led to a sequence without an end: the step that never ended, and what took the machine down."""
    if evidence.not_started is not None and evidence.unfinished is None:
        return decided(evidence)
    if evidence.unfinished is None:
        return ()
    links = [(seq, f"step '{name}' was begun") for seq, name in evidence.begun if seq in evidence.never_ended]
    links = links[-1:]
    links += [
        (effect.seq, f"a double of the scenario answered its command: {effect.message}")
        for effect in evidence.effects
        if effect.how == "doubled" and effect.message and links and effect.seq > links[0][0]
    ]
    links.append((evidence.unfinished.seq, evidence.unfinished.reason))
    return tuple(Cause(evidence.wall(seq), text, seq) for seq, text in links)


def turned_away(evidence: Evidence) -> DecisionSeen | None:
    """The site's decision, where that alone is why nothing began: its reasons are told once, as the cause."""
    last = evidence.decisions[-1] if evidence.decisions else None
    ended = evidence.not_started
    if last is None or ended is None or last.action == "boot" or "; ".join(last.reasons) not in ended.reason:
        return None
    return last


def decided(evidence: Evidence) -> tuple[Cause, ...]:
    """What led to a machine on which nothing began: the site's last decision about it, and its end."""
    links: list[Cause] = []
    for decision in evidence.decisions[-1:]:
        wall = evidence.wall(decision.seq)
        links += [Cause(wall, f"the site: {reason}", decision.seq) for reason in decision.reasons]
        if turned_away(evidence) is None:
            links.append(Cause(wall, f"the site {told_decision(decision)}", decision.seq))
        links += [
            Cause(evidence.wall(place.seq), place.told, place.seq)
            for place in evidence.locations
            if not place.known and place.seq > decision.seq
        ]
    if evidence.not_started is not None and turned_away(evidence) is None:
        seq, reason = evidence.not_started.seq, evidence.not_started.reason
        told = any(one.reasons and one.reasons[-1] in reason for one in evidence.decisions[-1:])
        links.append(Cause(evidence.wall(seq), "no sequence began" + ("" if told else f": {reason}"), seq))
    return tuple(links)


def origin(evidence: Evidence, name: str) -> tuple[Cause, ...]:
    """Where a variable has its last value from: a step, or who the site took the machine for and what set it
    on that ground."""
    if name.casefold().startswith(_KEPT):  # seldom told on the timeline, or only where it changes
        return (Cause("", "the engine keeps it, anew at every step"),)
    settings = [one for one in evidence.settings if one.name == name.casefold()]
    last = settings[-1:]
    if last and last[0].by not in (ENGINE, WIZARD):
        return (Cause(evidence.wall(last[0].seq), f"{last[0].by} was the last to set it", last[0].seq),)
    links: list[tuple[int, str]] = []
    for decision in evidence.decisions[-1:]:
        links += [(decision.seq, f"the site: {reason}") for reason in decision.reasons[:1]]
    links += [(one.seq, f"{one.by} set it, and no step") for one in last]
    for policy in evidence.policies[-1:] if not last else ():
        of = f"the policy of {policy.device or 'the unknown computer'} for deployment {policy.deployment}"
        there = name.casefold() in (evidence.variables or {})
        links.append((policy.seq, f"no step set it; {of} {'gave' if there else 'did not give'} it"))
    return tuple(Cause(evidence.wall(seq), text, seq) for seq, text in links)


def told_decision(decision: DecisionSeen) -> str:
    """What the site decided, as a clause that follows it."""
    who = decision.device or "a known machine" if decision.known else "an unknown machine"
    if decision.action == "boot":
        how = "at once" if decision.mandatory else "if F12 is pressed"
        return f"gave {who} boot image {decision.boot_image} {how}, for deployment {decision.deployment}"
    done = {"abort": "sent {} on to its next boot device", "ignore": "did not answer {}"}
    said = done.get(decision.action, "decided otherwise about {}").format(who)
    return f"{said} (deployment {decision.deployment})" if decision.deployment else said


def _failed(step: StepSeen) -> str:
    if step.group:
        return f"group '{step.name}' failed"
    return f"step '{step.name}' failed with {describe(step.code)}"


def chain(evidence: Evidence, step: StepSeen) -> tuple[Cause, ...]:
    """What led to the failure of ``step``, in the order of time, and what came of it."""
    links: list[tuple[int, str]] = []

    def within(seq: int, machine: str) -> bool:
        return step.begun <= seq <= step.seq and machine in (step.machine, "")

    for request in evidence.requests:
        if request.status >= 400 and within(request.seq, request.machine):
            what = request.package or request.path
            links.append((request.seq, f"the distribution point answered {request.status} for {what}"))
    links += [(one.seq, one.told) for one in evidence.refusals if within(one.seq, one.machine)]
    for effect in evidence.effects:
        if effect.code and within(effect.seq, effect.machine):
            said = f": {effect.message}" if effect.message else ""
            if effect.how == "doubled":
                links.append((effect.seq, f"a double of the scenario answered {describe(effect.code)}{said}"))
            else:
                links.append((effect.seq, f"{effect.effect} failed with {describe(effect.code)}{said}"))
    if links:  # where content is, says only something where it was not to be had
        links += [(place.seq, place.told) for place in evidence.locations if within(place.seq, place.machine)]
    for record in evidence.records:
        if record.severity == "error" and within(record.seq, record.machine):
            text = " ".join(record.message.split())
            links.append((record.seq, f"{record.component} logged {quoted(text, 100)}"))
            break
    if step.group:  # a group has no code of its own
        inner = [
            s for s in evidence.steps if s.result == "failed" and not s.group and within(s.seq, s.machine)
        ]
        links += [(last.seq, _failed(last)) for last in inner[-1:]]
    causes = [Cause(evidence.wall(seq), text, seq) for seq, text in folded(links)]
    causes.append(Cause(evidence.wall(step.seq), _failed(step), step.seq))
    if not links and usual_cause(step.code):
        causes.append(Cause("", f"usual cause of that code: {usual_cause(step.code)}"))
    finish = evidence.finish
    if finish is not None and finish.result == "failed" and finish.failed_step == step.name:
        causes.append(
            Cause(evidence.wall(finish.seq), f"the sequence failed with {describe(finish.code)}", finish.seq)
        )
    return tuple(causes)
