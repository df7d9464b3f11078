"""A hub of the test's own, on this machine: what huggingface_hub asks of one, and no more."""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest


class FakeHub:
    """Repositories of models, each one commit; one whose token is known is private.

    Attributes:
        files: Content by path, of each repository.
        tokens: The token that a repository asks for.
        asked: Method and path of each request.
    """

    def __init__(self):
        self.files, self.tokens, self.asked = {}, {}, []

    def commit(self, repo):
        """Return the hash of a repository's only commit, which changes with its files."""
        content = b"".join(name.encode() + data for name, data in sorted(self.files[repo].items()))
        return hashlib.sha1(content).hexdigest()

    def answer(self, method, path, token, body):
        """Return a status, headers and content."""
        self.asked.append((method, path))
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["api", "repos", "create"]:
                asked = json.loads(body)
                repo = f"{asked['organization']}/{asked['name']}"
                if token is None:
                    return 401, {}, b"{}"
                status = 409 if repo in self.files else 200
                self.files.setdefault(repo, {})
                return status, {}, json.dumps({"url": f"{self.url}/{repo}"}).encode()
            case ["api", "validate-yaml"]:
                return 200, {}, b'{"warnings": []}'
            case ["api", "models", owner, name, *rest]:
                repo = f"{owner}/{name}"
                if refusal := self._refusal(repo, token):
                    return refusal
                return self._api(repo, rest, body)
            case [owner, name, "resolve", commit, *parts]:
                repo, file = f"{owner}/{name}", "/".join(parts)
                if refusal := self._refusal(repo, token):
                    return refusal
                content = self.files[repo][file]
                etag = hashlib.sha1(content).hexdigest()
                headers = {"ETag": f'"{etag}"', "X-Repo-Commit": commit}
                return 200, headers, content
        return 404, {}, b"{}"

    def _refusal(self, repo, token):
        wanted = self.tokens.get(repo)
        if repo not in self.files or (wanted and token != f"Bearer {wanted}"):
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        return None

    def _api(self, repo, rest, body):
        match rest:
            case ["revision", name] if name not in ("main", self.commit(repo)):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            case ["revision", _] | []:
                info = {"id": repo, "sha": self.commit(repo), "siblings": [], "tags": []}
                return 200, {}, json.dumps(info).encode()
            case ["tree", *_]:
                entries = [
                    {
                        "type": "file",
                        "path": path,
                        "size": len(data),
                        "oid": hashlib.sha1(data).hexdigest(),
                    }
                    for path, data in self.files[repo].items()
                ]
                return 200, {}, json.dumps(entries).encode()
            case ["preupload", _]:
                names = [file["path"] for file in json.loads(body)["files"]]
                files = [
                    {"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names
                ]
                return 200, {}, json.dumps({"files": files}).encode()
            case ["commit", _]:
                for line in body.decode().splitlines():
                    entry = json.loads(line)
                    value = entry["value"]
                    if entry["key"] == "file":
                        content = base64.b64decode(value["content"])
                        self.files[repo][value["path"]] = content
                    elif entry["key"] == "deletedFile":
                        del self.files[repo][value["path"]]
                commit = self.commit(repo)
                url = f"{self.url}/{repo}/commit/{commit}"
                done = {"commitUrl": url, "commitOid": commit, "pullRequestUrl": None}
                return 200, {}, json.dumps(done).encode()
        return 404, {}, b"{}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Run a hub for as long as the test does, in the place of the real one."""
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def _answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            token = self.headers.get("Authorization")
            status, headers, content = fake.answer(self.command, path, token, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = _answer

    from huggingface_hub import constants

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        template = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()
