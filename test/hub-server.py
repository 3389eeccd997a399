"""hub-server.py: a small server for tests that behaves as the Hugging Face hub, on 127.0.0.1, with a CDN on a second
port.

hub-server.py OUT ORG/NAME:REV[,REV...]=FOLDER ...   each is a commit with the files of FOLDER

With a key and a certificate in OUT/cert.pem it also speaks TLS, on a third port. Writes OUT/ports (hub and CDN; TLS),
OUT/commits ("ORG/NAME:REV COMMIT" lines) and OUT/log (a line for each request: port, method, path, range, whether the
request had a token, whether it came through a proxy). Ends when OUT is removed.

The first component of a path says how to behave, as several words joined by "+":
  plain      as the hub does
  cdn        weights are redirected to the CDN, which refuses a token
  cut=A,B    the connection breaks at byte A of the weights, after that at byte B ...
  norange    the header Range is ignored
  part       the answer is another part of the file than was requested
  flip       one byte of the weights is wrong
  more       the weights have one byte more than the list says
  busy=N     HTTP 503 for the first N requests of each path; gone=N the same, with the connection cut
  limit      HTTP 429 with Retry-After for the first request of each path
  stall      half of the weights are sent, then nothing
  slow       the weights are sent in small pieces, with pauses
  html, htmlfile, badjson   an HTML page replaces the list, or the weights; the list is JSON of another form
  hostile=NAME              the list has one more file, NAME (escaped)
  nohash, nosize, nocommit, twice, nolist   the list lacks an entry, or has one twice
  loop, plaintext           requests are redirected in a circle, or to the port without TLS
  missing    a listed file does not exist
  proxy407   the server answers as a proxy that requires a password
The server also answers HEAD and /api/models/.../tree, so that huggingface_hub can download from it.
Models named gated or private require the token "good". Without it, a private model seems not to exist.
"""

import hashlib
import http.server
import json
import os
import socket
import socketserver
import ssl
import sys
import threading
import time
import urllib.parse

OUT = sys.argv[1]
REPO = {}  # ORG/NAME -> {revision: commit}
FILES = {}  # ORG/NAME, commit -> {file: bytes}
SEEN = {}  # path -> number of requests
LOCK = threading.Lock()


def is_weights(name):
    return name.endswith((".safetensors", ".bin"))


def load(argument):
    spec, folder = argument.split("=", 1)
    repo, revisions = spec.split(":")
    files = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                files[os.path.relpath(path, folder)] = f.read()
    digest = hashlib.sha1(repo.encode())
    for name in sorted(files):
        digest.update(name.encode() + files[name])
    commit = digest.hexdigest()
    FILES[repo, commit] = files
    REPO.setdefault(repo, {})[commit] = commit
    for revision in revisions.split(","):
        REPO[repo][revision] = commit
        print(f"{repo}:{revision} {commit}", file=COMMITS)


