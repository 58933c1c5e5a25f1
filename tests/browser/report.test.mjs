// The page of `cnn report`, from end to end: its curves against the log, pointer, keyboard and finger, wide and narrow,
// light and dark, on paper and without script. tools/test-browser gives $CNN_PROGRAM and has fetched MNIST.
import assert from 'node:assert/strict';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {pathToFileURL} from 'node:url';
import {assertAccessible, assertFits, cnn, launch, withPage} from './harness.mjs';

const phone = {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true};
const desk = {viewport: {width: 1920, height: 1080}};
const EPOCHS = 5;
let browser, folder, epochs;
const file = name => join(folder, name);
const url = name => pathToFileURL(file(name)).href;
const open = (options, run, name = 'learned.html') => withPage(browser, url(name), options, run);

before(async () => {
  browser = await launch();
  folder = mkdtempSync(join(tmpdir(), 'cnn-'));
  const train = (name, ...words) => {
    cnn(process.env.CNN_PROGRAM, 'train', 'simple-conv-net', '--data', 'mnist', '--limit', '2000', '--out', file(`${name}.safetensors`), ...words);
  };
  const report = (name, ...words) =>
    cnn(process.env.CNN_PROGRAM, 'report', file(`${name}.safetensors`), '--data', 'mnist', '--limit', '1000', '-o', file(`${name}.html`), ...words);
  train('learned', '--epochs', String(EPOCHS), '--validation', '200', '--schedule', 'cosine', '--log', file('run.jsonl'));
  report('learned', '--log', file('run.jsonl'));
  train('untaught', '--epochs', '1', '--lr', '1e-12'); // wrong about nearly all: the darkest shades
  report('untaught');
  epochs = readFileSync(file('run.jsonl'), 'utf8').trim().split('\n').slice(1).map(JSON.parse);
  assert.equal(epochs.length, EPOCHS);
});
after(async () => {
  await browser.close();
  rmSync(folder, {recursive: true});
});

// What a log has for each curve of a chart, as the chart shows it.
const times = epochs => epochs.map((epoch, i) => epoch.seconds - (i ? epochs[i - 1].seconds : 0));
const wanted = () => ({
  loss: ['loss', 'train_loss', 'validation_loss', 'test_loss'].map(key => epochs.map(epoch => epoch[key])),
  accuracy: ['accuracy', 'train_accuracy', 'validation_accuracy', 'test_accuracy'].map(key => epochs.map(epoch => 100 * epoch[key])),
  lr: [epochs.map(epoch => epoch.lr)],
  time: [times(epochs)],
});

for (const [name, options] of [['1920 pixels', desk], ['360 pixels', phone]])
  for (const colorScheme of ['light', 'dark'])
    for (const model of ['learned', 'untaught'])
      test(`${name}, ${colorScheme}, ${model}: nothing sticks out, and axe-core has no serious fault`, () =>
        open({...options, colorScheme}, async page => {
          await assertFits(page);
          await page.evaluate(() => document.querySelectorAll('details').forEach(one => (one.open = true)));
          await assertFits(page);
          await assertAccessible(page);
          const broken = await page.evaluate(() => [...document.images].filter(one => !one.complete || !one.naturalWidth).length);
          assert.equal(broken, 0);
          assert.ok(await page.evaluate(() => document.images.length) > 20);
        }, `${model}.html`));

// Read as a person reads it: by the numbers at the axis.
async function readCurves(page, id) {
  return page.evaluate(id => {
    const svg = document.querySelector(`#chart-${id} svg`), logarithmic = svg.dataset.log === '1';
    const ticks = [...svg.querySelectorAll('.tick')].map(tick => {
      const y = Number(tick.previousElementSibling.getAttribute('d').match(/^M[0-9.]+ ([0-9.]+)H/)[1]);
      const value = parseFloat(tick.textContent);
      return {y, value: logarithmic ? Math.log10(value) : value};
    });
    const [a, z] = [ticks[0], ticks.at(-1)];
    const labels = [...svg.querySelectorAll('.epoch')].map(one => ({x: Number(one.getAttribute('x')), epoch: Number(one.textContent)}));
    const [first, last] = [labels[0], labels.at(-1)];
    return [...svg.querySelectorAll('.curve')].map(curve =>
      [...curve.getAttribute('d').matchAll(/([ML])([0-9.]+) ([0-9.]+)/g)].map(([, , x, y]) => {
        const value = a.value + ((Number(y) - a.y) / (z.y - a.y)) * (z.value - a.value);
        return {
          epoch: first.epoch + ((Number(x) - first.x) / (last.x - first.x)) * (last.epoch - first.epoch),
          value: logarithmic ? 10 ** value : value,
        };
      }));
  }, id);
}

test('the points of the curves are those of the log', () => open(desk, async page => {
  for (const [id, series] of Object.entries(wanted())) {
    const curves = await readCurves(page, id);
    assert.equal(curves.length, series.length, `${id}: ${curves.length} curves`);
    const range = Math.max(...series.flat()) - Math.min(0, ...series.flat());
    curves.forEach((points, k) => {
      assert.equal(points.length, EPOCHS);
      points.forEach((point, i) => {
        assert.ok(Math.abs(point.epoch - (i + 1)) < 0.01);
        assert.ok(Math.abs(point.value - series[k][i]) < 0.001 * range, `${id} ${k}: ${point.value}, not ${series[k][i]}`);
      });
    });
  }
}));

