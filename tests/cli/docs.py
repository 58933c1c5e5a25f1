#!/usr/bin/env python3
"""What the tutorial and the READMEs say is so: their commands are typed again, and what comes is compared; the files
and pictures that they name are there; both languages have the same commands; every figure of the chapter has its place.

Called by CTest: docs.py PROGRAM. A line a check and `N passed, N failed`; exit code 1 where one failed. Commands that
need a data set are left out where it is not there. Models are trained for moments here: what depends on how well they
learned is run, not compared."""
import os
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

PROGRAM = Path(sys.argv[1]).resolve()
EXAMPLES = PROGRAM.parent / "examples"
SOURCE = Path(__file__).resolve().parents[2]
PAIRS = [("docs/tutorial.md", "docs/tutorial.zh-CN.md"), ("README.md", "README.zh-CN.md")]
# Of `cnn`: left out; run only, with these options to be quick; the others are run and compared.
LEFT_OUT = re.compile(r"cnn (serve|report|bench|data|train (?!examples/small\.net)|\S+ (deep|typo)\.net)")
RUN_ONLY = {"shift": ["--limit", "50"], "confusion": ["--limit", "500"], "mistakes": ["--limit", "500"], "why": [],
            "excite": ["--limit", "100", "--steps", "8"], "eval": []}
passed = failed = 0


def report(name, problem):
    global passed, failed
    passed, failed = passed + (not problem), failed + bool(problem)
    print(f"FAILED {name}: {problem}" if problem else f"ok     {name}", flush=True)


# ---- Files that are named ----

def check_links(path):
    text = (SOURCE / path).read_text()
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", prose):
        target = (target[0] or target[1]).split("#")[0]
        if target and "://" not in target and not (SOURCE / path).parent.joinpath(target).exists():
            missing.append(target)
    folders = r"(?:examples|nets|src|docs|tools|tests|recipes|cli|include|cmake|man|completions)"
    for name in re.findall(rf"`({folders}/[\w./*-]+)`", prose):
        if "NAME" not in name and not list(SOURCE.glob(name.rstrip("/"))):
            missing.append(name)
    report(f"{path}: files that it names", ", ".join(missing) and f"not there: {', '.join(missing)}")


# ---- Commands ----

def blocks(path):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", (SOURCE / path).read_text(), flags=re.S | re.M)
    return [text for kind, text in fenced if not kind and text.startswith("$ ")]


def commands(path):
    for block in blocks(path):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            typed = re.match(r"(?:.*\\\n)*.*\n", part).group()
            yield typed.replace("\\\n", " ").strip(), part[len(typed):].splitlines()


def plain(line):
    """Without what differs from machine to machine."""
    return re.sub(r"\d+ images/s +[\d.]+ s|^(time +)[\d.]+ s", r"\1#", line.rstrip())


def matches(got, want):
    """Whether the lines of `want`, in which "..." stands for any number of lines, are those of `got`."""
    got, at, gap = [plain(line) for line in got], 0, False
    for line in want:
        if line.strip() == "...":
            gap = True
            continue
        line = plain(line)
        while gap and at < len(got) and got[at] != line:
            at += 1
        if at >= len(got) or got[at] != line:
            return f"no line '{line}'" if gap else f"'{got[at] if at < len(got) else 'the end'}', not '{line}'"
        at, gap = at + 1, False
    return None if gap or at == len(got) else f"'{got[at]}' is one line too many"


def run(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    return done.returncode, done.stdout.splitlines()


def type_again(path, typed, want, sets):
    words = shlex.split(typed)
    if LEFT_OUT.match(typed) or words[0] not in ("cnn", "cat") and not typed.startswith("build/examples/"):
        return
    needed = "fashion-mnist" if "fashion" in typed else "mnist"
    if needed not in sets and re.search(r"mnist|safetensors|\.png\b", typed) or ">" in typed:
        return
    if words[0] == "cnn":
        words[0] = PROGRAM
    elif words[0].startswith("build/examples/"):
        words[0] = EXAMPLES / Path(words[0]).name
        if not EXAMPLES.is_dir():
            return
    kind = next((w for w in words[1:3] if w in RUN_ONLY), None)
    trained_elsewhere = kind and not (kind == "eval" and "small" in typed)
    code, got = run(words + (RUN_ONLY[kind] if trained_elsewhere else []))
    problem = None if code == 0 else f"exit code {code}: {' '.join(got[-2:])}"
    if not problem and not trained_elsewhere:
        problem = matches(got, want)
    if not problem and "--out" in typed and not Path(words[words.index("--out") + 1]).stat().st_size:
        problem = "wrote no file"
    report(f"{path}: {typed}", problem)


def write_png(path, size, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[i * size:(i + 1) * size] for i in range(size))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def prepare():
    """The models, much shorter trained, and the picture that the texts take to be there. The data sets there are."""
    Path("examples").symlink_to(SOURCE / "examples")
    Path("build").mkdir()
    found = {name: run([PROGRAM, "data", "verify", name]) for name in ("mnist", "fashion-mnist")}
    sets = [name for name, (code, _) in found.items() if code == 0]
    for name in found.keys() - sets:
        print(f"{name} is not there: commands that need it are left out")
    for net, data, model in (("simple-conv-net", "mnist", "build/simple-conv-net.safetensors"),
                             ("examples/no-pooling.net", "mnist", "no-pooling.safetensors"),
                             ("deep-conv-net", "mnist", "deep.safetensors"),
                             ("deep-conv-net", "fashion-mnist", "fashion.safetensors")):
        if data in sets:
            code, said = run([PROGRAM, "train", net, "--data", data, "--epochs", "1", "--limit", "1000", "--out", model])
            report(f"a model of {net} on {data}", None if code == 0 else said[-1])
    if "mnist" in sets:
        folder = Path(re.search(r"in (/.*mnist)$", found["mnist"][1][-1]).group(1))
        write_png(Path("seven.png"), 28, (folder / "t10k-images-idx3-ubyte").read_bytes()[16:16 + 784])
    return sets


def main():
    for path in sorted([*SOURCE.glob("docs/*.md"), *SOURCE.glob("*.md")]):
        check_links(path.relative_to(SOURCE))
    for english, chinese in PAIRS:
        report(f"{chinese}: the same commands", None if blocks(english) == blocks(chinese) else "they differ")
    for path in PAIRS[0]:
        figures = {int(n) for n in re.findall(r"7-(\d+)", re.sub(r"```.*?```", "", (SOURCE / path).read_text(), flags=re.S))}
        lacking = [n for n in range(1, 29) if n not in figures]
        report(f"{path}: all figures", lacking and f"no Figure 7-{lacking[0]}")
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        sets = prepare()
        for path, _ in PAIRS:
            for typed, want in commands(path):
                type_again(path, typed, want, sets)
        os.chdir("/")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
