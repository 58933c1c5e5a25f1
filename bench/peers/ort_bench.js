// One row of bench/ with ONNX Runtime:
//     node ort_bench.js FOLDER NET BATCH THREADS [ROUNDS [SECONDS]]
// FOLDER holds NET.onnx (ort_export.py makes it) and node_modules with onnxruntime-node. Times include the
// call from JavaScript. Prints one line of JSON, as torch_bench.py does.
'use strict';
const fs = require('fs');
const [folder, net, batch, threads, rounds = '3', seconds = '0.3'] = process.argv.slice(2);
const ort = require(require.resolve('onnxruntime-node', { paths: [folder] }));

const now = () => Number(process.hrtime.bigint()) / 1e9;

function stolen() {
  try {
    return Number(fs.readFileSync('/proc/stat', 'utf8').split('\n')[0].trim().split(/\s+/)[8]) / 100;
  } catch {
    return 0;
  }
}

async function main() {
  const session = await ort.InferenceSession.create(`${folder}/${net}.onnx`, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, executionMode: 'sequential',
    graphOptimizationLevel: 'all', executionProviders: ['cpu'] });
  const image = net === 'alexnet-torchvision' ? [3, 224, 224] : net.startsWith('alexnet') ? [3, 227, 227] : [1, 28, 28];
  const shape = [Number(batch), ...image];
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => Math.random());
  const feeds = { x: new ort.Tensor('float32', values, shape) };
  const begin = now(), taken = [];
  let start, once, calls = 0;
  do {
    start = now();
    await session.run(feeds);
    once = now() - start;
    calls++;
  } while (calls < 2 || now() - begin < Number(seconds) / 2);
  calls = once < Number(seconds) ? Math.floor(Number(seconds) / once) + 1 : 1;
  let retaken = 0;
  while (taken.length < Number(rounds)) {
    const lent = stolen();
    start = now();
    for (let i = 0; i < calls; i++) await session.run(feeds);
    const elapsed = now() - start;
    if (stolen() - lent > 0.02 * elapsed && retaken < 2 * Number(rounds)) {
      retaken++;
      continue;
    }
    taken.push(elapsed / calls);
  }
  taken.sort((a, b) => a - b);
  console.log(JSON.stringify({
    row: `infer/${net}/${batch}`, threads: Number(threads), seconds: taken[taken.length >> 1], seconds_min: taken[0],
    seconds_max: taken[taken.length - 1], retaken, resident_bytes: process.resourceUsage().maxRSS * 1024,
    version: `ONNX Runtime ${ort.env.versions.node || ''}`.trim() }));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