// What a chart says of an epoch, from the log.
const decimals = {loss: 4, accuracy: 2, time: 1}, units = {accuracy: ' %', time: ' s'};
const said = (id, value) =>
  id === 'lr' ? String(Number(value.toPrecision(4))).replace(/e-(\d)$/, 'e-0$1') : value.toFixed(decimals[id]) + (units[id] ?? '');
async function assertShows(page, epoch) {
  for (const [id, series] of Object.entries(wanted())) {
    assert.equal(await page.textContent(`#chart-${id} .at`), `epoch ${epoch}`);
    assert.deepEqual(await page.locator(`#chart-${id} .readout b`).allTextContents(), series.map(values => said(id, values[epoch - 1])));
  }
}
const cursors = page => page.locator('.cursor[visibility=visible]').count();

// Where the pixels of an epoch are.
async function placeOf(page, id, epoch) {
  const svg = page.locator(`#chart-${id} svg`);
  await svg.scrollIntoViewIfNeeded();
  return page.evaluate(([id, epoch]) => {
    const svg = document.querySelector(`#chart-${id} svg`), box = svg.getBoundingClientRect();
    const [first, ...rest] = [...svg.querySelectorAll('.epoch')], last = rest.at(-1);
    const at = label => label.getBoundingClientRect().x + label.getBoundingClientRect().width / 2;
    const share = (epoch - Number(first.textContent)) / (Number(last.textContent) - Number(first.textContent));
    return [at(first) + share * (at(last) - at(first)), box.y + box.height / 3];
  }, [id, epoch]);
}

test('the pointer reads the values of an epoch, in all charts', () => open(desk, async page => {
  await assertShows(page, EPOCHS);
  assert.equal(await cursors(page), 0);
  for (const [id, epoch] of [['loss', 2], ['accuracy', 1], ['time', 4]]) {
    await page.mouse.move(...await placeOf(page, id, epoch));
    await assertShows(page, epoch);
    assert.equal(await cursors(page), 4);
  }
  const marks = await page.evaluate(() => [...document.querySelectorAll('#chart-loss .cursor circle')].map(mark => [
    Number(mark.getAttribute('cx')), Number(mark.getAttribute('cy'))]));
  const points = await page.evaluate(() => [...document.querySelectorAll('#chart-loss .curve')].map(curve =>
    curve.getAttribute('d').split(/[ML]/)[4].split(' ').map(Number)));
  marks.forEach(([x, y], k) => assert.ok(Math.abs(x - points[k][0]) < 0.1 && Math.abs(y - points[k][1]) < 0.1));
  await page.mouse.move(5, 5);
  await assertShows(page, EPOCHS);
  assert.equal(await cursors(page), 0);
}));

test('the keyboard reads them too, and a screen reader hears them', () => open(desk, async page => {
  const focused = () => page.evaluate(() => document.activeElement.parentElement.id);
  await page.locator('nav a').last().focus();
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'chart-loss');
  const slider = page.getByRole('slider', {name: /^Loss over 5 epochs: training from [0-9.]+ to [0-9.]+; /});
  assert.equal(await slider.getAttribute('aria-valuenow'), '5');
  await page.keyboard.press('ArrowLeft');
  await assertShows(page, 4);
  assert.equal(await cursors(page), 4);
  const text = await slider.getAttribute('aria-valuetext');
  assert.ok(text.startsWith(`epoch 4: training ${epochs[3].loss.toFixed(4)}, `), text);
  assert.ok(text.endsWith(`test ${epochs[3].test_loss.toFixed(4)}`), text);
  await page.keyboard.press('Home');
  await assertShows(page, 1);
  await page.keyboard.press('ArrowRight');
  await assertShows(page, 2);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'chart-accuracy');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Escape');
  assert.equal(await cursors(page), 0);
  await page.keyboard.press('End');
  await assertShows(page, EPOCHS);
}));

test('a finger reads them', () => open(phone, async page => {
  await page.touchscreen.tap(...await placeOf(page, 'accuracy', 3));
  await assertShows(page, 3);
}));

test('without script the curves, their last values and all values as a table are there', async () => {
  const context = await browser.newContext({...desk, javaScriptEnabled: false});
  const page = await context.newPage();
  await page.goto(url('learned.html'));
  assert.equal(await page.locator('.curve').count(), 10);
  await assertShows(page, EPOCHS);
  assert.equal(await page.locator('details tbody tr').count(), EPOCHS);
  await context.close();
});

test('without a log the page says so in place of the curves', () => open(desk, async page => {
  assert.match(await page.textContent('#curves-section'), /There is no log of the run/);
  assert.equal(await page.locator('svg').count(), 0);
}, 'untaught.html'));

test('on paper all is unfolded, and light', () => open({...desk, colorScheme: 'dark'}, async page => {
  await page.setViewportSize({width: 718, height: 1000}); // A4 less its margins
  await page.emulateMedia({media: 'print', colorScheme: 'dark'});
  await assertFits(page);
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).color), 'rgb(0, 0, 0)');
  await page.evaluate(() => {
    window.opened = 0;
    addEventListener('beforeprint', () => (window.opened = document.querySelectorAll('details[open]').length));
  });
  const pdf = await page.pdf({format: 'A4', printBackground: true});
  assert.ok(pdf.length > 100000);
  assert.equal(await page.evaluate(() => window.opened), 2);
  assert.equal(await page.locator('details[open]').count(), 0);
}));
