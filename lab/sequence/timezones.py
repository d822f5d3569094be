"""The names of Windows' time zones (documented list): a step's time zone must be one of them."""

from __future__ import annotations

_STANDARD = """
Afghanistan;Alaskan;Aleutian;Altai;Arab;Arabian;Arabic;Argentina;Astrakhan;Atlantic;AUS Central;
Aus Central W.;AUS Eastern;Azerbaijan;Azores;Bahia;Bangladesh;Belarus;Bougainville;Canada Central;Cape Verde;
Caucasus;Cen. Australia;Central America;Central Asia;Central Brazilian;Central Europe;Central European;
Central Pacific;Central;China;Chatham Islands;Cuba;Dateline;E. Africa;E. Australia;E. Europe;
E. South America;Easter Island;Eastern;Egypt;Ekaterinburg;Fiji;FLE;Georgian;GMT;Greenland;Greenwich;GTB;
Haiti;Hawaiian;India;Iran;Israel;Jordan;Kaliningrad;Kamchatka;Korea;Libya;Line Islands;Lord Howe;Magadan;
Magallanes;Marquesas;Mauritius;Mid-Atlantic;Middle East;Montevideo;Morocco;Mountain;Myanmar;
N. Central Asia;Namibia;Nepal;New Zealand;Newfoundland;Norfolk;North Asia East;North Asia;North Korea;Omsk;
Pacific SA;Pacific;Pakistan;Paraguay;Qyzylorda;Romance;Russia Time Zone 10;Russia Time Zone 11;
Russia Time Zone 3;Russian;SA Eastern;SA Pacific;SA Western;Saint Pierre;Sakhalin;Samoa;Sao Tome;Saratov;
SE Asia;Singapore;South Africa;South Sudan;Sri Lanka;Sudan;Syria;Taipei;Tasmania;Tocantins;Tokyo;Tomsk;
Tonga;Transbaikal;Turkey;Turks And Caicos;Ulaanbaatar;US Eastern;US Mountain;Venezuela;Vladivostok;Volgograd;
W. Australia;W. Central Africa;W. Europe;W. Mongolia;West Asia;West Bank;West Pacific;Yakutsk;Yukon
"""
#: Those whose name is not "... Standard Time".
_WHOLE = (
    "UTC", "UTC-11", "UTC-09", "UTC-08", "UTC-02", "UTC+12", "UTC+13", "Central Standard Time (Mexico)",
    "Eastern Standard Time (Mexico)", "Mountain Standard Time (Mexico)", "Pacific Standard Time (Mexico)",
    "Russia Time Zone 3", "Russia Time Zone 10", "Russia Time Zone 11",
)  # fmt: skip

#: Folded name -> name as Windows spells it.
NAMES = {
    name.casefold(): name
    for name in (
        *(f"{name.strip()} Standard Time" for name in _STANDARD.split(";") if "Time Zone" not in name),
        *_WHOLE,
    )
}


def known(name: str) -> str:
    """The zone as Windows spells it, or "" for a name that Windows does not know."""
    return NAMES.get(name.strip().casefold(), "")
