"""A report loads nothing from elsewhere: what is taken out, and what is found when it was not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lab.report.html import addresses_in
from lab.report.offline import foreign_addresses, in_code, make_offline


def embedded(code: str, kind: str = "text/javascript") -> str:
    return f"data:{kind};base64,{base64.b64encode(code.encode()).decode()}"


PAGE = """<!DOCTYPE html><html><head><title>t</title></head><body><div id="app"></div>
<script src="{bundle}"></script>
<script async src="https://tags.example.com/gtag/js?id=G-1"></script>
<script>window.dataLayer = []; function gtag(){{dataLayer.push(arguments);}} gtag('js', new Date());</script>
<script>window.shown = "a log may say https://in-a-string.example.com";</script></body></html>"""


def test_tags_trackers_and_the_bundles_own_addresses_are_taken_out() -> None:
    code = (
        'x("http://www.w3.org/2000/svg"); frame.src = "https://trace.example.dev/next?a=1"; y(`http://${u}`)'
    )
    page = PAGE.replace("https://in-a-string.example.com", "nothing").format(bundle=embedded(code))
    assert len(foreign_addresses(page)) == 2
    made = make_offline(page)
    assert foreign_addresses(made) == []
    assert "gtag" not in made and "example.com" not in made and 'id="app"' in made and "window.shown" in made
    start = made.index("base64,") + 7
    kept = base64.b64decode(made[start : made.index('"', start)]).decode()
    assert kept == 'x("http://www.w3.org/2000/svg"); frame.src = "about:blank"; y(`http://${u}`)'
    assert made.index("Content-Security-Policy") < made.index("<title>")


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://a.example.com/x.js"></script>',
        "<script src=//a.example.com/x.js></script>",
        '<link rel="preconnect" href="https://a.example.com">',
        '<link rel="stylesheet" href="//a.example.com/x.css">',
        '<img src=" https://a.example.com/pixel.gif">',
        '<iframe src="http://a.example.com/"></iframe>',
        '<form action="https://a.example.com/collect"></form>',
        '<div style="background: url(https://a.example.com/x.png)"></div>',
        "<style>@import 'https://a.example.com/x.css';</style>",
        "<style>@import '//a.example.com/x.css';</style>",
        '<div style="background: url(//a.example.com/x.png)"></div>',
        '<img srcset="data:image/png;base64,//8A 1x, https://a.example.com/b.png 2x">',
        '<iframe srcdoc="<img src=https://a.example.com/x>"></iframe>',
        "<script>fetch('https://a.example.com/beacon')</script>",
        "<script>new WebSocket('wss:\\/\\/a.example.com/live')</script>",
        '<meta http-equiv="refresh" content="0; url=https://a.example.com/">',
        f'<script src="{embedded("import(`https://a.example.com/m.js`)")}"></script>',
        f'<link rel="stylesheet" href="{embedded("a{b:url(https://a.example.com/f.woff)}", "text/css")}">',
    ],
)
def test_an_address_that_a_browser_would_load_is_found(planted: str, tmp_path: Path) -> None:
    page = f"<html><head></head><body>{planted}</body></html>"
    assert any("a.example.com" in address for address in foreign_addresses(page))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "index.html").write_text(page)
    assert [where for where, _ in addresses_in(tmp_path)] == ["deep/index.html"]


def test_what_is_only_shown_or_followed_by_a_click_is_none() -> None:
    page = (
        '<p>see https://a.example.com</p><a href="https://a.example.com">more</a><pre>//a.example.com</pre>'
    )
    page += '<img srcset="data:image/png;base64,//8A 1x, data:image/png;base64,//8B.A 2x">'
    assert foreign_addresses(page) == []
    assert list(in_code("http://www.w3.org/1999/xhtml http://localhost:1 https://${host}")) == []


def test_scripts_and_styles_beside_the_page_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("fetch('https://a.example.com/x')")
    (tmp_path / "a.css").write_text("@import url(https://b.example.com/x);")
    (tmp_path / "smsts.txt").write_text("https://c.example.com")
    assert addresses_in(tmp_path) == [
        ("a.css", "https://b.example.com/x"),
        ("a.js", "https://a.example.com/x"),
    ]
