"""A page for this machine alone: what it says to a browser, and to a person whose file is bad."""

import asyncio

import pytest

from inference.studio.answers import answering, refusal
from inference.studio.local import POLICY, LocalOnly
from inference.studio.page import HOST, free_port


def _answer(content_type, *parts):
    """Send parts of a body through the middleware: the headers, and the body that come out."""
    sent = []

    async def app(scope, receive, send):
        headers = [(b"content-type", content_type), (b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in parts:
            more = part is not parts[-1]
            await send({"type": "http.response.body", "body": part, "more_body": more})

    async def send(message):
        sent.append(message)

    asyncio.run(LocalOnly(app)({"type": "http"}, None, send))
    return dict(sent[0]["headers"]), b"".join(one["body"] for one in sent[1:])


def test_a_page_names_no_host_and_forbids_all_others():
    page = b'<p>a</p><meta property="og:image" content="https://x.y/z" /><p>'
    headers, body = _answer(b"text/html; charset=utf-8", page, b"b</p>")
    assert body == b"<p>a</p><p>b</p>"
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"content-security-policy"] == POLICY.encode()
    assert "http" not in POLICY


def test_other_files_pass_as_they_are():
    headers, body = _answer(b"text/css", b"a", b"b")
    assert body == b"ab"
    assert headers[b"content-length"] == b"1"


def test_an_answer_is_results_and_a_note():
    assert answering(lambda a: (a, "done"), 1)(3) == [3, '<p class="note">done</p>']
    assert answering(lambda a: (a,), 1)(3) == [3, ""]


@pytest.mark.filterwarnings("ignore")  # Gradio's own, as it is imported
def test_a_refusal_changes_nothing_and_names_the_file_only():
    gradio = pytest.importorskip("gradio")

    def refuse(path):
        raise ValueError(f"{path} is no <mask>.")

    *results, sentence = answering(refuse, 2)("/home/ada/b.png")
    assert results == [gradio.skip(), gradio.skip()]
    assert sentence == '<p class="refusal" role="alert">b.png is no &lt;mask&gt;.</p>'


def test_a_mistake_of_ours_is_no_refusal():
    with pytest.raises(KeyError):
        answering(lambda: {}["a"], 1)()


def test_the_systems_refusals_are_sentences():
    assert "No such file or directory" in refusal(
        FileNotFoundError(2, "No such file or directory")
    )
    assert "Errno" not in refusal(PermissionError(13, "Permission denied", "a.png"))
    assert "Memory ran out" in refusal(MemoryError())


def test_a_port_that_is_taken_is_refused():
    import socket

    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"Port {port} is taken or not allowed"):
            free_port(port)
