// The page of `cnn serve`: strokes on paper become the network's pixels, the pixels go to the server, and what
// comes back is drawn. Whenever something changed, one request is under way and at most one waits.
//
//   GET  model   {model, input: [c, h, w], classes: [...], layers: [{name, kind, shape, maps}], ...}
//   POST look    c*h*w bytes -> {probabilities, layers: [{largest, values}], saliency}

const $ = id => document.getElementById(id);
const make = (tag, className, text = '') =>
  Object.assign(document.createElement(tag), {className, textContent: text});
const percent = share => `${(100 * share).toFixed(1)} %`;
const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

const PAPER = 320; // the least pixels of the paper's longer side
const PEN = 1 / 11; // of the paper's shorter side: two to three pixels of a digit of MNIST
const MOST_BARS = 10;
const HOT = [255, 122, 26]; // of the saliency

let model; // what GET model said
let channels, height, width; // of the network's image
let paper; // context of what is drawn, `fold` times as large as the image each way
let fold;
let strokes = []; // {colour, points: [[x, y], ...]} in pixels of the paper
let photo = null; // an ImageBitmap below the strokes
let ink; // colour of the pen
let given = null; // the bytes that were last sent
let answer = null; // and what came back
let bars = []; // one for each row of the guess
let cards = []; // one for each layer

// ---- The paper ----

const isDigits = () => channels === 1 && height === 28 && width === 28;
const blank = () => (channels === 1 ? '#000' : '#fff');

function drawStroke({colour, points}) {
  paper.strokeStyle = paper.fillStyle = colour;
  paper.lineWidth = PEN * Math.min(paper.canvas.width, paper.canvas.height);
  paper.lineCap = paper.lineJoin = 'round';
  paper.beginPath();
  paper.moveTo(...points[0]);
  for (const point of points) paper.lineTo(...point); // of one point: a dot
  paper.stroke();
}

function drawPaper() {
  const {width: w, height: h} = paper.canvas;
  paper.fillStyle = blank();
  paper.fillRect(0, 0, w, h);
  if (photo) {
    // Whole pixels stay whole pixels: an image of the network's own size goes in as it is.
    paper.imageSmoothingEnabled = w % photo.width !== 0 || h % photo.height !== 0;
    paper.imageSmoothingQuality = 'high';
    paper.drawImage(photo, 0, 0, w, h);
  }
  strokes.forEach(drawStroke);
}

const isEmpty = () => strokes.length === 0 && !photo;

// The paper as values from 0 to 255, channel by channel. Grey is luma by ITU-R BT.601, as where files are read.
function paperValues() {
  const {width: w, height: h} = paper.canvas;
  const rgba = paper.getImageData(0, 0, w, h).data;
  const values = new Float32Array(channels * w * h);
  for (let i = 0; i < w * h; i++) {
    if (channels === 1)
      values[i] = (19595 * rgba[4 * i] + 38470 * rgba[4 * i + 1] + 7471 * rgba[4 * i + 2]) / 65536;
    else
      for (let c = 0; c < channels; c++) values[c * w * h + i] = rgba[4 * i + Math.min(c, 2)];
  }
  if ($('swap').checked) for (let i = 0; i < values.length; i++) values[i] = 255 - values[i];
  return values;
}

// For each of `out` places, which pixels of a line of `length` lie on it, and how much of each: place i is the
// stretch from from + i * step to from + (i + 1) * step.
function cover(length, out, from, step) {
  return Array.from({length: out}, (_, i) => {
    const low = from + i * step, high = low + step, parts = [];
    for (let p = Math.max(0, Math.floor(low)); p < Math.min(length, Math.ceil(high)); p++) {
      const share = Math.min(high, p + 1) - Math.max(low, p);
      if (share > 0) parts.push([p, share / step]);
    }
    return parts;
  });
}

// Each pixel of the image is the mean of what it covers on the paper.
function shrink(values, rows, columns) {
  const {width: w, height: h} = paper.canvas;
  const bytes = new Uint8Array(channels * height * width);
  for (let c = 0; c < channels; c++)
    rows.forEach((row, y) => columns.forEach((column, x) => {
      let sum = 0;
      for (const [py, sy] of row) for (const [px, sx] of column) sum += values[(c * h + py) * w + px] * sy * sx;
      bytes[(c * height + y) * width + x] = Math.round(sum);
    }));
  return bytes;
}

