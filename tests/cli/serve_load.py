#!/usr/bin/env python3
"""`cnn serve` under load: 4 clients, 10,000 predictions; none fails, all are the same, memory stays what it was. Called
by CTest: serve_load.py PROGRAM; with a MODEL of 28x28 images after it for the figures of docs/performance.md."""
import json
import os
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from serving import PIXELS, Server, is_sanitized, predict, read_answer, request_text, small_model  # noqa: E402

CLIENTS, REQUESTS = 4, 10000


def client(server, path, image, count, expected, failures, times):
    text = request_text("POST", path, server.port, image)
    try:
        with server.connect() as connection, connection.makefile("rb") as stream:
            for _ in range(count):
                began = time.monotonic()
                connection.sendall(text)
                status, _, body = read_answer(stream)
                times.append(time.monotonic() - began)
                if status != 200 or json.loads(body)["probabilities"] != expected:
                    failures.append((status, body))
    except Exception as error:
        failures.append(error)


def load(server, path, image, count):
    """Seconds, and the times of all requests in ascending order."""
    expected, failures, times = predict(server, image)["probabilities"], [], []
    threads = [threading.Thread(target=client, args=(server, path, image, count // CLIENTS, expected, failures, times))
               for _ in range(CLIENTS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert len(times) == count
    return time.monotonic() - began, sorted(times)


def run(program, model, image):
    server = Server(program, model)
    load(server, "/look", image, 400)
    before, files = server.resident(), server.files()
    for path, count in ("/predict", REQUESTS), ("/look", REQUESTS // 10):
        seconds, times = load(server, path, image, count)
        print(f"{path}: {CLIENTS} clients, {count} answers in {seconds:.1f} s, {count / seconds:.0f} a second; "
              f"median {1e3 * times[count // 2]:.2f} ms, 99th percentile {1e3 * times[count * 99 // 100]:.2f} ms")
    after = server.resident()
    print(f"memory: {before} kB before, {after} kB after")
    assert is_sanitized(program) or after - before < 512, "memory grew"
    time.sleep(0.5)
    assert server.files() <= files, "connections are left"
    assert server.stop() == 0


program = os.path.abspath(sys.argv[1])
if len(sys.argv) > 2:
    run(program, sys.argv[2], bytes((i * 7) % 256 for i in range(784)))
else:
    with tempfile.TemporaryDirectory() as folder:
        run(program, small_model(program, folder), bytes(range(PIXELS)))