def entry(name, data, how):
    e = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if is_weights(name):
        e["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 133}
        e["blobId"] = "0" * 40
    if "nohash" in how:
        e.pop("blobId")
    if "nosize" in how:
        e.pop("size")
    return e


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *args):
        pass

    # ---- answers ----

    def answer(self, status, body, kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, text, headers=()):
        body = json.dumps({"error": text}).encode()
        self.answer(status, body, headers=[("X-Error-Code", code), ("X-Error-Message", text), *headers])

    def page(self):
        self.answer(200, b"<!DOCTYPE html><html>Please log in</html>", "text/html; charset=utf-8")

    def redirect(self, where):
        self.answer(302, b"Found", "text/plain", [("Location", where)])

    def cut(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    # ---- what is asked ----

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, proxied = self.path, "-"
        if path.startswith("http://"):
            path, proxied = "/" + path.split("/", 3)[3], "proxied"
        token = self.headers.get("Authorization", "")
        asked = self.headers.get("Range", "-")
        what = [self.server.kind, self.command, path, asked, "token" if token else "-", proxied]
        with LOCK:
            with open(os.path.join(OUT, "log"), "a") as f:
                f.write(" ".join(what) + "\n")
            SEEN[path] = SEEN.get(path, 0) + 1
            seen = SEEN[path]
        mode, _, rest = path[1:].partition("/")
        how = dict((word.split("=", 1) + [""])[:2] for word in mode.split("+"))
        try:
            if not self.is_faulty(how, mode, rest, seen):
                self.route(how, mode, rest, token.removeprefix("Bearer "))
        except (ConnectionError, ValueError):
            self.close_connection = True

    def is_faulty(self, how, mode, rest, seen):
        if "proxy407" in how:
            self.answer(407, b"", "text/plain", [("Proxy-Authenticate", 'Basic realm="test"')])
        elif seen <= int(how.get("busy", 0)):
            self.answer(503, b"<html>busy</html>", "text/html")
        elif seen <= int(how.get("gone", 0)):
            self.cut()
        elif "limit" in how and seen == 1:
            self.error(429, "", "Too Many Requests", [("Retry-After", "1")])
        elif "loop" in how:
            self.redirect(f"/{mode}/{rest}")
        elif "plaintext" in how:
            self.redirect(f"http://127.0.0.1:{PORTS[0]}/plain/{rest}")
        else:
            return False
        return True

    def route(self, how, mode, rest, token):
        rest, _, query = rest.partition("?")
        part = [urllib.parse.unquote(x) for x in rest.split("/")]
        if part[:2] == ["api", "models"] and part[4] in ("revision", "tree"):
            self.list(how, "/".join(part[2:4]), part[5], token, part[4] == "tree")
        elif part[2] == "resolve":
            self.file(how, mode, "/".join(part[:2]), part[3], "/".join(part[4:]), token)
        else:
            self.error(404, "", "Sorry, we can't find the page you are looking for.")

    def commit(self, repo, revision, token):
        """Returns the commit, or None after an error answer."""
        if token and token not in ("good", "weak"):
            return self.error(401, "", "Invalid credentials in Authorization header")
        if repo.endswith("/private") and token != "good" or repo not in REPO:
            if token:
                return self.error(404, "RepoNotFound", "Repository not found")
            return self.error(401, "RepoNotFound", "Invalid username or password.")
        if revision not in REPO[repo]:
            return self.error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return REPO[repo][revision]

    def list(self, how, repo, revision, token, as_tree):
        commit = self.commit(repo, revision, token)
        if commit is None:
            return
        if "html" in how:
            return self.page()
        files = [entry(name, data, how) for name, data in sorted(FILES[repo, commit].items())]
        if "hostile" in how:
            files.append({**files[0], "rfilename": urllib.parse.unquote(how["hostile"].replace("~", "%"))})
        if "twice" in how:
            files += files
        found = {"id": repo, "sha": commit, "siblings": files, "private": False, "downloads": 0, "likes": 0, "tags": []}
        if "nocommit" in how:
            found["sha"] = "../../x"
        if "nolist" in how:
            found.pop("siblings")
        if as_tree:
            found = [
                {"type": "file", "path": f["rfilename"], "size": f["size"], "oid": f["blobId"]}
                | ({"lfs": {**f["lfs"], "oid": f["lfs"]["sha256"]}} if "lfs" in f else {})
                for f in files
            ]
        self.answer(200, json.dumps("what?" if "badjson" in how else found).encode())

    def file(self, how, mode, repo, revision, name, token):
        if self.server.kind == "cdn":
            if token:
                return self.error(400, "", "Only one auth mechanism allowed")
            return self.send_file(how, FILES[repo, revision][name], is_weights(name))
        commit = self.commit(repo, revision, token)
        if commit is None:
            return
        if repo.endswith("/gated") and token != "good":
            text = f"Access to model {repo} is restricted. You must have access to it and be authenticated."
            return self.error(403 if token else 401, "GatedRepo", text)
        if name not in FILES[repo, commit] or "missing" in how:
            return self.error(404, "EntryNotFound", "Entry not found")
        if "htmlfile" in how and is_weights(name):
            return self.page()
        if self.command == "HEAD":
            return self.describe(commit, name, FILES[repo, commit][name])
        if "cdn" in how and is_weights(name):
            return self.redirect(f"http://127.0.0.1:{PORTS[1]}/{mode}/{repo}/resolve/{commit}/{name}")
        self.send_file(how, FILES[repo, commit][name], is_weights(name))

    def describe(self, commit, name, data):
        e = entry(name, data, {})
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", '"%s"' % (e["lfs"]["sha256"] if "lfs" in e else e["blobId"]))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()

    def send_file(self, how, data, weights):
        begin = self.headers.get("Range", "")
        begin = int(begin.removeprefix("bytes=").rstrip("-")) if begin and "norange" not in how else 0
        if begin >= len(data) > 0:
            return self.error(416, "", "Range Not Satisfiable")
        if "flip" in how and weights:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if "more" in how and weights:
            data += b"!"
        ends = [int(x) for x in how["cut"].split(",") if int(x) > begin] if "cut" in how and weights else []
        if "stall" in how and weights:
            ends = [len(data) // 2]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            first = begin + ("part" in how)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.send_bytes(data[begin : ends[0] if ends else len(data)], "slow" in how and weights)
        if "stall" in how and weights:
            time.sleep(30)
        if ends:
            self.cut()

    def send_bytes(self, data, slowly):
        size = max(len(data) // 10, 1) if slowly else max(len(data), 1)
        for at in range(0, len(data), size):
            self.wfile.write(data[at : at + size])
            self.wfile.flush()
            if slowly:
                time.sleep(0.05)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, kind):
        self.kind = kind
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *args):
        pass


with open(os.path.join(OUT, "commits"), "w") as COMMITS:
    for a in sys.argv[2:]:
        load(a)
servers = [Server("hub"), Server("cdn")]
if os.path.exists(os.path.join(OUT, "cert.pem")):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(OUT, "cert.pem"))
    servers.append(Server("hub"))
    servers[2].socket = context.wrap_socket(servers[2].socket, server_side=True)
PORTS = [s.server_address[1] for s in servers]
for s in servers:
    threading.Thread(target=s.serve_forever, daemon=True).start()
with open(os.path.join(OUT, "ports.new"), "w") as f:
    print(*PORTS[:2], file=f)
    print(*PORTS[2:], file=f)
os.rename(os.path.join(OUT, "ports.new"), os.path.join(OUT, "ports"))
while os.path.exists(OUT):
    time.sleep(0.5)
