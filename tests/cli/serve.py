#!/usr/bin/env python3
"""`cnn serve` over bare sockets: start and stop, every status, what slow, truncated, oversized and random requests do
(nothing to the others). Called by CTest: serve.py PROGRAM."""
import base64
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from serving import PIXELS, Server, ask, is_sanitized, predict, read_answer, request_text, small_model  # noqa: E402

PROGRAM = os.path.abspath(sys.argv.pop(1))
LEFT = bytes(220 if i % 8 < 4 else 30 for i in range(PIXELS))
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
                               "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


def png(path, width, height, grey):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + grey[y * width:(y + 1) * width] for y in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def run(*words):
    return subprocess.run([PROGRAM, "serve", *words], capture_output=True, text=True, timeout=60)


class WithServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.model = small_model(PROGRAM, cls.folder.name)
        cls.server = Server(PROGRAM, cls.model)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, f"the server ended with {code}"


class StartAndStop(WithServer):
    def test_signals_end_it(self):
        for by in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            server = Server(PROGRAM, self.model)
            with server.connect() as waiting:  # a connection that is open does not hold it up
                predict(server, LEFT)
                began = time.monotonic()
                self.assertEqual(server.stop(by), 0)
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual(waiting.recv(1), b"")

    def test_the_port_can_be_had_again_at_once(self):
        server = Server(PROGRAM, self.model)
        predict(server, LEFT)
        server.stop()
        again = Server(PROGRAM, self.model, "--port", str(server.port))
        self.assertEqual(again.port, server.port)
        self.assertEqual(again.stop(), 0)

    def test_only_this_machine_unless_asked(self):
        self.assertIn("http://127.0.0.1:", self.server.said)
        bound = subprocess.run(["sed", "-n", "/ 0A /p", f"/proc/{self.server.process.pid}/net/tcp"],
                               capture_output=True, text=True).stdout
        mine = [line.split()[1] for line in bound.splitlines() if line.split()[1].endswith(f":{self.server.port:04X}")]
        self.assertEqual([address.split(":")[0] for address in mine], ["0100007F"])

    def test_another_address(self):
        server = Server(PROGRAM, self.model, "--host", "0.0.0.0")
        self.assertEqual(ask(server, "GET", "/")[0], 200)
        self.assertEqual(ask(server, "GET", "/", Host="0.0.0.0")[0], 200)
        self.assertEqual(server.stop(), 0)

    def test_wrong_usage(self):
        for words, said in ((), "MODEL is missing"), ((self.model, "--port", "x"), "not a whole number"), \
                ((self.model, "--port", "70000"), "out of range"), ((self.model, "--prot", "1"), "--port"):
            result = run(*words)
            self.assertEqual((result.returncode, said in result.stderr), (2, True), result.stderr)

    def test_failures(self):
        junk = os.path.join(self.folder.name, "junk.safetensors")
        with open(junk, "wb") as file:
            file.write(b"junk" * 100)
        for words, said in (("none.safetensors",), "none.safetensors"), ((junk,), "junk.safetensors"), \
                ((self.model, "--port", str(self.server.port)), "is in use: give another by --port"), \
                ((self.model, "--host", "192.0.2.1"), "cannot listen"), ((self.model, "--host", "no such"), "--host"):
            result = run(*words)
            self.assertEqual((result.returncode, said in result.stderr, result.stderr.count("\n")), (1, True, 1),
                             result.stderr)
            self.assertEqual(result.stdout, "")


