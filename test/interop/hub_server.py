"""hub_server.py: serves one repository as the hub does, on 127.0.0.1, and answers all requests of huggingface_hub.
test/hub-server.py is the server with faults. SPDX-License-Identifier: MIT"""

import contextlib
import hashlib
import http.server
import json
import os
import threading
from urllib.parse import unquote, urlsplit


def entry(folder, name):
    """Describes a file of the repository as the API does. Weights are LFS files."""
    with open(f"{folder}/{name}", "rb") as f:
        data = f.read()
    out = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
    if not name.endswith(".json"):
        oid = hashlib.sha256(data).hexdigest()
        out["lfs"] = {"oid": oid, "sha256": oid, "size": len(data), "pointerSize": 134}
    return out


class Handler(http.server.BaseHTTPRequestHandler):
    """Handles a request to a server that has the attributes folder, repository and commit."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), "X-Repo-Commit": self.server.commit, **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def listing(self, tree):
        files = [entry(self.server.folder, name) for name in sorted(os.listdir(self.server.folder))]
        if tree:
            return [{**f, "type": "file", "path": f["rfilename"], "oid": f["blobId"]} for f in files]
        name = self.server.repository
        return {"id": name, "modelId": name, "sha": self.server.commit, "private": False, "gated": False,
                "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": files}

    def do_GET(self):
        parts, name = unquote(urlsplit(self.path).path).strip("/").split("/"), self.server.repository.split("/")
        if parts[:4] == ["api", "models", *name]:
            body = json.dumps(self.listing(parts[4:5] == ["tree"])).encode()
            return self.reply(200, body, Content_Type="application/json")
        file = "/".join(parts[4:])
        if parts[:3] != [*name, "resolve"] or file not in os.listdir(self.server.folder):
            return self.reply(404, b"", X_Error_Code="EntryNotFound")
        self.send_file(file)

    do_HEAD = do_GET

    def send_file(self, file):
        with open(f"{self.server.folder}/{file}", "rb") as f:
            data = f.read()
        about = entry(self.server.folder, file)
        headers = {"Accept_Ranges": "bytes", "ETag": f'"{about["blobId"]}"'}
        if "lfs" in about:
            headers.update(ETag=f'"{about["lfs"]["sha256"]}"', X_Linked_Size=len(data))
            headers["X_Linked_ETag"] = headers["ETag"]
        first = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        if first:
            at = int(first)
            headers["Content_Range"] = f"bytes {at}-{len(data) - 1}/{len(data)}"
            return self.reply(206, data[at:], **headers)
        self.reply(200, data, **headers)


@contextlib.contextmanager
def serving(folder, repository, commit):
    """Serves the files of the folder while the block runs. Yields the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.repository, server.commit = folder, repository, commit
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
