"""A page for this machine alone: it names no other host, and its browser asks none."""

from __future__ import annotations

import re
from typing import Any

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'self'"
)
"""What a browser may load for the page: files of this server, and none of any other."""

_META = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>')


class LocalOnly:
    """Middleware that states `POLICY`, and leaves out tags that name other hosts.

    Args:
        app: An ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_policy(message["headers"])
                if _is_html(message["headers"]):
                    start.update(message)
                    return
            elif start and message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                page = without_remote_tags(bytes(body))
                start["headers"] = [
                    (name, str(len(page)).encode() if name == b"content-length" else value)
                    for name, value in start["headers"]
                ]
                await send(dict(start))
                message = {"type": "http.response.body", "body": page}
            await send(message)

        await self.app(scope, receive, answer)


def without_remote_tags(page: bytes) -> bytes:
    """Leave out tags that tell search engines and social networks about a page.

    >>> without_remote_tags(b'<meta property="og:url" content="https://a.b/" /><p>c</p>')
    b'<p>c</p>'
    """
    return _META.sub(b"", page)


def _with_policy(headers: Any) -> list[tuple[bytes, bytes]]:
    return [
        *headers,
        (b"content-security-policy", POLICY.encode()),
        (b"referrer-policy", b"no-referrer"),
    ]


def _is_html(headers: Any) -> bool:
    return any(n == b"content-type" and v.startswith(b"text/html") for n, v in headers)
