// The page of `cnn report`: a cursor over the curves. Everything else stands in the page without it. All charts show the
// same epoch: that under the pointer, or the one that the arrow keys chose; else the last.
'use strict';
(() => {
  const source = document.getElementById('curves');
  let folded = []; // what is folded up would not be on paper
  addEventListener('beforeprint', () => {
    folded = [...document.querySelectorAll('details:not([open])')];
    folded.forEach(one => (one.open = true));
  });
  addEventListener('afterprint', () => folded.forEach(one => (one.open = false)));
  if (!source) return;
  const {epochs, left, right, top, bottom, charts} = JSON.parse(source.textContent);
  const SVG = 'http://www.w3.org/2000/svg';
  const make = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  // As C prints it: 3.5e-07, where JavaScript says 3.5e-7.
  const significantly = (value, digits) => String(Number(value.toPrecision(digits))).replace(/e([+-])(\d)$/, 'e$10$2');
  const said = ({digits, significant, unit}, value) =>
    value === null ? '–' : (significant ? significantly(value, digits) : value.toFixed(digits)) + unit;
  const xOf = epoch => (epochs > 1 ? left + ((right - left) * epoch) / (epochs - 1) : (left + right) / 2);

  const views = Object.entries(charts).map(([id, chart]) => {
    const figure = document.getElementById(`chart-${id}`), svg = figure.querySelector('svg');
    const {low, high, log} = svg.dataset;
    const yOf = value => bottom - ((bottom - top) * ((log === '1' ? Math.log10(value) : value) - low)) / (high - low);
    const cursor = make('g', {class: 'cursor', visibility: 'hidden'});
    const line = make('line', {y1: top, y2: bottom});
    cursor.append(line);
    const marks = Object.entries(chart.series).map(([k, series]) => {
      const circle = make('circle', {r: 4.5, class: series.class});
      cursor.append(circle);
      return {series, circle, text: figure.querySelector(`b[data-series="${k}"]`)};
    });
    svg.append(cursor);

    function show(epoch, active) {
      const words = [];
      line.setAttribute('x1', xOf(epoch));
      line.setAttribute('x2', xOf(epoch));
      for (const {series, circle, text} of marks) {
        const value = series.values[epoch];
        const there = value !== null && (log !== '1' || value > 0);
        circle.setAttribute('visibility', there ? 'inherit' : 'hidden');
        if (there) {
          circle.setAttribute('cx', xOf(epoch));
          circle.setAttribute('cy', yOf(value));
        }
        text.textContent = said(chart, value);
        words.push(`${series.name} ${said(chart, value)}`);
      }
      figure.querySelector('.at').textContent = `epoch ${epoch + 1}`;
      cursor.setAttribute('visibility', active ? 'visible' : 'hidden');
      svg.setAttribute('aria-valuenow', epoch + 1);
      svg.setAttribute('aria-valuetext', `epoch ${epoch + 1}: ${words.join(', ')}`);
    }
    return {svg, show, title: svg.getAttribute('aria-label')};
  });

  let chosen = epochs - 1;
  function choose(epoch, active) {
    chosen = Math.max(0, Math.min(epochs - 1, epoch));
    for (const view of views) view.show(chosen, active);
  }
  const rest = () => choose(epochs - 1, false);

  const steps = {ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -epochs, End: epochs};
  for (const {svg} of views) {
    svg.setAttribute('role', 'slider');
    svg.setAttribute('tabindex', '0');
    svg.setAttribute('aria-valuemin', 1);
    svg.setAttribute('aria-valuemax', epochs);
    const follow = event => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      choose(Math.round(((x - left) / (right - left)) * (epochs - 1)), true);
    };
    svg.addEventListener('pointermove', follow);
    svg.addEventListener('pointerdown', follow);
    svg.addEventListener('pointerleave', event => event.pointerType === 'mouse' && rest());
    svg.addEventListener('focus', () => svg.matches(':focus-visible') && choose(chosen, true));
    svg.addEventListener('blur', rest);
    svg.addEventListener('keydown', event => {
      if (event.key === 'Escape') return rest();
      if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      choose(chosen + steps[event.key], true);
    });
  }
  rest();
})();
