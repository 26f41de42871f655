"""Content-Security-Policy: what a page may load and run (https://www.w3.org/TR/CSP3/)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Final, TypedDict, Unpack

from oxidite.errors import ConfigError
from oxidite.extract.base import Description
from oxidite.http.request import Request

__all__ = ["CSP", "NONCE", "CSPDirectives", "CSPNonce", "csp_nonce"]

NONCE: Final = "'nonce'"
"""In a directive: what carries the number that ``csp_nonce`` gave this request."""

_KEY = "oxidite.csp_nonce"
_SOURCE = re.compile(r"[\x21-\x2b\x2d-\x3a\x3c-\x7e]+")  # visible, without "," and ";"
_KEYWORDS = frozenset(
    (
        "none",
        "self",
        "report-sample",
        "strict-dynamic",
        "unsafe-eval",
        "unsafe-hashes",
        "unsafe-inline",
        "wasm-unsafe-eval",
    )
)
_BARE = ("nonce-", "sha256-", "sha384-", "sha512-")
_SWITCHES = frozenset(("upgrade-insecure-requests",))


class CSPDirectives(TypedDict, total=False):
    """The directives of a policy, with ``_`` for ``-``; several sources are a list."""

    default_src: str | Sequence[str]
    script_src: str | Sequence[str]
    script_src_elem: str | Sequence[str]
    script_src_attr: str | Sequence[str]
    style_src: str | Sequence[str]
    style_src_elem: str | Sequence[str]
    style_src_attr: str | Sequence[str]
    img_src: str | Sequence[str]
    font_src: str | Sequence[str]
    connect_src: str | Sequence[str]
    media_src: str | Sequence[str]
    object_src: str | Sequence[str]
    frame_src: str | Sequence[str]
    child_src: str | Sequence[str]
    worker_src: str | Sequence[str]
    manifest_src: str | Sequence[str]
    base_uri: str | Sequence[str]
    form_action: str | Sequence[str]
    frame_ancestors: str | Sequence[str]
    sandbox: str | Sequence[str]
    require_trusted_types_for: str | Sequence[str]
    trusted_types: str | Sequence[str]
    upgrade_insecure_requests: bool


class CSP:
    """A policy: ``CSP(default_src="'self'", script_src=["'self'", NONCE])``.

    With ``NONCE`` in it, a request that asks for its nonce has the field with that; one that does not
    ask has it without, so that nothing inline runs there.

    Raises:
        ConfigError: a directive does not exist, or a source cannot be one.
    """

    def __init__(self, **directives: Unpack[CSPDirectives]) -> None:
        self.directives: dict[str, tuple[str, ...]] = {}
        for key, value in directives.items():
            name = _name(key)
            if name in _SWITCHES:
                if value:
                    self.directives[name] = ()
            else:
                self.directives[name] = _sources(name, value)
        self.has_nonce: bool = any(NONCE in each for each in self.directives.values())

    def extended(self, name: str, *sources: str) -> CSP:
        """Return a copy that has the directive ``name``, unless it is there already."""
        policy = CSP()
        policy.directives = dict(self.directives)
        policy.directives.setdefault(name, sources)
        policy.has_nonce = self.has_nonce
        return policy

    def value(self, nonce: str = "") -> str:
        """Return the value of the field."""
        return "; ".join(
            " ".join((name, *_filled(sources, nonce))) for name, sources in self.directives.items()
        )


def _filled(sources: tuple[str, ...], nonce: str) -> tuple[str, ...]:
    if NONCE not in sources:
        return sources
    own = f"'nonce-{nonce}'"
    filled = tuple(own if each == NONCE else each for each in sources if nonce or each != NONCE)
    return filled or ("'none'",)


def _name(key: str) -> str:
    known = CSPDirectives.__annotations__
    if key not in known:
        close = get_close_matches(key, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"CSP: there is no directive {key!r}.{hint}")
    return key.replace("_", "-")


def _sources(name: str, value: object) -> tuple[str, ...]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Sequence):
        raise ConfigError(f"CSP: {name} is a source or a list of them, not {value!r}.")
    for each in given:
        if not (isinstance(each, str) and _SOURCE.fullmatch(each)):
            raise ConfigError(
                f"CSP: {each!r} cannot be a source of {name}. Several are a list: ['a', 'b']."
            )
        if name.endswith("-src") and (each.lower() in _KEYWORDS or each.lower().startswith(_BARE)):
            raise ConfigError(f"CSP: in {name}, {each} needs quotes of its own: \"'{each}'\".")
    if "'none'" in given and len(given) > 1:
        raise ConfigError(f"CSP: in {name}, 'none' stands alone.")
    return tuple(given)


def csp_nonce(request: Request) -> str:
    """Return the nonce of this request: ``<script nonce="…">`` runs where the policy has ``NONCE``.

    Raises:
        RuntimeError: the fields of the response are made already, without a nonce.
    """
    nonce = request.state.get(_KEY)
    if nonce is None:
        nonce = request.state[_KEY] = secrets.token_urlsafe(16)
    if not nonce:
        raise RuntimeError(
            "The policy of this response is made already, without a nonce. A stream asks for it "
            "before it begins: take `nonce: CSPNonce` as an argument of the handler."
        )
    return str(nonce)


def used_nonce(request: Request, *, is_last: bool) -> str:
    """Return the nonce if anybody has asked for it; from then on nobody may, if that was the last chance."""
    nonce = request.state.get(_KEY, "")
    if not nonce and is_last:
        request.state[_KEY] = ""
    return str(nonce)


class _Nonce:
    def extract(self, request: Request) -> str:
        return csp_nonce(request)

    def describe(self) -> Description:
        return Description("request", str)


CSPNonce = Annotated[str, _Nonce()]
"""The nonce of the request, as an argument: ``nonce: CSPNonce``."""
