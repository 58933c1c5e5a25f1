#!/usr/bin/env python3
"""`cnn report`: the numbers on the page against other commands and against models made by hand, one of them with a dead
ReLU channel and a saturated tanh; the command that repeats the run; what is refused. Called by CTest: report.py PROGRAM.
The page in a browser is tested by tests/browser/report.test.mjs."""
import html.parser
import json
import math
import os
import shlex
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
PROGRAM = os.path.abspath(sys.argv.pop(1))
SIDE, IMAGES = 4, 60


def run(*words, cwd):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=120, cwd=cwd)


def write_data(folder):
    """IMAGES of SIDE x SIDE in three classes, each with one bright row; no pixel is 0."""
    pixels = bytearray()
    for i in range(IMAGES):
        for p in range(SIDE * SIDE):
            pixels.append(20 + (i * 7 + p * 13) % 90 + (120 if p // SIDE == i % 3 else 0))
    with open(os.path.join(folder, "images"), "wb") as file:
        file.write(struct.pack(">4B3I", 0, 0, 8, 3, IMAGES, SIDE, SIDE) + pixels)
    with open(os.path.join(folder, "labels"), "wb") as file:
        file.write(struct.pack(">4BI", 0, 0, 8, 1, IMAGES) + bytes(i % 3 for i in range(IMAGES)))
    return "images,labels,images,labels"


def write_model(path, net, weights, classes=None, settings=None):
    """A model file (safetensors) of these weights: name -> (shape, values)."""
    metadata = {"format": "cnn", "cnn_version": "1", "net": net, "settings": json.dumps(settings or {})}
    if classes:
        metadata["classes"] = json.dumps(classes)
    header, data = {"__metadata__": metadata}, b""
    for name, (shape, values) in weights.items():
        block = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def read_weights(path):
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    header.pop("__metadata__")
    return {name: struct.unpack(f"<{(b - a) // 4}f", data[a:b])
            for name, (a, b) in ((name, entry["data_offsets"]) for name, entry in header.items())}


class Page(html.parser.HTMLParser):
    """Text by id, tables by id or class, tags, and every address."""

    def __init__(self, path):
        super().__init__()
        self.by_id, self.tables, self.tags, self.addresses, self.images = {}, [], [], [], []
        self.open, self.row = [], None
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.addresses += [value for key, value in attributes.items() if key in ("src", "href", "action", "data", "poster")]
        if tag == "img":
            self.images.append(attributes)
        if "id" in attributes:
            self.by_id[attributes["id"]] = ""
            self.open.append((tag, attributes["id"], 0))
        elif self.open and tag == self.open[-1][0]:
            self.open[-1] = (tag, self.open[-1][1], self.open[-1][2] + 1)
        if tag == "table":
            self.tables.append((attributes.get("id") or attributes.get("class", ""), []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("")
            self.row = self.tables[-1][1][-1]
        if tag not in ("b", "small", "code", "span", "i", "td", "th"):
            self.row = None

    def handle_endtag(self, tag):
        if tag in ("table", "thead"):
            self.row = None
        if self.open and tag == self.open[-1][0]:
            name, id_, depth = self.open[-1]
            if depth:
                self.open[-1] = (name, id_, depth - 1)
            else:
                self.open.pop()

    def handle_data(self, data):
        for _, id_, _ in self.open:
            self.by_id[id_] += data
        if self.row is not None:
            self.row[-1] += data.strip("\n")

    def table(self, name):
        return next(rows for title, rows in self.tables if title.startswith(name))

    def column(self, name, title):
        rows = self.table(name)
        at = rows[0].index(title)
        return {row[0]: row[at] for row in rows[1:]}


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cwd = cls.folder.name
        cls.data = write_data(cls.cwd)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return os.path.join(self.cwd, name)

    def ok(self, *words):
        done = run(*words, cwd=self.cwd)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    pages = {}  # of run.safetensors, which stays as it is

    def report(self, model, *words, data=None):
        if (model, words) in self.pages:
            return self.pages[model, words]
        said = self.ok("report", model, "--data", data or self.data, "-o", "page.html", *words)
        self.assertRegex(said, r"^page.html: the report, [0-9.]+ kB")
        page = Page(self.path("page.html"))
        if model == "run.safetensors":
            self.pages[model, words] = page
        return page

    def refused(self, pattern, *words, code=1):
        with open(self.path("old.html"), "w") as file:
            file.write("what was there")
        before = sorted(os.listdir(self.cwd))
        done = run("report", *words, "--out", "old.html", cwd=self.cwd)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertRegex(done.stderr, pattern)
        with open(self.path("old.html")) as file:
            self.assertEqual(file.read(), "what was there")
        self.assertEqual(sorted(os.listdir(self.cwd)), before)


NET = """input shape=1x4x4
conv name=c1 filters=4 kernel=3 pad=1 init=he
relu name=r1
affine name=f1 units=6 init=he
tanh name=t1
affine name=f2 units=3 init=he
softmax name=p
"""


class OfARun(Report):
    """A small network, trained with a log."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.cwd, "small.net"), "w") as file:
            file.write(NET)
        cls.train("run.safetensors", "--log", "run.jsonl", "--epochs", "7", "--schedule", "cosine end=0.1", "--validation", "12")

    @classmethod
    def train(cls, out, *words):
        done = run("train", "small.net", "--data", cls.data, "--batch", "10", "--lr", "0.01", "--seed", "3", "--out", out,
                   "--threads", "1", *words, cwd=cls.cwd)
        assert done.returncode == 0, done.stderr

    def test_nothing_comes_from_elsewhere(self):
        page = self.report("run.safetensors", "--log", "run.jsonl")
        for address in page.addresses:
            self.assertTrue(address.startswith(("data:", "#")), address[:60])
        self.assertIn("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-",
                      page.source)
        self.assertNotRegex(page.source, r"<[^>]* (style|on[a-z]+)=")
        self.assertTrue(all("alt" in image for image in page.images))

    def test_curves_and_table_are_the_log_s(self):
        page = self.report("run.safetensors", "--log", "run.jsonl")
        with open(self.path("run.jsonl")) as file:
            epochs = [json.loads(line) for line in file][1:]
        charts = json.loads(page.by_id["curves"])["charts"]
        keys = {"loss": ["loss", "train_loss", "validation_loss", "test_loss"],
                "accuracy": ["accuracy", "train_accuracy", "validation_accuracy", "test_accuracy"], "lr": ["lr"]}
        for chart, names in keys.items():
            factor = 100 if chart == "accuracy" else 1
            self.assertEqual(set(charts[chart]["series"]), {str(i) for i in range(len(names))})
            for i, name in enumerate(names):
                self.assertEqual(charts[chart]["series"][str(i)]["values"], [factor * epoch[name] for epoch in epochs])
        seconds = [0] + [epoch["seconds"] for epoch in epochs]
        for i, value in enumerate(charts["time"]["series"]["0"]["values"]):
            self.assertAlmostEqual(value, seconds[i + 1] - seconds[i])
        self.assertEqual([row[0] for row in page.table("numbers")[1:]], [str(i + 1) for i in range(7)])
        self.assertEqual(list(page.column("numbers", "test loss").values()), [f"{e['test_loss']:.4f}" for e in epochs])

    def test_layers_are_those_of_summary(self):
        page, summary = self.report("run.safetensors"), self.json("summary", "run.safetensors")
        rows = page.table("layer-table")
        self.assertEqual(len(rows), len(summary["layers"]) + 2)
        for row, layer in zip(rows[1:], summary["layers"]):
            shape = layer["output"]
            wanted = str(shape[0]) if shape[1:] == [1, 1] else "x".join(map(str, shape))
            self.assertEqual(row[:5], [layer["name"], layer["kind"], wanted, f"{layer['parameters']:,}",
                                       f"{layer['multiply_adds']:,}"])
            size = 4 * math.prod(shape)
            self.assertEqual(row[7], f"{size} B")
            timed = layer["kind"] != "input"
            self.assertEqual(row[5] != "–", timed)
            if timed:
                self.assertGreater(float(row[5]), 0)
            self.assertEqual(row[6] != "–", layer["kind"] not in ("input", "softmax"))
        self.assertEqual(rows[-1][3], f"{summary['parameters']:,}")
        self.assertEqual(rows[-1][4], f"{summary['multiply_adds']:,}")

    def test_results_are_those_of_other_commands(self):
        page = self.report("run.safetensors")
        evaluation = self.json("eval", "run.safetensors", "--data", self.data)
        confusion = self.json("show", "confusion", "run.safetensors", "--data", self.data)
        mistakes = self.json("show", "mistakes", "run.safetensors", "--data", self.data)
        self.assertIn(f"<b>{100 * evaluation['accuracy']:.2f} %</b> {evaluation['correct']} of {evaluation['total']} test", page.source)
        self.assertIn(f"<b>{evaluation['loss']:.4f}</b>", page.source)
        self.assertEqual([[int(cell) for cell in row[1:]] for row in page.table("matrix")[1:]], confusion["matrix"])
        self.assertIn(f"{mistakes['mistakes']} of {mistakes['images']} images are mistaken", page.by_id["mistakes"])
        shown = page.source.split('id="mistakes"')[1].split("</section>")[0]
        self.assertEqual([f"image {one['index']}<" in shown for one in mistakes["worst"]], [True] * len(mistakes["worst"]))

    def test_limit(self):
        page = self.report("run.safetensors", "--limit", "5")
        self.assertEqual(sum(int(cell) for row in page.table("matrix")[1:] for cell in row[1:]), 5)

    def test_the_command_repeats_the_run(self):
        with open(self.path("run.safetensors"), "rb") as file:
            model = file.read()
        with_log, without = self.report("run.safetensors", "--log", "run.jsonl"), self.report("run.safetensors")
        self.assertIn("in the file run.net", without.by_id["run"])
        with open(self.path("run.net"), "w") as file:
            file.write(without.by_id["network"])
        for page, net in (with_log, "small.net"), (without, "run.net"):
            words = shlex.split(page.by_id["command"])
            self.assertEqual(words[:3], ["cnn", "train", net])
            self.assertIn("cosine end=0.1", words)
            self.ok(*words[1:], "--out", "again.safetensors")
            with open(self.path("again.safetensors"), "rb") as file:
                self.assertEqual(file.read(), model)

    def test_the_command_knows_other_settings(self):
        for options in ["--optimizer", "adamw", "--weight-decay", "0", "--limit", "50"], ["--optimizer", "nesterov", "--ema", "0.9"]:
            done = run("train", "small.net", "--data", self.data, "--epochs", "1", "--batch", "10", *options, "--out", "b.safetensors",
                       cwd=self.cwd)
            self.assertEqual(done.returncode, 0, done.stderr)
            page = self.report("b.safetensors")
            with open(self.path("b.net"), "w") as file:
                file.write(page.by_id["network"])
            self.ok(*shlex.split(page.by_id["command"])[1:], "--out", "again.safetensors")
            with open(self.path("b.safetensors"), "rb") as one, open(self.path("again.safetensors"), "rb") as two:
                self.assertEqual(one.read(), two.read())

    def test_a_built_in_network_has_its_name(self):
        with open(self.path("wide"), "wb") as file:
            file.write(struct.pack(">4B3I", 0, 0, 8, 3, 20, 28, 28) + bytes(i % 251 for i in range(20 * 784)))
        with open(self.path("ten"), "wb") as file:
            file.write(struct.pack(">4BI", 0, 0, 8, 1, 20) + bytes(i % 10 for i in range(20)))
        data = "wide,ten,wide,ten"
        self.ok("train", "simple-conv-net", "--data", data, "--epochs", "1", "--out", "named.safetensors")
        page = self.report("named.safetensors", data=data)
        self.assertTrue(page.by_id["command"].startswith(f"cnn train simple-conv-net --data {data} --epochs 1 --batch 100 "))
        self.assertNotIn("in the file", page.by_id["run"])

    def test_without_a_log_the_page_says_so(self):
        page = self.report("run.safetensors")
        self.assertIn("There is no log of the run", page.by_id["no-log"])
        self.assertNotIn("svg", page.tags)

    def test_gradients_are_those_of_a_step(self):
        """One step of sgd over all images, from weights that a vanishing rate left as they were, shows the gradient."""
        step = ["--epochs", "1", "--optimizer", "sgd", "--batch", "60", "--group", "60"]
        self.train("start.safetensors", *step, "--lr", "1e-12")
        self.train("step.safetensors", *step, "--lr", "0.5")
        page = self.report("start.safetensors")
        start, after = read_weights(self.path("start.safetensors")), read_weights(self.path("step.safetensors"))
        for name, gradient in page.column("weight-table", "gradient").items():
            squares = [((a - b) / 0.5) ** 2 for a, b in zip(start[name], after[name])]
            self.assertAlmostEqual(float(gradient), math.sqrt(sum(squares) / len(squares)), delta=0.02 * float(gradient))
        moved = page.column("weight-table", "moved by training")
        self.assertLess(float(moved["c1.weight"].rstrip("×")), 1e-6)
        deviation, before = (page.column("weight-table", title) for title in ("deviation", "deviation before training"))
        self.assertEqual(deviation["c1.weight"], before["c1.weight"])

    # ---- What is refused ----

    def with_lines(self, change):
        with open(self.path("run.jsonl")) as file:
            lines = file.read().split("\n")[:-1]
        change(lines)
        with open(self.path("bad.jsonl"), "w") as file:
            file.write("\n".join(lines) + "\n")
        return ["run.safetensors", "--data", self.data, "--log", "bad.jsonl"]

    def test_broken_logs(self):
        def replace(line, old, new):
            def change(lines):
                self.assertIn(old, lines[line])
                lines[line] = lines[line].replace(old, new)
            return change
        self.refused(r'bad.jsonl:3: "epoch" is 5; expected 2', *self.with_lines(replace(2, '"epoch":2', '"epoch":5')))
        self.refused(r'bad.jsonl:4: "loss" is nothing; expected a number', *self.with_lines(replace(3, '"loss"', '"lost"')))
        self.refused(r'bad.jsonl:4: "lr" is "fast"; expected a number',
                     *self.with_lines(lambda lines: lines.__setitem__(3, json.dumps({**json.loads(lines[3]), "lr": "fast"}))))
        self.refused(r"bad.jsonl:8: .*expected an object with an epoch's values",
                     *self.with_lines(lambda lines: lines.__setitem__(7, lines[7][:40])))
        self.refused(r"bad.jsonl:1: .*expected an object with the run's settings", *self.with_lines(lambda lines: lines.insert(0, "epoch 1")))
        self.refused(r'bad.jsonl:1: "settings" is nothing', *self.with_lines(lambda lines: lines.pop(0)))
        self.refused(r"bad.jsonl:2: not an object", *self.with_lines(lambda lines: lines.insert(1, "[1]")))
        self.refused(r"bad.jsonl:1: the file is empty|expected an object", *self.with_lines(list.clear))
        self.refused(r"--log: 'none.jsonl' cannot be read: No such file", "run.safetensors", "--data", self.data, "--log", "none.jsonl")
        self.refused(r"cannot be read: Is a directory", "run.safetensors", "--data", self.data, "--log", ".")

    def test_the_log_of_another_run(self):
        self.train("other.safetensors", "--log", "other.jsonl", "--epochs", "2")
        self.refused(r"other.jsonl: is the log of another run: its \"schedule\" is nothing, that of 'run.safetensors' is",
                     "run.safetensors", "--data", self.data, "--log", "other.jsonl")
        self.train("more.safetensors", "--log", "more.jsonl", "--epochs", "2", "--clip-norm", "1")
        self.refused(r"its \"clip_norm\" is 1, that of 'other.safetensors' is nothing", "other.safetensors", "--data", self.data,
                     "--log", "more.jsonl")
        wide = NET.replace("units=6", "units=7")
        with open(self.path("wide.net"), "w") as file:
            file.write(wide)
        self.ok("train", "wide.net", "--data", self.data, "--batch", "10", "--lr", "0.01", "--seed", "3", "--epochs", "2", "--out",
                "wide.safetensors", "--log", "wide.jsonl")
        self.refused(r"its \"parameters\" is 519, that of 'other.safetensors' is", "other.safetensors", "--data", self.data, "--log",
                     "wide.jsonl")

    def test_a_model_and_data_that_do_not_fit(self):
        with open(self.path("large"), "wb") as file:
            file.write(struct.pack(">4B3I", 0, 0, 8, 3, 20, 5, 5) + bytes(500))
        with open(self.path("many"), "wb") as file:
            file.write(struct.pack(">4BI", 0, 0, 8, 1, 20) + bytes([9] * 20))
        with open(self.path("small"), "wb") as file:
            file.write(struct.pack(">4B3I", 0, 0, 8, 3, 20, 4, 4) + bytes(320))
        takes = r"the model takes images of 1x4x4 in 3 classes, '%s' has %s"
        self.refused(takes % ("large,many,large,many", "1x5x5 in 10"), "run.safetensors", "--data", "large,many,large,many")
        self.refused(takes % ("small,many,small,many", "1x4x4 in 10"), "run.safetensors", "--data", "small,many,small,many")
        self.refused(r"nothing", "nothing.safetensors", "--data", self.data)
        self.refused(r"--data DATA is missing", "run.safetensors", code=2)

    def test_places_that_cannot_be_written(self):
        def refuse(out, pattern):
            before = sorted(os.listdir(self.cwd))
            done = run("report", "run.safetensors", "--data", self.data, "-o", out, cwd=self.cwd)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, pattern)
            self.assertEqual(sorted(os.listdir(self.cwd)), before)
        refuse("nowhere/page.html", r"the folder 'nowhere/' is not there; make it first")
        refuse(".", r"'.' is a folder; name a file in it")
        refuse("", r"the file's name is empty")
        refuse("/dev/null", r"'/dev/null' is not a regular file")
        words = ["report", "run.safetensors", "--data", self.data, "--log", "run.jsonl", "-o"]
        for taken, why in ("run.jsonl", "--out and --log name the same file"), ("run.safetensors", "is read and would be replaced"):
            done = run(*words, taken, cwd=self.cwd)
            self.assertEqual(done.returncode, 2)
            self.assertIn(why, done.stderr)
        before = sorted(os.listdir(self.cwd))
        done = subprocess.run(["bash", "-c", 'ulimit -f 8; exec "$0" "$@"', PROGRAM, *words, "full.html"], capture_output=True,
                              text=True, timeout=60, cwd=self.cwd)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("'full.html' cannot be written: File too large", done.stderr)
        self.assertEqual(sorted(os.listdir(self.cwd)), before)

    def test_the_file_is_one_that_others_can_read(self):
        self.ok("report", "run.safetensors", "--data", self.data, "-o", "page.html")
        mask = os.umask(0)
        os.umask(mask)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("page.html")).st_mode), 0o666 & ~mask)


class OfModelsMadeByHand(Report):
    NET = ("input shape=1x4x4\nconv name=c1 filters=3 kernel=3 pad=1\nrelu name=r1\nmaxpool name=m1 kernel=2\n"
           "affine name=f1 units=3\ntanh name=t1\naffine name=f2 units=2\nsigmoid name=s1\naffine name=f3 units=3\nsoftmax name=p\n")

    def weights(self):
        centre = [0, 0, 0, 0, 1, 0, 0, 0, 0]
        return {
            # filter 0 passes the image on, 1 is below 0 everywhere, 2 is 0.25 everywhere
            "c1.weight": ([3, 1, 3, 3], [*centre, *(-v for v in centre), *[0] * 9]),
            "c1.bias": ([3], [0, 0, 0.25]),
            # pixels are above 0, so units 0 and 1 are large; unit 2 stays near 0
            "f1.weight": ([3, 12], [*[100] * 12, *[-100] * 12, *[0.01] * 4, *[0] * 8]),
            "f1.bias": ([3], [0, 0, 0]),
            "f2.weight": ([2, 3], [0, 0, 1, 0, 0, -1]),
            "f2.bias": ([2], [0, 0.5]),
            "f3.weight": ([3, 2], [1, 0, 0, 1, 0, 0]),
            "f3.bias": ([3], [0, 0, 0]),
        }

    def test_what_is_dead_and_what_is_saturated(self):
        write_model(self.path("hand.safetensors"), self.NET, self.weights())
        page = self.report("hand.safetensors")
        dead = page.column("layer-table", "dead")
        self.assertEqual({name: n for name, n in dead.items() if n not in ("0", "")}, {"c1": "1", "r1": "1", "t1": "2", "f3": "1"})
        saturated = page.column("layer-table", "saturated")
        self.assertEqual((saturated["t1"], saturated["s1"], saturated["r1"]), ("66.7 %", "0.0 %", "–"))
        said = page.by_id["findings-list"]
        self.assertIn("r1: 1 of 3 channels is dead. The output of channel 1 is 0 for every one of the 60 images, so no gradient", said)
        self.assertIn("t1: 2 of 3 units are dead. The outputs of units 0, 1 are the same for every one", said)
        self.assertIn("c1: 1 of 3 channels", said)
        self.assertIn("The output of channel 2 is the same for every one of the 60 images.", said)
        self.assertIn("f3: 1 of 3 units", said)
        self.assertIn("t1 is saturated: 66.7 % of its outputs", said)
        self.assertNotIn("s1 is saturated", said)
        self.assertNotIn("m1", said)
        zeros = page.column("layer-table", "zeros")
        self.assertEqual((zeros["r1"], zeros["c1"]), ("33.3 %", "0.0 %"))

    def test_a_healthy_one(self):
        weights = self.weights()
        weights["c1.weight"][1][9:] = [0.5] * 9 + [0.1] * 9
        weights["f1.weight"] = ([3, 12], [0.01 * (i % 5 - 2) for i in range(36)])
        weights["f3.weight"] = ([3, 2], [1, 0, 0, 1, 1, 1])
        write_model(self.path("fit.safetensors"), self.NET, weights)
        said = self.report("fit.safetensors").by_id["findings-list"]
        self.assertIn("No channel is dead: in each layer, every channel's output varies over the 60 images.", said)
        self.assertIn("No layer is saturated.", said)

    def test_statistics_of_weights(self):
        weights = self.weights()
        write_model(self.path("hand.safetensors"), self.NET, weights)
        page = self.report("hand.safetensors")
        for name, (_, values) in weights.items():
            mean = sum(values) / len(values)
            deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
            for title, wanted in ("mean", mean), ("deviation", deviation), ("smallest", min(values)), ("largest", max(values)):
                self.assertAlmostEqual(float(page.column("weight-table", title)[name]), wanted, delta=0.005 * abs(wanted) + 1e-6)
            self.assertEqual(page.column("weight-table", "moved by training")[name], "–")
        self.assertIn("The model does not say how it was trained.", page.by_id["run"])
        self.assertIn("does not say the seed", page.by_id["filters"])

    def test_names_stay_text(self):
        """What would be HTML, or break out of it, in class names, settings, layers and paths."""
        name = "<script>alert(1)</script>\"'&.safetensors"
        classes = ["</td><img src=x onerror=alert(1)>", "\"'&<>", "\x01\x7f ü"]
        write_model(self.path(name.replace("/", "_")), self.NET, self.weights(), classes,
                    {"optimizer": "</script><b>", "weights_seed": 1, "batch": 10})
        done = run("report", name.replace("/", "_"), "--data", self.data, "-o", "page.html", cwd=self.cwd)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("class 0 is '", done.stderr)
        page = Page(self.path("page.html"))
        self.assertEqual(page.tags.count("script"), 1)
        self.assertFalse(any(image.get("src") == "x" for image in page.images))
        self.assertEqual(page.table("matrix")[0][1:], [classes[0], classes[1], "\ufffd\ufffd ü"])
        self.assertIn("'</script><b>'", page.by_id["command"])

    def test_other_networks(self):
        """Without convolution; with one output image a side; in colour; ending in scores; deep."""
        flat = "input shape=1x4x4\naffine name=f1 units=3\n"
        write_model(self.path("flat.safetensors"), flat, {"f1.weight": ([3, 16], [0.1 * (i % 7) for i in range(48)]),
                                                          "f1.bias": ([3], [0, 0.1, 0.2])})
        page = self.report("flat.safetensors")
        self.assertIn("has no convolution", page.by_id["filters"])
        self.assertIn("No layer can saturate", page.by_id["findings-list"])
        with open(self.path("crop.net"), "w") as file:
            file.write("input shape=1x3x3\nconv filters=2 kernel=2\nrelu\naffine units=3\n")
        self.ok("train", "crop.net", "--data", self.data, "--epochs", "1", "--batch", "20", "--augment", "crop=4", "--normalize",
                "channel", "--loss", "mse", "--out", "crop.safetensors", "--log", "crop.jsonl")
        page = self.report("crop.safetensors", "--log", "crop.jsonl")
        self.assertEqual(page.column("layer-table", "output")["input1"], "1x3x3")
        for name in "a.bin", "b.bin":
            with open(self.path(name), "wb") as file:
                for i in range(20):
                    file.write(bytes([i % 10]) + bytes((25 * (i % 10) + k) % 256 for k in range(3072)))
        with open(self.path("colour.net"), "w") as file:
            file.write("input shape=3x32x32\nconv filters=40 kernel=3 stride=2 pad=1 round=floor\nrelu\ndropout\naffine units=10\n")
        self.ok("train", "colour.net", "--data", "a.bin,b.bin", "--epochs", "1", "--out", "colour.safetensors")
        page = self.report("colour.safetensors", data="a.bin,b.bin")
        self.assertIn("conv 40x16x16; the first 32 of 40", page.by_id["features"])
        self.assertIn("airplane", page.by_id["confusion"])
        self.assertNotIn("dropout1", page.by_id["features"])
        deep = "input shape=1x4x4\n" + "conv filters=20 kernel=3 pad=1 init=he\nbatchnorm\nrelu\n" * 8 + "affine units=3\nsoftmax\n"
        with open(self.path("deep.net"), "w") as file:
            file.write(deep)
        self.ok("train", "deep.net", "--data", self.data, "--epochs", "1", "--batch", "20", "--out", "deep.safetensors")
        page = self.report("deep.safetensors", "--threads", "2")
        self.assertIn("Of 26 layers 16 are shown", page.by_id["features"])
        self.assertEqual(page.source.count('class="wide strip'), 16)
        self.assertIn("2 more layers have filters", page.by_id["filters"])
        self.assertIn("the first 12 of each", page.by_id["filters"])


unittest.main(verbosity=2)