// As MNIST was made of NIST's digits (LeCun, Cortes, Burges: "The MNIST database of handwritten digits"): fitted into
// 20x20 with its proportions, then moved so that the centre of mass is in the middle of 28x28.
function asMnist(values) {
  const {width: w, height: h} = paper.canvas;
  let left = w, right = 0, top = h, bottom = 0, mass = 0, mx = 0, my = 0;
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const v = values[y * w + x];
      if (v < 64) continue; // faint paper of a photograph is no ink
      left = Math.min(left, x), right = Math.max(right, x + 1);
      top = Math.min(top, y), bottom = Math.max(bottom, y + 1);
      mass += v, mx += v * (x + 0.5), my += v * (y + 0.5);
    }
  if (mass === 0) return plain(values);
  const step = Math.max(right - left, bottom - top) / 20; // pixels of the paper for one of the image
  const place = (centre, low, high) => // where the image begins; nothing of the digit is cut off
    Math.max(high - 28 * step, Math.min(low, centre - 14 * step));
  return shrink(values, cover(h, 28, place(my / mass, top, bottom), step),
                cover(w, 28, place(mx / mass, left, right), step));
}

const plain = values =>
  shrink(values, cover(paper.canvas.height, height, 0, fold), cover(paper.canvas.width, width, 0, fold));

const pixels = () => (isDigits() && $('centre').checked ? asMnist : plain)(paperValues());

// ---- The pad: the paper on the screen, and the pen ----

const pen = {x: 0, y: 0, down: false, shown: false}; // of the keyboard, in pixels of the paper

function showPad() {
  const pad = $('pad').getContext('2d');
  pad.drawImage(paper.canvas, 0, 0);
  if (!pen.shown) return;
  const radius = PEN * paper.canvas.width / 2;
  for (const [style, line] of [['#000', 5], ['#ff9d57', 3]]) {
    pad.strokeStyle = style;
    pad.lineWidth = line;
    pad.beginPath();
    pad.arc(pen.x, pen.y, radius, 0, 2 * Math.PI);
    if (!pen.down) pad.moveTo(pen.x - 4, pen.y), pad.lineTo(pen.x + 4, pen.y);
    pad.stroke();
  }
}

function changed() {
  showPad();
  $('hint').hidden = !isEmpty() || pen.shown;
  $('undo').disabled = strokes.length === 0;
  $('clear').disabled = isEmpty();
  ask();
}

function beginStroke(x, y) {
  strokes.push({colour: ink, points: [[x, y]]});
  drawStroke(strokes.at(-1));
}

function extendStroke(x, y) {
  const stroke = strokes.at(-1), last = stroke.points.at(-1);
  stroke.points.push([x, y]);
  drawStroke({colour: stroke.colour, points: [last, [x, y]]});
}

function undo() {
  strokes.pop();
  pen.down = false;
  drawPaper();
  changed();
}

let before = null; // the switches as they were before an image came

function clear() {
  strokes = [];
  photo?.close();
  photo = null;
  pen.down = false;
  if (before) [$('centre').checked, $('swap').checked] = before;
  before = null;
  drawPaper();
  changed();
}

function followPointer() {
  const pad = $('pad');
  let pointer = null; // the one that draws
  const at = event => {
    const box = pad.getBoundingClientRect();
    return [(event.clientX - box.left) * pad.width / box.width, (event.clientY - box.top) * pad.height / box.height];
  };
  pad.addEventListener('pointerdown', event => {
    if (event.button !== 0 || pointer !== null) return;
    pointer = event.pointerId;
    pad.setPointerCapture(pointer);
    pen.shown = pen.down = false;
    beginStroke(...at(event));
    changed();
  });
  pad.addEventListener('pointermove', event => {
    if (event.pointerId !== pointer) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) extendStroke(...at(one));
    changed();
  });
  const lift = event => {
    if (event.pointerId === pointer) pointer = null;
  };
  pad.addEventListener('pointerup', lift);
  pad.addEventListener('pointercancel', lift);
}

