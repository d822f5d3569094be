"""Lines of a log that were copied out of a viewer into a page, a mail or an issue, one record per line.

On the way tabs become spaces, so the columns are known from the line's end: ``text TSManager 3/30/2016
10:11:29 PM 8920 (0x22D8)`` (CMTrace's window), ``text 14:31:39.566+300 08-15-2024 TSManager 1 1208
engine.cxx:914`` (a PowerShell table), ``text TSManager`` (articles); or from its beginning: ``TSManager
text``, two blanks between. Marks of quoting (``> ``, ``<br>``) are no part of a message. All shapes are
observed. Time is linear in the line.
"""

from __future__ import annotations

import html
import re

#: What writes to smsts.log, as the log spells it (observed). Words that are also plain English only count
#: as a column of their own.
COMPONENTS = frozenset((
    "TSManager", "TSMBootstrap", "TSBootShell", "TSPxe", "TsProgressUI", "TSProgressUI.exe",
    "TSMediaWizardControl", "TSAgent", "TSEnv", "tsenv", "InstallSoftware", "InstallApplication",
    "InstallSWUpdate", "TSLauncher", "smsswd", "smsboot", "OSDDiskPart", "OSDApplyOS",
    "ApplyOperatingSystem", "ApplyDataImage", "OSDDriverClient", "OSDNetSettings", "OSDWinSettings",
    "OSDSetupHook", "OSDSetupWindows", "OSDUpgradeOS", "OSDUpgradeWindows", "OSDUpgradeOperatingSystem",
    "OSDDownloadContent", "OSDRunPowerShellScript", "RunPowerShellScript", "OSDSetDynamicVariables",
    "OSDBitLocker", "OSDOfflineBitlocker", "OSDSMPClient", "OSDMigrateUserState", "OSDCaptureCD",
    "CaptureSystemImage", "OSDPrepareOS", "PrepareOS", "PrepareSMSClient", "OSDPrepareSmsClient",
    "OSDPrestartCheck", "OSDJoin", "smsnetuse", "DCMAgent", "execmgr", "SMSPXE", "TSMessaging",
    "CcmExec", "OSDGina", "SetupWindows",
))  # fmt: skip
_COLUMNS = COMPONENTS | {"Reboot", "DiskPart", "ClientLocation", "ccmsetup", "PrestartCheck"}
_WORD = re.compile(r"[A-Za-z_][\w.-]{0,60}")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_TIME = re.compile(r"\d{1,2}:\d\d:\d\d(?:[.,:]\d{1,7})?(?:[+-]{1,2}\d{1,4})?")
_BIASED = re.compile(r"\d{1,2}:\d\d:\d\d[.]\d{1,7}[+-]{1,2}\d{1,4}")
_HEX = re.compile(r"\(0x[0-9A-Fa-f]{1,8}\)")
_SOURCE = re.compile(r"[\w.-]+:\d{1,6}")
_QUOTED = re.compile(r"(?:>[ \t]?)+")
_BREAK = re.compile(r"(?:<br ?/?>)+", re.IGNORECASE)
_ESCAPES = re.compile(r"\\([\\`*_{}\[\]()<>#+.!|~-])")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')

Fields = dict[str, str]


def marked(text: str) -> Fields | None:
    """A whole record between CMTrace's marks, escaped for HTML or Markdown; None when it is none."""
    if text.startswith("&lt;![LOG["):
        text = html.unescape(text)
    elif text.startswith(("<!\\[LOG", "\\<!\\[LOG")):
        text = _ESCAPES.sub(r"\1", text)
    else:
        return None
    close = text.rfind("]LOG]!>")
    if not text.startswith("<![LOG[") or close < 0:
        return None
    found: Fields = dict(_ATTRIBUTE.findall(text[close:]))
    return {"message": text[7:close], **found} if "time" in found else None


def unquoted(text: str) -> str:
    """The line without the marks of the page that it was quoted on."""
    if text.startswith(">"):
        quoted = _QUOTED.match(text)
        text = text[quoted.end() :] if quoted else text
    if text.endswith(">"):
        at = text.rfind("<", 0, -1)
        if at >= 0 and _BREAK.fullmatch(text, at):
            text = text[:at]
    return text.strip(" \t")


def columns(text: str) -> Fields | None:
    """The columns of a pasted line, by their names; None when it has none that are known."""
    return _window(text) or _table(text) or _named(text)


def _window(text: str) -> Fields | None:
    if not text.endswith(")"):
        return None
    rest, found = _last(text, 4)
    if len(found) < 4 or not _HEX.fullmatch(found[3]) or not found[2].isdigit():
        return None
    half = ""
    if found[1].rstrip(".").upper() in ("AM", "PM"):
        half, time = f" {found[1]}", found[0]
        rest, (date,) = _last(rest, 1) if rest else ("", [""])
    else:
        date, time = found[0], found[1]
    if not _DATE.fullmatch(date) or not _TIME.fullmatch(time) or not rest:
        return None
    message, (component,) = _last(rest, 1)
    if not _WORD.fullmatch(component):
        return None
    thread = f"{found[2]} {found[3]}"
    return {"message": message, "component": component, "date": date, "time": time + half, "thread": thread}


def _table(text: str) -> Fields | None:
    rest, found = _last(text, 6)
    if len(found) < 6 or not _SOURCE.fullmatch(found[5]):
        return None
    if not (_BIASED.fullmatch(found[0]) and _DATE.fullmatch(found[1]) and _WORD.fullmatch(found[2])):
        return None
    time, date, component, kind, thread, file = found
    return {
        "message": rest, "time": time, "date": date, "component": component,
        "type": kind, "thread": thread, "file": file,
    }  # fmt: skip


def _named(text: str) -> Fields | None:
    word = _WORD.match(text)
    if word and word[0] in _COLUMNS:
        after = text[word.end() :]
        if not after or after.startswith(("\t", "  ")):
            return {"message": after.strip(), "component": word[0]}
    rest, found = _last(text, 1)
    if rest and found[0] in COMPONENTS:
        return {"message": rest, "component": found[0]}
    if found and found[0] in _COLUMNS and text[: -len(found[0])].endswith(("\t", "  ")) and rest:
        return {"message": rest, "component": found[0]}
    return None


def _last(text: str, count: int) -> tuple[str, list[str]]:
    """The text before its last ``count`` words, and these."""
    words = text.rsplit(None, count)
    if len(words) <= count:
        return "", words
    return words[0], words[1:]
