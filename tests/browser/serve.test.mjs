// The page of `cnn serve`, from end to end. tools/test-browser gives $CNN_PROGRAM, and as $CNN_MODEL
// simple-conv-net after an epoch of MNIST.
import assert from 'node:assert/strict';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {assertAccessible, assertFits, cnn, draw, launch, serve, withPage} from './harness.mjs';

const seven = JSON.parse(readFileSync(new URL('seven.json', import.meta.url)));
const phone = {viewport: {width: 360, height: 740}, hasTouch: true, isMobile: true};
const desk = {viewport: {width: 1920, height: 1080}};
let browser, server;

before(async () => {
  browser = await launch();
  server = await serve(process.env.CNN_PROGRAM, process.env.CNN_MODEL);
});
after(async () => {
  await browser.close();
  await server.stop();
});

const open = (options, run) => withPage(browser, server.url, options, run);

// The page waits for the network; so does this, for what the page is to say.
async function says(page, selector, text) {
  await page.waitForFunction(([where, what]) => document.querySelector(where).textContent.includes(what),
                             [selector, text], {timeout: 10000});
}

// The bytes of the image that is sent after an act; of several the last.
async function sent(page, act) {
  const images = [];
  const keep = request => request.url().endsWith('/look') && images.push(request.postDataBuffer());
  page.on('request', keep);
  await act();
  for (let seen = -1; images.length === 0 || images.length > seen;) {
    seen = images.length;
    await page.waitForTimeout(400);
  }
  page.off('request', keep);
  return images.at(-1);
}

const inked = (page, canvas) => page.evaluate(selector => {
  const {width, height} = document.querySelector(selector);
  const rgba = document.querySelector(selector).getContext('2d').getImageData(0, 0, width, height).data;
  return new Set(new Uint32Array(rgba.buffer)).size;
}, canvas);

for (const [name, options] of [['1920 pixels', desk], ['360 pixels', phone]])
  for (const colorScheme of ['light', 'dark'])
    test(`a 7 is drawn, ${name} wide, ${colorScheme}`, () => open({...options, colorScheme}, async page => {
      await says(page, '#best-share', 'draw something');
      await assertFits(page);
      await assertAccessible(page);
      await draw(page, '#pad', seven);
      await says(page, '#best-class', '7');
      await says(page, '#classes .first .name', '7');
      await says(page, '#spoken', 'Guess: 7');
      const rows = await page.locator('#classes li').allTextContents();
      assert.equal(rows.length, 10);
      const total = rows.reduce((sum, row) => sum + parseFloat(row.slice(1)), 0);
      assert.ok(Math.abs(total - 100) < 1, `probabilities add up to ${total} %`);
      assert.ok(await inked(page, '#seen') > 20, 'the saliency is drawn');
      const layers = await page.locator('article h3').allTextContents();
      assert.deepEqual(layers, ['conv1', 'relu1', 'maxpool1', 'affine1', 'relu2', 'affine2', 'softmax1']);
      for (let i = 0; i < layers.length; i++) {
        await page.locator('article').nth(i).scrollIntoViewIfNeeded();
        await says(page, `article:nth-child(${i + 1}) .said`, 'is the strongest');
        assert.ok(await inked(page, `article:nth-child(${i + 1}) canvas`) > 2, `${layers[i]} is drawn`);
      }
      await says(page, 'article:nth-child(7) .said', 'channel 7 is the strongest');
      await assertFits(page);
      await assertAccessible(page);
    }));

test('answers follow the stroke before the pen is lifted', () => open(desk, async page => {
  const box = await page.locator('#pad').boundingBox();
  await page.mouse.move(box.x + 100, box.y + 80);
  await page.mouse.down();
  await page.mouse.move(box.x + 250, box.y + 80, {steps: 5});
  await says(page, '#best-share', '%');
  await page.mouse.up();
}));