function followKeys() {
  const pad = $('pad');
  const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  const put = () => {
    pen.down = !pen.down;
    if (pen.down) beginStroke(pen.x, pen.y);
    say(pen.down ? 'pen down' : 'pen up', 0);
  };
  const actions = {' ': put, Enter: put, u: undo, U: undo, Delete: clear, Backspace: clear};
  pad.addEventListener('keydown', event => {
    const way = ways[event.key], action = actions[event.key];
    if (event.altKey || event.metaKey || event.ctrlKey || !(way || action)) return;
    event.preventDefault();
    pen.shown = true;
    if (way) {
      const step = paper.canvas.width / (event.shiftKey ? 14 : 56);
      pen.x = Math.min(Math.max(pen.x + way[0] * step, 0), paper.canvas.width);
      pen.y = Math.min(Math.max(pen.y + way[1] * step, 0), paper.canvas.height);
      if (pen.down) extendStroke(pen.x, pen.y);
    } else {
      action();
    }
    changed();
  });
  pad.addEventListener('blur', () => {
    pen.shown = pen.down = false;
    changed();
  });
  document.addEventListener('keydown', event => {
    if (event.key !== 'z' || !(event.ctrlKey || event.metaKey) || !strokes.length) return;
    event.preventDefault();
    undo();
  });
}

// ---- Images ----

// Is it ink on paper? Its edge is bright then.
function edgeIsBright() {
  const {width: w, height: h} = paper.canvas, values = paperValues();
  let sum = 0;
  for (let x = 0; x < w; x++) sum += values[x] + values[(h - 1) * w + x];
  for (let y = 0; y < h; y++) sum += values[y * w] + values[y * w + w - 1];
  return sum / (2 * w + 2 * h) > 128;
}

async function open(file) {
  if (!file) return;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {colorSpaceConversion: 'none'});
  } catch {
    trouble(`“${file.name}” is no image that this browser can read.`);
    return;
  }
  trouble('');
  clear();
  photo = bitmap;
  before = [$('centre').checked, $('swap').checked];
  $('swap').checked = false;
  drawPaper();
  const notes = ['image opened'];
  if (channels === 1 && edgeIsBright()) {
    $('swap').checked = true;
    notes.push('black and white are swapped, as it is dark on light');
  }
  if (isDigits() && photo.width === width && photo.height === height) {
    $('centre').checked = false;
    notes.push('it goes in as it is');
  }
  say(notes.join('; '), 0);
  changed();
}

function followImages() {
  $('choose').addEventListener('click', () => $('file').click());
  $('file').addEventListener('change', event => {
    open(event.target.files[0]);
    event.target.value = '';
  });
  document.addEventListener('dragover', event => {
    event.preventDefault();
    $('paper').classList.add('over');
  });
  for (const end of ['dragleave', 'drop'])
    document.addEventListener(end, () => $('paper').classList.remove('over'));
  document.addEventListener('drop', event => {
    event.preventDefault();
    open(event.dataTransfer.files[0]);
  });
  document.addEventListener('paste', event => open(event.clipboardData.files[0]));
}

// ---- Asking ----

let asking = false, again = false;

async function ask() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  do {
    again = false;
    await new Promise(requestAnimationFrame);
    await askOnce();
  } while (again);
  asking = false;
}

async function askOnce() {
  if (isEmpty()) {
    given = answer = null;
    showAnswer();
    return;
  }
  given = pixels();
  try {
    answer = await fetchJson('look', {
      method: 'POST', body: given, headers: {'Content-Type': 'application/octet-stream'}});
    trouble('');
  } catch (error) {
    answer = null;
    trouble(error.message);
  }
  showAnswer();
}

async function fetchJson(path, options) {
  let response;
  try {
    response = await fetch(path, {...options, signal: AbortSignal.timeout(10000)});
  } catch {
    throw new Error('The server does not answer. Is `cnn serve` still running? Draw on to try again.');
  }
  const said = await response.json();
  if (!response.ok) throw new Error(`The server refused: ${said.error}.`);
  return said;
}

// ---- Showing ----

