"""The style and the script of the error page. Constant text: nothing of a request is put into it."""

from __future__ import annotations

import base64
import hashlib

__all__ = ["POLICY", "SCRIPT", "STYLE"]

STYLE = """
:root{color-scheme:light dark;
--bg:#f6f5f2;--card:#fff;--ink:#1d1c1a;--soft:#6a665f;--line:#e3e0da;--chip:#efede8;
--red:#b3261e;--hit:#fdf0ee;--bar:#d9534a;--mark:#f8cdc8;--link:#1c5fa8;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{
--bg:#131312;--card:#1b1b1a;--ink:#ebe9e5;--soft:#a19d95;--line:#2e2d2b;--chip:#272624;
--red:#ff8d80;--hit:#35201d;--bar:#e5675b;--mark:#70322b;--link:#8ab8ee}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.55 var(--sans)}
code,pre,textarea,.value{font-family:var(--mono);font-size:13px}
h1,h2,h3,p,pre,dl,dd{margin:0}
.wrap{max-width:64rem;margin:0 auto;padding:0 1.5rem}
header{background:var(--card);border-bottom:1px solid var(--line);border-top:4px solid var(--bar)}
header .wrap{padding-top:1.5rem;padding-bottom:1.75rem}
.top{display:flex;flex-wrap:wrap;gap:.75rem 1.5rem;align-items:center;justify-content:space-between}
.request{min-width:0;overflow-wrap:anywhere;color:var(--soft)}
.request code{color:var(--ink)}
.method{font:600 12px/1 var(--mono);background:var(--chip);border-radius:4px;padding:.3em .5em;
margin-right:.5em;color:var(--ink)}
.route{white-space:normal}
.route code{color:var(--soft)}
button{font:500 14px/1 var(--sans);color:var(--ink);background:var(--card);border:1px solid var(--line);
border-radius:6px;padding:.6em .9em;cursor:pointer;white-space:nowrap}
button:hover{background:var(--chip)}
.kind{margin-top:1.5rem;color:var(--red);font:600 15px/1.4 var(--mono);overflow-wrap:anywhere}
.kind .module{opacity:.75;font-weight:400}
h1{font-size:1.7rem;line-height:1.3;font-weight:650;letter-spacing:-.012em;white-space:pre-wrap;
overflow-wrap:anywhere;text-wrap:pretty}
h1.long{font:500 15px/1.6 var(--mono);letter-spacing:0;max-height:24rem;overflow:auto;margin-top:.35rem}
.notes{margin-top:.6rem;color:var(--soft);white-space:pre-wrap;overflow-wrap:anywhere}
.at{margin-top:.75rem;color:var(--soft);overflow-wrap:anywhere}
.at code{color:var(--ink)}
.at .place{user-select:all}
main.wrap{padding-top:.5rem;padding-bottom:2.5rem}
section{margin-top:1.75rem}
h2{font-size:1rem;font-weight:650;margin-bottom:.65rem}
h2 small{font-size:.85rem;font-weight:400;color:var(--soft);margin-left:.4rem}
h3{font-size:.85rem;font-weight:600;color:var(--soft);margin:0 0 .35rem}
.led{border-left:3px solid var(--line);padding-left:1rem}
.led>.said{margin:.15rem 0 .75rem;white-space:pre-wrap;overflow-wrap:anywhere;max-height:16rem;overflow:auto}
.led>.kind{margin-top:0;font-size:14px}
details{min-width:0}
.frame{background:var(--card);border:1px solid var(--line);border-radius:8px;margin-bottom:.6rem;overflow:hidden}
summary{cursor:pointer;list-style:none;display:flex;align-items:baseline;gap:.6rem;padding:.6rem .9rem}
summary::-webkit-details-marker{display:none}
summary::before{content:"";flex:none;width:.4em;height:.4em;border:solid var(--soft);border-width:0 1.5px 1.5px 0;
transform:translateY(-.15em) rotate(-45deg)}
details[open]>summary::before{transform:translateY(-.25em) rotate(45deg)}
summary:hover{background:var(--chip)}
summary:focus-visible,button:focus-visible,a:focus-visible,pre:focus-visible{outline:2px solid var(--link);
outline-offset:-2px}
.call{font-weight:600;overflow-wrap:anywhere;min-width:0}
summary .place{margin-left:auto;color:var(--soft);text-align:right;overflow-wrap:anywhere;min-width:0}
.times{flex:none;font-size:12px;color:var(--soft);background:var(--chip);border-radius:99px;padding:.1em .6em}
.file{display:flex;flex-wrap:wrap;gap:.1rem 1rem;justify-content:space-between;color:var(--soft);
padding:.35rem .9rem;border-top:1px solid var(--line);font-size:13px}
.file code{user-select:all;overflow-wrap:anywhere;font-size:12px}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
.code{overflow-x:auto;border-top:1px solid var(--line);padding:.45rem 0;line-height:1.65;tab-size:4}
.code span{display:block;width:max-content;min-width:100%;padding-right:1.5rem;border-left:3px solid transparent}
.code i{display:inline-block;width:3.6em;padding-right:1.1em;text-align:right;color:var(--soft);opacity:.75;
font-style:normal;user-select:none}
.code .hit{background:var(--hit);border-left-color:var(--bar)}
.code .hit i{color:var(--red);opacity:1}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:.1em 0}
.calls{border:1px dashed var(--line);border-radius:8px;margin-bottom:.6rem;color:var(--soft)}
.calls>summary{font-size:14px;padding:.45rem .9rem;border-radius:8px}
.calls>.inside{padding:.25rem .6rem 0}
.calls .frame{color:var(--ink)}
.gap{color:var(--soft);font-size:14px;padding:.1rem .9rem .7rem}
.vars{border-top:1px solid var(--line)}
.vars>summary{font-size:13px;color:var(--soft);padding:.45rem .9rem}
.vars dl{padding:0 .9rem .6rem}
dl.rows>div{display:grid;grid-template-columns:minmax(7rem,13rem) minmax(0,1fr);gap:.15rem 1rem;
padding:.28rem 0;border-top:1px solid var(--line)}
.vars dl.rows>div:first-child{border-top:0}
dt{color:var(--soft);font:13px/1.55 var(--mono);overflow-wrap:anywhere}
.value{white-space:pre-wrap;overflow-wrap:anywhere}
.masked{color:var(--soft);font-style:italic}
.facts{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.9rem .9rem .6rem}
.facts h3{margin-bottom:.45rem}
.facts dl+h3{margin-top:1.1rem}
.paste{background:var(--card);border:1px solid var(--line);border-radius:8px;overflow:hidden}
textarea{display:block;width:100%;height:18rem;border:0;border-top:1px solid var(--line);padding:.8rem .9rem;
background:transparent;color:inherit;resize:vertical;line-height:1.5}
footer{color:var(--soft);font-size:13px;padding-bottom:3rem}
footer p{overflow-wrap:anywhere}
footer code{user-select:all}
[hidden]{display:none!important}
@media (max-width:36rem){
.wrap{padding-left:.9rem;padding-right:.9rem}
header .wrap{padding-top:1rem;padding-bottom:1.25rem}
.kind{margin-top:1.1rem}
h1{font-size:1.3rem}
summary{flex-wrap:wrap;gap:.1rem .6rem}
.frame>summary{padding-left:1.9rem;position:relative}
.frame>summary::before{position:absolute;left:.9rem;top:1.15em}
summary .place{margin-left:0;text-align:left;flex-basis:100%}
.led{padding-left:.7rem}
.code i{width:3em;padding-right:.8em}
dl.rows>div{grid-template-columns:minmax(0,7rem) minmax(0,1fr);gap:.15rem .75rem}
}
@media print{button{display:none}.frame,.facts{break-inside:avoid}}
"""

SCRIPT = """
(function () {
  var button = document.getElementById("copy");
  var text = document.getElementById("markdown");
  if (!button || !text) return;
  var label = button.textContent;
  function tell(said) {
    button.textContent = said;
    setTimeout(function () { button.textContent = label; }, 2000);
  }
  function select() {
    text.closest("details").open = true;
    text.focus();
    text.select();
    var copied = false;
    try { copied = document.execCommand("copy"); } catch (error) { copied = false; }
    tell(copied ? "Copied" : "Selected: copy it now");
  }
  button.hidden = false;
  button.addEventListener("click", function () {
    if (!navigator.clipboard || !window.isSecureContext) return select();
    navigator.clipboard.writeText(text.value).then(function () { tell("Copied"); }, select);
  });
})();
"""


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


POLICY = (
    f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}; "
    "base-uri 'none'; form-action 'none'"
)
"""Lets the browser run and load these two and nothing else, should an escape ever be missing."""