test('a finger draws, and the page does not scroll under it', () => open(phone, async page => {
  const box = await page.locator('#pad').boundingBox();
  const touch = await page.context().newCDPSession(page);
  const at = y => ({touchPoints: y === null ? [] : [{x: box.x + box.width / 2, y: box.y + y * box.height}]});
  await touch.send('Input.dispatchTouchEvent', {type: 'touchStart', ...at(0.2)});
  for (const y of [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]) await touch.send('Input.dispatchTouchEvent', {type: 'touchMove', ...at(y)});
  await touch.send('Input.dispatchTouchEvent', {type: 'touchEnd', ...at(null)});
  await says(page, '#best-class', '1');
  assert.equal(await page.evaluate(() => scrollY), 0);
}));

test('the keyboard draws, undoes and clears', () => open(desk, async page => {
  const press = async (key, times) => {
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
  };
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pad');
  await press('Shift+ArrowUp', 4);
  await page.keyboard.press('Space');
  await says(page, '#spoken', 'pen down');
  await press('Shift+ArrowDown', 8);
  await page.keyboard.press('Space');
  await says(page, '#best-class', '1');
  await page.keyboard.press('u');
  await says(page, '#best-share', 'draw something');
  await page.keyboard.press('Space');
  await says(page, '#best-share', '%');
  await page.keyboard.press('Delete');
  await says(page, '#best-share', 'draw something');
}));

test('undo and clear by their buttons', () => open(desk, async page => {
  assert.ok(await page.locator('#undo').isDisabled() && await page.locator('#clear').isDisabled());
  await draw(page, '#pad', [[[0.5, 0.2], [0.5, 0.8]], [[0.2, 0.5], [0.8, 0.5]]]);
  await page.click('#undo');
  await says(page, '#best-class', '1');
  await page.click('#clear');
  await says(page, '#best-share', 'draw something');
  assert.ok(await page.locator('#undo').isDisabled());
}));

test('what is drawn is centred and scaled as MNIST was made, or goes in as it is', () => open(desk, async page => {
  const corner = [[[0.05, 0.05], [0.05, 0.35]], [[0.05, 0.35], [0.15, 0.35]]]; // a small L
  const bytes = await sent(page, () => draw(page, '#pad', corner));
  assert.equal(bytes.length, 784);
  let mass = 0, mx = 0, my = 0;
  const rows = new Set(), columns = new Set();
  bytes.forEach((value, i) => {
    mass += value, mx += value * (i % 28 + 0.5), my += value * (Math.floor(i / 28) + 0.5);
    if (value > 0) rows.add(Math.floor(i / 28)), columns.add(i % 28);
  });
  assert.ok(Math.abs(mx / mass - 14) < 0.1 && Math.abs(my / mass - 14) < 0.1, 'the centre of mass is in the middle');
  assert.ok(rows.size >= 20 && rows.size <= 21, `${rows.size} rows of ink`);
  assert.ok(columns.size < rows.size, 'proportions stay');
  const plain = await sent(page, () => page.click('#centre-label'));
  plain.forEach((value, i) => assert.ok(value === 0 || (i % 28 < 8 && i / 28 < 14), 'ink stays in its corner'));
  const swapped = await sent(page, () => page.click('#swap-label'));
  swapped.forEach((value, i) => assert.ok(Math.abs(value + plain[i] - 255) <= 1));
}));

test('an image of the network\'s own size goes in to the byte', () => open(desk, async page => {
  const made = await page.evaluate(async () => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 28;
    const context = canvas.getContext('2d'), image = context.createImageData(28, 28);
    for (let i = 0; i < 784; i++) image.data.set([i % 200, i % 200, i % 200, 255], 4 * i);
    context.putImageData(image, 0, 0);
    const blob = await new Promise(done => canvas.toBlob(done));
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  const file = {name: 'made.png', mimeType: 'image/png', buffer: Buffer.from(made)};
  const bytes = await sent(page, () => page.setInputFiles('#file', file));
  bytes.forEach((value, i) => assert.equal(value, i % 200));
  assert.ok(!await page.isChecked('#centre'));
  await says(page, '#best-share', '%');
  await page.click('#clear');
  assert.ok(await page.isChecked('#centre'));
  await page.setInputFiles('#file', {name: 'text.txt', mimeType: 'text/plain', buffer: Buffer.from('text')});
  await says(page, '#trouble', 'no image');
}));

test('ink on paper is swapped when it is dropped', () => open(desk, async page => {
  await page.evaluate(async () => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 300;
    const context = canvas.getContext('2d');
    context.fillStyle = '#fff';
    context.fillRect(0, 0, 300, 300);
    context.lineWidth = 26;
    context.moveTo(150, 60);
    context.lineTo(150, 240);
    context.stroke();
    const data = new DataTransfer();
    data.items.add(new File([await new Promise(done => canvas.toBlob(done))], 'one.png', {type: 'image/png'}));
    document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
  });
  await says(page, '#best-class', '1');
  assert.ok(await page.isChecked('#swap'));
}));