function trouble(text) {
  $('trouble').hidden = !text;
  if ($('trouble').textContent !== text) $('trouble').textContent = text;
}

let speaking;

// For screen readers; of several in a row the last.
function say(text, milliseconds) {
  clearTimeout(speaking);
  speaking = setTimeout(() => ($('spoken').textContent = text), milliseconds);
}

function showAnswer() {
  showGuess();
  showSeen();
  cards.forEach(showLayer);
}

function showGuess() {
  const shares = answer?.probabilities.map(share => share ?? 0); // null: not a number
  $('best-class').classList.toggle('none', !shares);
  if (!shares) {
    $('best-class').textContent = '?';
    $('best-class').classList.remove('long');
    $('best-share').textContent = isEmpty() ? 'draw something' : 'no answer';
    for (const bar of bars) showBar(bar, -1, 0, false);
    say('', 0);
    return;
  }
  const order = shares.map((_, i) => i).sort((a, b) => shares[b] - shares[a] || a - b);
  const best = order[0], name = model.classes[best];
  $('best-class').textContent = name;
  $('best-class').classList.toggle('long', name.length > 4);
  $('best-share').textContent = percent(shares[best]);
  const shown = shares.length > MOST_BARS ? order : shares.map((_, i) => i);
  bars.forEach((bar, i) => showBar(bar, shown[i], shares[shown[i]], shown[i] === best));
  const second = order.length > 1 ? `; then ${model.classes[order[1]]}, ${percent(shares[order[1]])}` : '';
  say(`Guess: ${name}, ${percent(shares[best])}${second}`, 600);
}

function showBar(bar, index, share, isBest) {
  if (index >= 0) bar.name.textContent = bar.name.title = model.classes[index];
  bar.share.textContent = index < 0 ? '' : percent(share);
  bar.bar.style.transform = `translateX(${100 * share - 100}%)`;
  bar.row.classList.toggle('first', isBest);
}

// The server's values are base64: bytes, or signed bytes, of which 127 stands for the largest there is.
const decode = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

function showSeen() {
  const seen = $('seen').getContext('2d'), image = seen.createImageData(width, height);
  const hot = answer && $('saliency').checked ? decode(answer.saliency) : null;
  const plane = height * width;
  for (let i = 0; i < plane; i++) {
    const share = hot ? hot[i] / 255 : 0;
    for (let k = 0; k < 3; k++) {
      const value = given ? given[Math.min(k, channels - 1) * plane + i] : 0;
      image.data[4 * i + k] = value * (1 - share) + HOT[k] * share;
    }
    image.data[4 * i + 3] = 255;
  }
  seen.putImageData(image, 0, 0);
  $('seen').setAttribute('aria-label', !given ? 'The pixels that the network is given: none yet'
    : `The ${width} by ${height} pixels that the network is given${hot ? ', those that its guess depends on in orange' : ''}`);
}

// ---- Feature maps: a sheet for each layer, a tile for each channel ----

let colours; // of the 255 values from -127 to 127, as pixels

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = name => [1, 3, 5].map(at => parseInt(style.getPropertyValue(name).trim().slice(at, at + 2), 16));
  const zero = rgb('--zero'), ends = [rgb('--negative'), rgb('--positive')];
  colours = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(colours.buffer);
  for (let value = -127; value <= 127; value++) {
    const end = ends[+(value > 0)], share = Math.sqrt(Math.abs(value) / 127); // faint ones are to be seen too
    const at = value & 255;
    for (let k = 0; k < 3; k++) bytes[4 * at + k] = zero[k] + (end[k] - zero[k]) * share;
    bytes[4 * at + 3] = 255;
  }
}

// How the tiles of a layer stand in a sheet that is `room` wide, in pixels of the page.
function arrange({shape: [, h, w], maps}, room) {
  const zoom = h * w === 1 ? 14 : Math.max(1, Math.round((room < 500 ? 48 : 64) / w));
  const gap = h * w === 1 ? 2 : 4;
  const columns = Math.max(1, Math.min(maps, h * w === 1 ? 25 : 16, Math.floor((room + gap) / (w * zoom + gap))));
  return {zoom, gap, columns, rows: Math.ceil(maps / columns), w: w * zoom + gap, h: h * zoom + gap};
}

