"""browser.py FOLDER IGV PAGE PICTURE: serves FOLDER, and the folder IGV as /igv, on
127.0.0.1; opens PAGE in a headless chromium; prints the JSON of what its promise
`answer` gives; and writes a picture of its element #igv. SPDX-License-Identifier: MIT"""
import base64, fcntl, http.server, itertools, json, mimetypes, os, re, signal, subprocess, sys, tempfile, threading

folder, igv, page, picture = sys.argv[1:]
mimetypes.add_type("text/javascript", ".js")


class Files(http.server.BaseHTTPRequestHandler):
    """Whole files, and the ranges by which a browser reads bigWig and FASTA."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        path = igv + path[4:] if path.startswith("/igv/") else folder + path
        if not os.path.isfile(path): return self.send_error(404)
        with open(path, "rb") as f: data = f.read()
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        beg, end = (int(part[1]), min(int(part[2]) + 1, len(data))) if part else (0, len(data))
        self.send_response(206 if part else 200)
        if part: self.send_header("Content-Range", f"bytes {beg}-{end - 1}/{len(data)}")
        self.send_header("Content-Type", mimetypes.guess_type(path)[0] or "application/octet-stream")
        self.send_header("Content-Length", str(end - beg))
        self.end_headers()
        self.wfile.write(data[beg:end])

    def log_message(self, *_): pass


class Browser:
    """The DevTools protocol: JSON that ends in a zero byte, to descriptor 3 and from 4 of chromium."""

    def __init__(self, home):
        theirs, self.to = os.pipe()
        self.fro, ours = os.pipe()
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs, ours)]
        options = ["--headless", "--no-sandbox", "--window-size=1000,800", f"--user-data-dir={home}/profile",
                   "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-first-run",
                   "--disable-gpu", "--disable-dev-shm-usage", "--disable-crash-reporter",
                   "--disable-extensions", "--disable-background-networking"]
        self.process = subprocess.Popen(["chromium", *options, "--remote-debugging-pipe"],
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        env=dict(os.environ, HOME=home, TMPDIR=home), pass_fds=(3, 4),
                                        preexec_fn=lambda: [os.dup2(fd, n) for n, fd in enumerate(ends, 3)])
        for fd in theirs, ours, *ends: os.close(fd)
        self.heard, self.session, self.number, self.past = b"", None, itertools.count(1), set()

    def hear(self):
        while b"\0" not in self.heard:
            more = os.read(self.fro, 1 << 20)
            if not more: sys.exit("chromium ended")
            self.heard += more
        message, _, self.heard = self.heard.partition(b"\0")
        message = json.loads(message)
        if message.get("method") == "Page.lifecycleEvent":
            self.past.add((message["params"]["loaderId"], message["params"]["name"]))
        return message

    def call(self, method, **params):
        number = next(self.number)
        message = {"id": number, "method": method, "params": params,
            **({"sessionId": self.session} if self.session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data: data = data[os.write(self.to, data):]
        while (said := self.hear()).get("id") != number: pass
        if "error" in said: sys.exit(f"{method}: {said['error']['message']}")
        return said["result"]

    def evaluate(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            details = got["exceptionDetails"]
            sys.exit(f"{expression}: {details.get('exception', details).get('description', got)}")
        return got["result"].get("value")

    def end(self):
        try: os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError: pass
        self.process.wait()


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("took too long"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        b = Browser(home)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            target = b.call("Target.createTarget", url="about:blank")["targetId"]
            b.session = b.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            b.call("Page.enable")
            b.call("Page.setLifecycleEventsEnabled", enabled=True)
            loader = b.call("Page.navigate", url=f"http://127.0.0.1:{server.server_port}/{page}")["loaderId"]
            while (loader, "load") not in b.past: b.hear()
            print(json.dumps(b.evaluate("answer")))
            box = b.evaluate("(({x, y, width, height}) => ({x, y, width, height, scale: 1}))"
                             "(document.querySelector('#igv').getBoundingClientRect())")
            with open(picture, "wb") as f:
                shot = b.call("Page.captureScreenshot", clip=box, captureBeyondViewport=True)
                f.write(base64.b64decode(shot["data"]))
        finally: b.end()


main()
