#!/usr/bin/env python3
"""The numbers behind the pictures of `cnn show`: greys are read back from PNG files and compared with what plain loops
make of the model file's weights and of the image. Called by CTest: pictures.py PROGRAM. A line a check and
`N passed, N failed`; exit code 1 where one failed."""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

PROGRAM = Path(sys.argv[1]).resolve()
SIDE, FILTERS, KERNEL, GAP, TITLE = 9, 4, 3, 4, 18  # 9 - 3 + 1 = 7 rows of responses; pixels around tiles, of titles
passed = failed = 0


def report(name, problem=None):
    global passed, failed
    passed, failed = passed + (not problem), failed + bool(problem)
    print(f"FAILED {name}: {problem}" if problem else f"ok     {name}", flush=True)


# ---- Files ----

def write_png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0,
                                                                            0, 0)) +
                           chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def read_png(path):
    """Rows of pixels, each a tuple of 1 or 3 bytes."""
    data, at, body = Path(path).read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", data[at + 8:at + 18])
        elif kind == b"IDAT":
            body += data[at + 8:at + 8 + size]
        at += 12 + size
    assert depth == 8 and colour in (0, 2), (depth, colour)
    n, raw, above, rows = (1 if colour == 0 else 3), zlib.decompress(body), None, []
    for y in range(height):
        line = bytearray(raw[y * (width * n + 1):(y + 1) * (width * n + 1)])
        method, row = line[0], line[1:]
        for i in range(len(row)):
            a = row[i - n] if i >= n else 0
            b = above[i] if above else 0
            c = above[i - n] if above and i >= n else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, nearest)[method]) & 255
        above = row
        rows.append([tuple(row[i:i + n]) for i in range(0, len(row), n)])
    return rows