function showLayer(card) {
  if (!card.visible) return;
  const {layer, canvas} = card, [, h, w] = layer.shape, index = cards.indexOf(card);
  const values = answer ? new Int8Array(decode(answer.layers[index].values).buffer) : null;
  const sheet = card.sheet = arrange(layer, card.article.clientWidth);
  canvas.width = sheet.columns * sheet.w - sheet.gap;
  canvas.height = sheet.rows * sheet.h - sheet.gap;
  const image = new ImageData(canvas.width, canvas.height), out = new Uint32Array(image.data.buffer);
  for (let map = 0; map < layer.maps; map++) {
    const left = map % sheet.columns * sheet.w, top = Math.floor(map / sheet.columns) * sheet.h;
    for (let y = 0; y < h * sheet.zoom; y++) {
      const row = (map * h + Math.floor(y / sheet.zoom)) * w, at = (top + y) * canvas.width + left;
      for (let x = 0; x < w * sheet.zoom; x++)
        out[at + x] = colours[values ? values[row + Math.floor(x / sheet.zoom)] & 255 : 0];
    }
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
  card.values = values;
  card.largest = answer ? answer.layers[index].largest : 0;
  tell(card);
}

// The place of the value that is furthest from 0 in maps first .. past - 1.
function strongest(card, first, past) {
  const plane = card.layer.shape[1] * card.layer.shape[2];
  let best = first * plane;
  for (let i = best; i < past * plane; i++)
    if (Math.abs(card.values[i]) > Math.abs(card.values[best])) best = i;
  return best;
}

// The line below a sheet: about the channel under the pointer, or the strongest; it has a frame. Channels, rows and
// columns count from 0, as in C.
function tell(card) {
  const {layer, canvas, sheet, values, over} = card, [c, h, w] = layer.shape;
  if (!values) {
    card.said.textContent = ' ';
    canvas.setAttribute('aria-label', `${count(layer.maps, 'feature map')} of ${layer.name}`);
    return;
  }
  const best = over < 0 ? strongest(card, 0, layer.maps) : strongest(card, over, over + 1);
  const map = Math.floor(best / (h * w)), at = best % (h * w), value = values[best] * card.largest / 127;
  const where = h * w === 1 ? '' : ` in row ${Math.floor(at / w)}, column ${at % w}`;
  const what = `channel ${map}${over < 0 ? ' is the strongest' : ''}: ${value.toPrecision(3)}${where}`;
  const hidden = layer.maps < c ? `; the first ${layer.maps} of ${c} are shown` : '';
  card.said.textContent = what + hidden;
  canvas.setAttribute('aria-label', `${count(layer.maps, 'feature map')} of ${layer.name}; ${what}${hidden}`);
  const pen = canvas.getContext('2d');
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--ink');
  pen.lineWidth = 2;
  pen.strokeRect(map % sheet.columns * sheet.w + 1, Math.floor(map / sheet.columns) * sheet.h + 1,
                 sheet.w - sheet.gap - 2, sheet.h - sheet.gap - 2);
}

function followMaps(card) {
  const over = map => {
    if (map === card.over) return;
    card.over = map;
    showLayer(card);
  };
  card.canvas.addEventListener('pointermove', event => {
    if (!card.values) return;
    const box = card.canvas.getBoundingClientRect(), scale = card.canvas.width / box.width;
    const column = Math.floor((event.clientX - box.left) * scale / card.sheet.w);
    const map = Math.floor((event.clientY - box.top) * scale / card.sheet.h) * card.sheet.columns + column;
    over(map >= 0 && map < card.layer.maps ? map : -1);
  });
  card.canvas.addEventListener('pointerleave', () => over(-1));
}

// ---- The beginning ----

function buildGuess() {
  bars = Array.from({length: Math.min(MOST_BARS, model.classes.length)}, (_, i) => {
    const row = make('li', ''), name = make('span', 'name', model.classes[i]), share = make('span', 'share');
    const track = make('div', 'track'), bar = make('div', 'bar');
    track.append(bar);
    row.append(name, track, share);
    return {row, name, share, bar};
  });
  $('classes').append(...bars.map(bar => bar.row));
  $('classes').classList.toggle('wide', model.classes.some(name => name.length > 4));
}

function buildLayers() {
  const watch = new IntersectionObserver(entries => {
    for (const entry of entries) {
      const card = cards.find(one => one.article === entry.target);
      card.visible = entry.isIntersecting;
      showLayer(card);
    }
  }, {rootMargin: '400px'});
  cards = model.layers.map(layer => {
    const article = make('article', ''), title = make('div', 'title'), canvas = make('canvas', '');
    const [c, h, w] = layer.shape, said = make('p', 'said fine', ' ');
    title.append(make('h3', '', layer.name),
                 make('span', 'fine', `${layer.kind}, ${h * w === 1 ? count(c, 'value') : `${c} × ${h} × ${w}`}`));
    canvas.setAttribute('role', 'img');
    const card = {layer, article, canvas, said, visible: false, over: -1, values: null};
    // Its place is kept before it is drawn, so that nothing below jumps.
    const sheet = arrange(layer, $('maps').clientWidth);
    canvas.width = sheet.columns * sheet.w - sheet.gap;
    canvas.height = sheet.rows * sheet.h - sheet.gap;
    article.append(title, canvas, said);
    tell(card);
    followMaps(card);
    return card;
  });
  $('maps').append(...cards.map(card => card.article));
  cards.forEach(card => watch.observe(card.article));
  new ResizeObserver(() => cards.forEach(showLayer)).observe($('maps'));
}

function buildColours() {
  const names = {'#000000': 'black', '#7a4a21': 'brown', '#d32f2f': 'red', '#f57c00': 'orange', '#fbc02d': 'yellow',
                 '#388e3c': 'green', '#1976d2': 'blue', '#9e9e9e': 'grey', '#ffffff': 'white'};
  const buttons = Object.entries(names).map(([colour, name]) => {
    const button = make('button', '');
    button.type = 'button';
    button.style.background = colour;
    button.setAttribute('aria-label', name);
    button.addEventListener('click', () => choose(colour));
    return {button, colour};
  });
  const choose = colour => {
    ink = colour;
    for (const one of buttons) one.button.setAttribute('aria-pressed', one.colour === colour);
  };
  choose('#000000');
  $('colours').append(...buttons.map(one => one.button));
  $('colours').hidden = false;
}

function buildPaper() {
  const longer = Math.max(height, width);
  fold = Math.max(1, Math.ceil(PAPER / longer));
  const canvas = document.createElement('canvas');
  canvas.width = $('pad').width = width * fold;
  canvas.height = $('pad').height = height * fold;
  $('seen').width = width;
  $('seen').height = height;
  paper = canvas.getContext('2d', {willReadFrequently: true, alpha: false});
  pen.x = canvas.width / 2;
  pen.y = canvas.height / 2;
  ink = '#fff';
  if (channels > 1) buildColours();
  const digits = model.classes.every(name => /^\d$/.test(name));
  $('hint').textContent = digits ? 'Draw a digit here' : 'Draw here, or drop an image';
  $('hint').classList.toggle('on-white', channels > 1);
  $('centre-label').hidden = $('centre-note').hidden = !isDigits();
  $('swap-label').hidden = channels > 1;
}

async function start() {
  try {
    model = await fetchJson('model');
  } catch (error) {
    trouble(error.message);
    return;
  }
  [channels, height, width] = model.image;
  document.title = `${model.model} – what the network sees`;
  $('model').textContent = `${model.model}: ${count(model.layers.length, 'layer')}, from ${channels} × ${height} × ${width} to ` +
    count(model.classes.length, 'class').replace('classs', 'classes');
  readColours();
  buildPaper();
  buildGuess();
  buildLayers();
  followPointer();
  followKeys();
  followImages();
  $('undo').addEventListener('click', undo);
  $('clear').addEventListener('click', clear);
  $('saliency').addEventListener('change', showSeen);
  $('centre').addEventListener('change', ask);
  $('swap').addEventListener('change', ask);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    readColours();
    cards.forEach(showLayer);
  });
  drawPaper();
  changed();
}

start();