test('a channel under the pointer is told of', () => open(desk, async page => {
  await draw(page, '#pad', seven);
  await says(page, 'article .said', 'is the strongest');
  await page.locator('article canvas').first().hover({position: {x: 5, y: 5}});
  await says(page, 'article .said', 'channel 0:');
  await page.mouse.move(5, 5);
  await says(page, 'article .said', 'is the strongest');
}));

test('a network of colour images, with names of classes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cnn-'));
  const file = name => join(folder, name);
  try {
    const record = i => Buffer.concat([Buffer.from([i % 10]), Buffer.alloc(3072, 25 * (i % 10))]); // as CIFAR-10's
    for (const name of ['a.bin', 'b.bin']) writeFileSync(file(name), Buffer.concat(Array.from({length: 20}, (_, i) => record(i))));
    writeFileSync(file('colour.net'), 'input shape=3x32x32\nconv filters=80 kernel=3 stride=2 pad=1 round=floor\n' +
      'batchnorm\nrelu\ndropout\naffine units=10\n');
    cnn(process.env.CNN_PROGRAM, 'train', file('colour.net'), '--data', `${file('a.bin')},${file('b.bin')}`, '--epochs', '1',
        '--normalize', 'channel', '--out', file('colour.safetensors'));
    const colour = await serve(process.env.CNN_PROGRAM, file('colour.safetensors'));
    for (const options of [phone, desk])
      await withPage(browser, colour.url, options, async page => {
        await says(page, '#hint', 'drop an image');
        assert.ok(await page.locator('#centre-label').isHidden() && await page.locator('#swap-label').isHidden());
        const red = page.getByRole('button', {name: 'red'});
        await red.click();
        assert.equal(await red.getAttribute('aria-pressed'), 'true');
        const bytes = await sent(page, () => draw(page, '#pad', [[[0.5, 0.2], [0.5, 0.8]]]));
        const [r, g, b] = [0, 1, 2].map(c => bytes[c * 1024 + 16 * 32 + 16]);
        assert.deepEqual([r, g, b, bytes[0]], [0xd3, 0x2f, 0x2f, 255]);
        await says(page, '#best-share', '%');
        const names = await page.locator('#classes .name').allTextContents();
        assert.deepEqual(names.slice(0, 3), ['airplane', 'automobile', 'bird']);
        await page.locator('article').first().scrollIntoViewIfNeeded();
        await says(page, 'article .said', 'the first 64 of 80 are shown');
        await assertFits(page);
        await assertAccessible(page);
      });
    await colour.stop();
  } finally {
    rmSync(folder, {recursive: true});
  }
});

test('it is said when the server has gone', async () => {
  const short = await serve(process.env.CNN_PROGRAM, process.env.CNN_MODEL);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(short.url);
  await says(page, '#best-share', 'draw something');
  await short.stop();
  await draw(page, '#pad', seven);
  await says(page, '#trouble', 'still running?');
  await context.close();
});

test('bars do not move where motion is unwelcome', () => open({...desk, reducedMotion: 'reduce'}, async page => {
  await page.locator('.bar').first().waitFor({state: 'attached'});
  const duration = await page.evaluate(() => getComputedStyle(document.querySelector('.bar')).transitionDuration);
  assert.equal(duration, '0s');
}));