class Answers(WithServer):
    def check(self, status, method, path, body=None, **headers):
        got, sent, content = ask(self.server, method, path, body, **headers)
        self.assertEqual(got, status, (method, path, headers, content))
        self.assertEqual({key: sent.get(key) for key in HEADERS}, HEADERS)
        if status != 200:
            self.assertEqual((sent["content-type"], list(json.loads(content))), ("application/json", ["error"]))
        return sent, content

    def test_files(self):
        for path, kind in ("/", "text/html; charset=utf-8"), ("/index.html", "text/html; charset=utf-8"), \
                ("/page.css", "text/css; charset=utf-8"), ("/page.js", "text/javascript; charset=utf-8"), \
                ("/icon.svg", "image/svg+xml"):
            headers, content = self.check(200, "GET", path)
            self.assertEqual(headers["content-type"], kind)
            name = path.strip("/") or "index.html"
            with open(os.path.join(os.path.dirname(__file__), "../../cli/page", name), "rb") as file:
                self.assertEqual(content, file.read())
            status, head, rest = ask(self.server, "HEAD", path, Connection="close")
            self.assertEqual((status, rest), (200, b""))
            self.assertTrue(head.endswith(b"\r\n\r\n"))

    def test_the_page_has_nothing_inline(self):
        page = ask(self.server, "GET", "/")[2].decode()
        self.assertNotIn("style=", page)
        self.assertNotIn("<style", page)
        self.assertNotRegex(page, r"\son\w+=")
        self.assertNotRegex(page, r"<script(?![^>]*src=)")
        self.assertNotRegex(page, r"(src|href)=\"(?![a-z.]+\")")

    def test_model(self):
        model = json.loads(self.check(200, "GET", "/model")[1])
        self.assertEqual((model["model"], model["image"], model["classes"]), ("small", [1, 8, 8], ["0", "1"]))
        self.assertEqual([(layer["name"], layer["shape"]) for layer in model["layers"]],
                         [("conv1", [3, 6, 6]), ("relu1", [3, 6, 6]), ("maxpool1", [3, 3, 3]), ("affine1", [2, 1, 1]),
                          ("softmax1", [2, 1, 1])])

    def test_predictions_are_those_of_cnn_predict(self):
        source = random.Random(1)
        for image in LEFT, LEFT[::-1], source.randbytes(PIXELS), bytes(PIXELS):
            path = os.path.join(self.folder.name, "image.png")
            png(path, 8, 8, image)
            said = json.loads(subprocess.run([PROGRAM, "predict", self.model, path, "--json"], capture_output=True,
                                             check=True).stdout)[0]["classes"]
            ours = predict(self.server, image)
            self.assertEqual({row["class"]: row["probability"] for row in said},
                             {str(i): p for i, p in enumerate(ours["probabilities"])})
            self.assertEqual(ours["class"], said[0]["class"])

    def test_look(self):
        look = json.loads(self.check(200, "POST", "/look", LEFT)[1])
        self.assertEqual(look["probabilities"], predict(self.server, LEFT)["probabilities"])
        sizes = [108, 108, 27, 2, 2]
        values = [base64.b64decode(layer["values"], validate=True) for layer in look["layers"]]
        self.assertEqual([len(one) for one in values], sizes)
        conv, relu = (struct.unpack("108b", one) for one in values[:2])
        scale = [layer["largest"] / 127 for layer in look["layers"]]
        self.assertTrue(any(value < 0 for value in conv) and not any(value < 0 for value in relu))
        for before, after in zip(conv, relu):  # each is right to half a step
            self.assertAlmostEqual(max(before, 0) * scale[0], after * scale[1], delta=(scale[0] + scale[1]) / 2)
        for share, value in zip(look["probabilities"], struct.unpack("2b", values[4])):
            self.assertAlmostEqual(share, value * scale[4], delta=scale[4] / 2 + 1e-6)
        saliency = base64.b64decode(look["saliency"], validate=True)
        self.assertEqual((len(saliency), max(saliency)), (PIXELS, 255))

    def test_the_middle_of_a_larger_image(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(PROGRAM, small_model(PROGRAM, folder, 6))
            self.assertEqual(json.loads(ask(server, "GET", "/model")[2])["image"], [1, 8, 8])
            saliency = base64.b64decode(json.loads(ask(server, "POST", "/look", LEFT)[2])["saliency"])
            rows = [saliency[i:i + 8] for i in range(0, PIXELS, 8)]
            edge = rows[0] + rows[7] + bytes(row[x] for row in rows for x in (0, 7))
            self.assertEqual((max(edge), max(saliency)), (0, 255))
            self.assertEqual(server.stop(), 0)

    def test_hosts(self):
        port = self.server.port
        for host in "127.0.0.1", f"127.0.0.1:{port}", "localhost", f"LocalHost:{port}", "[::1]", f"[::1]:{port}", "10.0.0.7":
            self.check(200, "GET", "/model", Host=host)
        for host in "evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "", ":80", \
                "[evil]", "[::1", "127.0.0.1:x", "127.0.0.1:", "localhost:123456", "user@localhost", "x" * 3000:
            self.check(403, "GET", "/model", Host=host)
        self.check(400, "GET", "/model", Host=None)

    def test_origins(self):
        host = f"127.0.0.1:{self.server.port}"
        self.check(200, "POST", "/predict", LEFT, Origin=f"http://{host}")
        for origin in "http://evil.example", "null", f"https://{host}", f"http://{host}0", "http://127.0.0.1":
            self.check(403, "POST", "/predict", LEFT, Origin=origin)

    def test_paths_and_methods(self):
        for path in "/x", "/page.js/", "//", "/../cli/main.c", "/%2e%2e/etc/passwd", "/index.html%00", "/Model":
            self.check(404, "GET", path)
        for method in "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get":
            self.assertEqual(self.check(405, method, "/", b"" if method == "POST" else None)[0]["allow"], "GET, HEAD")
        for method in "GET", "PUT", "OPTIONS":
            self.assertEqual(self.check(405, method, "/look")[0]["allow"], "POST")

    def test_bodies(self):
        for path in "/predict", "/look":
            self.check(400, "POST", path, LEFT[:-1])
            self.check(413, "POST", path, LEFT + b"\0")
            self.check(413, "POST", path, Content_Type="application/octet-stream", Content_Length="9" * 18)
            self.check(415, "POST", path, LEFT, Content_Type="text/plain")
            self.check(415, "POST", path, LEFT, Content_Type=None)
            self.check(411, "POST", path, Content_Type="application/octet-stream")
            self.check(411, "POST", path, Content_Type="application/octet-stream", Transfer_Encoding="chunked")

    def test_one_connection_after_another_request(self):
        with self.server.connect() as connection, connection.makefile("rb") as stream:
            for path in "/", "/model", "/page.js":
                connection.sendall(request_text("GET", path, self.server.port))
                self.assertEqual(read_answer(stream)[0], 200)
                connection.sendall(request_text("POST", "/predict", self.server.port, LEFT))
                self.assertEqual(read_answer(stream)[0], 200)
            many = b"".join(request_text("POST", "/predict", self.server.port, LEFT) for _ in range(20))
            connection.sendall(many)  # before the first is answered
            self.assertEqual([read_answer(stream)[0] for _ in range(20)], [200] * 20)


class Trouble(WithServer):
    """The others are answered as before, nothing is left behind, and the bad ones are cut off."""

    def setUp(self):
        self.expected = predict(self.server, LEFT)
        self.files = self.server.files()

    def tearDown(self):
        for _ in range(100):  # what was closed here is closed there a moment later, and until then has its place
            if self.server.files() <= self.files:
                break
            time.sleep(0.1)
        self.assertLessEqual(self.server.files(), self.files)
        self.assertEqual(predict(self.server, LEFT), self.expected)

    def test_slow_requests(self):
        text = request_text("POST", "/predict", self.server.port, LEFT)
        ends = {}

        def trickle(name, pieces, pause):
            with self.server.connect(60) as connection:
                began = time.monotonic()
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)
                    connection.recv(1)
                except OSError:
                    pass
                ends[name] = time.monotonic() - began

        kinds = {
            "silent": ([], 0),
            "half a head": ([text[:30]], 0),
            "half a body": ([text[:-30]], 0),
            "a head byte by byte": ([text[i:i + 1] for i in range(30)], 0.5),
            "a body byte by byte": ([text[:-30]] + [text[i:i + 1] for i in range(-30, 0)], 0.5),
        }
        threads = [threading.Thread(target=trickle, args=(name, *kind)) for name, kind in kinds.items()]
        for thread in threads:
            thread.start()
        worst = 0
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            self.assertEqual(predict(self.server, LEFT), self.expected)
            worst = max(worst, time.monotonic() - began)
            time.sleep(0.2)
        for thread in threads:
            thread.join()
        self.assertLess(worst, 3)
        self.assertEqual(set(ends), set(kinds))
        for name, seconds in ends.items():
            self.assertTrue(9 < seconds < 14, f"{name}: cut off after {seconds:.1f} s")

    def test_answers_that_nobody_reads(self):
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", self.server.port))
            many, sent = request_text("GET", "/page.js", self.server.port) * 400, 0
            try:
                while sent < len(many):
                    sent += connection.send(many[sent:sent + 1000])
                connection.recv(1)
                time.sleep(12)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    def test_more_connections_than_there_may_be(self):
        connections = []
        try:
            for _ in range(400):
                connections.append(self.server.connect())
        finally:
            for connection in connections:
                connection.close()

    def test_truncated_requests(self):
        text = request_text("POST", "/look", self.server.port, LEFT)
        for length in range(0, len(text), 3):
            with self.server.connect() as connection:
                connection.sendall(text[:length])

    def test_oversized_requests(self):
        port = self.server.port
        for text in request_text("GET", "/" + "x" * 100000, port), request_text("GET", "/", port, X="y" * 100000), \
                b"x" * 200000, request_text("POST", "/look", port, bytes(5000000)), \
                request_text("GET", "/", port, **{f"H{i}": "v" for i in range(5000)}):
            with self.server.connect() as connection, connection.makefile("rb") as stream:
                try:
                    connection.sendall(text)
                    line = stream.readline()
                except OSError:
                    line = b""
                self.assertNotIn(b" 200 ", line)

    def test_random_requests(self):
        source = random.Random(5)
        port = self.server.port
        whole = [request_text("POST", "/look", port, LEFT), request_text("POST", "/predict", port, LEFT),
                 request_text("GET", "/", port), request_text("GET", "/model", port, Origin=f"http://127.0.0.1:{port}")]
        words = [b"\r\n", b"\n", b"\0", b":", b" ", b"HTTP/1.0", b"HTTP/9.9", b"Content-Length: 64\r\n", b"chunked", b"%00",
                 b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"Connection: close\r\n", b"\xff\xfe", b"-1", b"9" * 30,
                 b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"/../", b"?a=b", b"GET / HTTP/1.1\r\n"]
        before, answered = self.server.resident(), 0
        for _ in range(2000):
            text = bytearray(source.choice(whole))
            for _ in range(source.randint(1, 4)):
                at = source.randrange(len(text) + 1)
                kind = source.randrange(5)
                if kind == 0 and at < len(text):
                    text[at] = source.randrange(256)
                elif kind == 1:
                    del text[at:at + source.randint(1, 20)]
                elif kind == 2:
                    text[at:at] = source.choice(words)
                elif kind == 3:
                    text[at:at] = text[source.randrange(len(text) + 1):][:50]
                else:
                    text[at:at] = source.randbytes(source.randint(1, 60))
            with self.server.connect() as connection, connection.makefile("rb") as stream:
                try:
                    connection.sendall(text)
                    connection.shutdown(socket.SHUT_WR)
                    answered += stream.readline().startswith(b"HTTP/1.")
                except OSError:
                    pass
        self.assertGreater(answered, 200)
        if not is_sanitized(PROGRAM):
            self.assertLess(self.server.resident() - before, 1000)


unittest.main(verbosity=2)