def read_model(path):
    data = Path(path).read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    return {name: struct.unpack(f"<{(t['data_offsets'][1] - t['data_offsets'][0]) // 4}f",
                                data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for name, t in header.items() if name != "__metadata__"}


def cnn(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        report("cnn " + " ".join(map(str, words)), done.stderr.strip())
    return done


# ---- Numbers ----

def convolve(image, weights, size, bias):
    out = len(image) - size + 1
    return [[bias + sum(weights[i * size + j] * image[y + i][x + j] for i in range(size) for j in range(size))
             for x in range(out)] for y in range(out)]


def grey(values):
    """As 7.6.1 has it: the smallest black, the largest white."""
    least, most = min(map(min, values)), max(map(max, values))
    return [[255 * (v - least) / (most - least) for v in row] for row in values]


def same(name, picture, top, left, zoom, values):
    """The tile there, by the middles of its squares (frames are one pixel wide)."""
    for y, row in enumerate(values):
        for x, want in enumerate(row):
            got = picture[top + y * zoom + zoom // 2][left + x * zoom + zoom // 2]
            if max(abs(g - want) for g in got) > 1:
                return report(name, f"{got} at {y}, {x}, not {want:.1f}")
    return report(name)


def square(values, side):
    return [values[i * side:(i + 1) * side] for i in range(side)]


def train():
    """A model of random images in two classes, and an image."""
    chance = random.Random(7)
    pixels = bytes(chance.randrange(256) for _ in range(8 * SIDE * SIDE))
    Path("x").write_bytes(struct.pack(">IIII", 0x803, 8, SIDE, SIDE) + pixels)
    Path("t").write_bytes(struct.pack(">II", 0x801, 8) + bytes([0, 1] * 4))
    Path("tiny.net").write_text(f"input shape=1x{SIDE}x{SIDE}\nconv filters={FILTERS} kernel={KERNEL}\nrelu\n"
                                "maxpool kernel=3 stride=2\naffine units=2\nsoftmax\n")
    cnn("train", "tiny.net", "--data", "x,t,x,t", "--epochs", "3", "--batch", "4", "--seed", "3", "--out",
        "tiny.safetensors")
    image = square([chance.randrange(256) for _ in range(SIDE * SIDE)], SIDE)
    write_png("image.png", image)
    return [[v / 255 for v in row] for row in image]


def check_filters(model):
    cnn("show", "filters", "tiny.safetensors", "--zoom", "10", "--out", "filters.png")
    picture, columns = read_png("filters.png"), 3  # four tiles: near a square
    for i in range(FILTERS):
        weights = square(model["conv1.weight"][i * KERNEL ** 2:(i + 1) * KERNEL ** 2], KERNEL)
        same(f"filters: {i} is its weights", picture, GAP + TITLE + i // columns * (KERNEL * 10 + GAP),
             GAP + i % columns * (KERNEL * 10 + GAP), 10, grey(weights))


def check_response(model, image):
    zoom, out = 10, SIDE - KERNEL + 1
    cnn("show", "response", "tiny.safetensors", "image.png", "--zoom", str(zoom), "--out", "response.png")
    picture = read_png("response.png")
    same("response: the image", picture, GAP + TITLE, GAP, zoom, [[255 * v for v in row] for row in image])
    wide = 2 * GAP + SIDE * zoom  # of the image's sheet; then for each filter a sheet and one of its response
    filter_zoom = out * zoom // KERNEL
    pair = 4 * GAP + KERNEL * filter_zoom + out * zoom
    for i in range(FILTERS):
        weights = model["conv1.weight"][i * KERNEL ** 2:(i + 1) * KERNEL ** 2]
        left = wide + i * pair
        same(f"response: filter {i}", picture, GAP + TITLE, left + GAP, filter_zoom, grey(square(weights, KERNEL)))
        same(f"response: of filter {i} is the convolution", picture, GAP + TITLE,
             left + 3 * GAP + KERNEL * filter_zoom, zoom, grey(convolve(image, weights, KERNEL, model["conv1.bias"][i])))
    typed = [1, 0.5, -2, 0]
    cnn("show", "response", "tiny.safetensors", "image.png", "--zoom", str(zoom), "--filter", "1 .5 / -2 0", "--out",
        "typed.png")
    filter_zoom = (SIDE - 1) * zoom // 2
    same("response: of a filter typed by hand is the convolution", read_png("typed.png"), GAP + TITLE,
         wide + 3 * GAP + 2 * filter_zoom, zoom, grey(convolve(image, typed, 2, 0)))


def check_features(model, image):
    """All layers' maps, one sheet below the other, and the frame around the largest value."""
    zoom, out, top = 10, SIDE - KERNEL + 1, 0
    cnn("show", "features", "tiny.safetensors", "image.png", "--zoom", str(zoom), "--out", "features.png")
    picture = read_png("features.png")
    conv = [convolve(image, model["conv1.weight"][i * 9:(i + 1) * 9], KERNEL, model["conv1.bias"][i])
            for i in range(FILTERS)]
    relu = [[[max(v, 0) for v in row] for row in one] for one in conv]
    pool = [[[max(one[2 * y + i][2 * x + j] for i in range(3) for j in range(3)) for x in range(3)] for y in range(3)]
            for one in relu]
    for name, maps in (("input1", [image]), ("conv1", conv), ("relu1", relu), ("maxpool1", pool)):
        side = len(maps[0])
        for i, one in enumerate(maps):
            if max(map(max, one)) == min(map(min, one)):
                continue  # dead: black
            at = top + GAP + TITLE, GAP + i * (side * zoom + GAP)
            same(f"features: {name}, map {i}", picture, *at, zoom, grey(one))
            if name == "input1":
                continue
            y, x = max(((y, x) for y in range(side) for x in range(side)), key=lambda p, m=one: m[p[0]][p[1]])
            red, green, blue = picture[at[0] + y * zoom - 1][at[1] + x * zoom + zoom // 2]
            report(f"features: {name}, map {i}: a red frame around the largest value",
                   None if red > 200 and green < 50 and blue < 50 else f"{red, green, blue} above {y}, {x}")
        top += GAP + TITLE + side * zoom + GAP


def check_ones():
    """Filters of one value each: on one scale, or all would be the same grey."""
    Path("ones.net").write_text(f"input shape=1x{SIDE}x{SIDE}\nconv filters=6 kernel=1\nrelu\naffine units=2\nsoftmax\n")
    cnn("train", "ones.net", "--data", "x,t,x,t", "--epochs", "1", "--batch", "4", "--out", "ones.safetensors")
    weights = read_model("ones.safetensors")["conv1.weight"]
    cnn("show", "filters", "ones.safetensors", "--zoom", "8", "--out", "ones.png")
    picture, greys = read_png("ones.png"), grey([weights])[0]
    for i, want in enumerate(greys):
        same(f"filters of one value: {i}", picture, GAP + TITLE + i // 3 * (8 + GAP), GAP + i % 3 * (8 + GAP), 8, [[want]])


def main():
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        image = train()
        model = read_model("tiny.safetensors")
        check_filters(model)
        check_response(model, image)
        check_features(model, image)
        check_ones()
        os.chdir("/")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
