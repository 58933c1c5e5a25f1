"""What tests of `cnn serve` share: a small model, a server on a free port, requests by hand."""
import json
import os
import re
import signal
import socket
import struct
import subprocess

PIXELS = 64  # of the small model's image: 1x8x8


def idx(path, dims, values):
    """An IDX file of bytes."""
    with open(path, "wb") as file:
        file.write(struct.pack(f">BBBB{len(dims)}I", 0, 0, 8, len(dims), *dims))
        file.write(bytes(values))


def small_model(program, folder, size=8):
    """Trains a network on 8x8 images, bright on the left (class 0) or on the right; returns its path. A size below 8
    is that of the network's input, which is the middle of an image then."""
    net = os.path.join(folder, "small.net")
    with open(net, "w") as file:
        file.write(f"input shape=1x{size}x{size}\nconv filters=3 kernel=3\nrelu\nmaxpool kernel=2\naffine units=2\nsoftmax\n")
    labels = [i % 2 for i in range(200)]
    images = [(200 if (x < 4) == (label == 0) else 20) + (i * 7 + x * y) % 50
              for i, label in enumerate(labels) for y in range(8) for x in range(8)]
    parts = os.path.join(folder, "images"), os.path.join(folder, "labels")
    idx(parts[0], (200, 8, 8), images)
    idx(parts[1], (200,), labels)
    model = os.path.join(folder, "small.safetensors")
    subprocess.run([program, "train", net, "--data", ",".join(parts), "--epochs", "3", "--batch", "10", "--normalize",
                    "channel", "--out", model] + (["--augment", "crop=8"] if size < 8 else []), check=True, stdout=subprocess.DEVNULL)
    return model


def is_sanitized(program):
    """The address sanitizer keeps what was freed, so memory tells nothing."""
    with open(program, "rb") as file:
        return b"__asan_init" in file.read()


class Server:
    """`cnn serve MODEL` on a free port, until stop()."""

    def __init__(self, program, model, *options):
        self.process = subprocess.Popen([program, "serve", model, "--port", "0", "--threads", "1", *options],
                                        stdout=subprocess.PIPE, text=True)
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"cnn serve ended: {self.said}")
            self.said += line
        self.port = int(re.search(r"http://\S+:(\d+)/", self.said)[1])

    def connect(self, timeout=30):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def stop(self, by=signal.SIGINT):
        self.process.send_signal(by)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def resident(self):
        """kB of memory that the server has now."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def read_answer(stream):
    """(status, headers in lower case, body) of a file that reads from a socket; None where it ends before."""
    line = stream.readline()
    if not line:
        return None
    status, headers = int(line.split()[1]), {}
    while (line := stream.readline()) not in (b"\r\n", b""):
        key, value = line.decode().rstrip().split(": ", 1)
        headers[key.lower()] = value
    return status, headers, stream.read(int(headers["content-length"]))


def request_text(method, path, port, body=None, **headers):
    """The bytes of a request. headers: Content_Type="..."; None leaves out what is there otherwise."""
    usual = {"Host": f"127.0.0.1:{port}"}
    if body is not None:
        usual |= {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
    usual |= {key.replace("_", "-"): value for key, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1"] + [f"{key}: {value}" for key, value in usual.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def ask(server, method, path, body=None, **headers):
    """One request on a connection of its own."""
    with server.connect() as connection:
        connection.sendall(request_text(method, path, server.port, body, **headers))
        with connection.makefile("rb") as stream:
            if method == "HEAD":
                head = stream.read()
                return int(head.split()[1]), head, b""
            return read_answer(stream)


def predict(server, image):
    status, _, body = ask(server, "POST", "/predict", bytes(image))
    assert status == 200, (status, body)
    return json.loads(body)
