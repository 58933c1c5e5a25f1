// A browser for tests of pages: Chromium without a window, by playwright-core. What a page must never do is watched
// from its first byte on: an error or a warning in the console, an exception, a request to another origin or, of a page
// that is a file, to anything but itself.
import assert from 'node:assert/strict';
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';
import {chromium} from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
  });
}

// Opens `url` in a page of `options` (playwright's, of a context), runs test(page), and fails on what is above.
export async function withPage(browser, url, options, test) {
  const context = await browser.newContext({viewport: {width: 1280, height: 800}, ...options});
  const page = await context.newPage();
  const origin = new URL(url).origin, faults = [];
  const mayAsk = asked => (origin === 'null' ? asked === url || asked.startsWith('data:') : new URL(asked).origin === origin);
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', error => faults.push(`exception: ${error.message}`));
  page.on('request', request => {
    if (!mayAsk(request.url().replace(/#.*/, ''))) faults.push(`a request to ${request.url()}`);
  });
  page.on('requestfailed', request => {
    if (!page.isClosed()) faults.push(`${request.url()} failed: ${request.failure().errorText}`);
  });
  try {
    await page.goto(url);
    await test(page);
    assert.deepEqual(faults, []);
  } finally {
    await context.close();
  }
}

// No fault that axe-core calls serious or worse. The page's own CSP lets no script be put in, so it goes in as a
// browser's extension does.
export async function assertAccessible(page) {
  const results = await page.evaluate(`${axeSource}; axe.run()`);
  const bad = results.violations.filter(one => ['serious', 'critical'].includes(one.impact));
  assert.deepEqual(bad.map(one => `${one.id}: ${one.help}: ${one.nodes.map(node => node.target).join(' ')}`), []);
}

// Nothing sticks out to the side.
export async function assertFits(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `the page is ${content} pixels wide in a window of ${window}`);
}

// Runs the program to its end.
export function cnn(program, ...words) {
  execFileSync(program, words, {stdio: ['ignore', 'ignore', 'inherit']});
}

// `cnn serve` of a model on a free port: {url, stop}. stop() presses Ctrl-C and wants a clean end.
export async function serve(program, model) {
  const server = spawn(program, ['serve', model, '--port', '0', '--threads', '1'],
                       {stdio: ['ignore', 'pipe', 'inherit']});
  const ended = once(server, 'exit');
  let url;
  for await (const line of createInterface(server.stdout))
    if ((url = line.match(/^page +(http:\S+)/)?.[1])) break;
  assert.ok(url, '`cnn serve` said no address');
  return {
    url,
    async stop() {
      server.kill('SIGINT');
      assert.deepEqual(await ended, [0, null]);
    },
  };
}

// Draws strokes with the mouse; points are parts of the element's width and height.
export async function draw(page, selector, strokes) {
  const pad = page.locator(selector);
  await pad.scrollIntoViewIfNeeded();
  const box = await pad.boundingBox();
  for (const stroke of strokes) {
    const points = stroke.map(([x, y]) => [box.x + x * box.width, box.y + y * box.height]);
    await page.mouse.move(...points[0]);
    await page.mouse.down();
    for (const point of points.slice(1)) await page.mouse.move(...point, {steps: 6});
    await page.mouse.up();
  }
}
