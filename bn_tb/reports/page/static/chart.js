// Line charts over steps, as SVG: bands, lines, reference lines, a readout for mouse and keys.

import { html, svg } from './dom.js';
import { extent, nearest, scale } from './scale.js';
import { step, value } from './words.js';

const HEIGHT = 190;
const MARGIN = { top: 10, right: 14, bottom: 24, left: 56 };

/** The step under the pointer, shared by all charts of a page. */
export function sharedCursor() {
  const listeners = new Set();
  return {
    follow(listener) { listeners.add(listener); },
    move(to) { for (const listener of listeners) listener(to); },
  };
}

/**
 * Returns a chart.
 *
 * @param {object} spec
 *   title: what is drawn; label: the same for screen readers, with the message of the picture;
 *   domain: [first step, last step];  unit: what a step is, 'step' or 'epoch';
 *   series: [{label, tone, steps, values | low and high, dashed}], bands before lines; a dashed
 *   band is drawn as its two edges; with `names` a hollow point a step, each with its name;
 *   levels: [{value, label}] horizontal reference lines;
 *   region: {from, to, label} steps to shade;  marks: [{step, label, tone}] vertical
 *   lines;
 *   format: number to text;  range: fixed [low, high] of the y axis;  log: whether it may be
 *   logarithmic.
 * @param {object} cursor from `sharedCursor`
 */
export function chart(spec, cursor) {
  const { unit = 'step' } = spec;
  const shownStep = html('span', { class: 'at-step' });
  const keys = spec.series.filter((series) => series.label).map((series) => legendKey(series, spec));
  const plot = svg('svg', {
    class: 'plot', tabindex: 0, role: 'slider', 'aria-label': spec.label,
    'aria-valuemin': spec.domain[0], 'aria-valuemax': spec.domain[1], 'aria-valuenow': spec.domain[1],
    'aria-valuetext': 'arrow keys move along the steps',
  });
  const figure = html('figure', { class: 'chart' },
    html('figcaption', {},
      html('span', { class: 'chart-title' }, spec.title, shownStep),
      html('span', { class: 'legend' }, keys.map((key) => key.element), fixedKeys(spec))),
    plot);

  let drawn = null;
  const draw = () => { drawn = drawPlot(plot, spec, plot.clientWidth || 640); };
  const move = (to) => {
    const texts = keys.map((key) => key.show(to)).filter(Boolean);
    shownStep.textContent = to === null ? '' : `${unit} ${step(to)}`;
    drawn?.cursor(to);
    if (to !== null) {
      plot.setAttribute('aria-valuenow', to);
      plot.setAttribute('aria-valuetext', `${unit} ${step(to)}: ${texts.join(', ')}`);
    }
  };
  cursor.follow(move);
  listen(plot, spec, cursor, (event) => drawn.x.invert(event.clientX - plot.getBoundingClientRect().left));
  new ResizeObserver(draw).observe(plot);
  return figure;
}

function legendKey(series, spec) {
  const number = html('span', { class: 'key-value' });
  const format = spec.format ?? value;
  const swatch = svg('svg', { class: 'swatch', viewBox: '0 0 18 10', 'aria-hidden': 'true' },
    series.names ? svg('circle', { class: `hollow tone-${series.tone}`, cx: 9, cy: 5, r: 4 }) : isArea(series)
      ? svg('rect', { class: `band tone-${series.tone}`, width: 18, height: 10, opacity: 0.45 })
      : svg('path', { class: `line tone-${series.tone}${series.dashed ? ' dashed' : ''}`, d: 'M0 5h18' }));
  return {
    element: html('span', { class: 'key' }, swatch, series.label, number),
    show(to) {
      const inside = to !== null && series.steps.length > 0;
      const index = inside ? nearest(series.steps, to) : 0;
      number.textContent = !inside ? ''
        : series.low ? `${format(series.low[index])} … ${format(series.high[index])}`
          : series.names ? series.names[index] : format(series.values[index]);
      return inside && `${series.label} ${number.textContent}`;
    },
  };
}

/** Legend of what has one value or none. */
function fixedKeys({ levels = [], region: stretch }) {
  const key = (label, drawing) => html('span', { class: 'key' },
    svg('svg', { class: 'swatch', viewBox: '0 0 18 10', 'aria-hidden': 'true' }, drawing), label);
  return [
    ...levels.map((level) => key(level.label, svg('path', { class: 'level', d: 'M0 5h18' }))),
    ...stretch ? [key(stretch.label, svg('rect', { class: 'region', width: 18, height: 10 }))] : [],
  ];
}

function listen(plot, spec, cursor, stepAt) {
  const steps = [...new Set(spec.series.flatMap((series) => series.dashed ? [] : series.steps))]
    .sort((a, b) => a - b);
  let index = steps.length - 1;
  const show = (next) => {
    index = Math.max(0, Math.min(steps.length - 1, next));
    cursor.move(steps.length ? steps[index] : null);
  };
  plot.addEventListener('pointermove', (event) => show(nearest(steps, stepAt(event))));
  plot.addEventListener('pointerleave', () => cursor.move(null));
  plot.addEventListener('focus', () => { if (plot.matches(':focus-visible')) show(index); });
  plot.addEventListener('blur', () => cursor.move(null));
  plot.addEventListener('keydown', (event) => {
    const jump = Math.max(1, Math.round(steps.length / 10));
    const moves = {
      ArrowLeft: index - 1, ArrowRight: index + 1, ArrowDown: index - 1, ArrowUp: index + 1,
      PageDown: index - jump, PageUp: index + jump, Home: 0, End: steps.length - 1,
    };
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(moves[event.key]);
  });
}

function drawPlot(plot, spec, width) {
  const format = spec.format ?? value;
  const numbers = spec.series.flatMap((series) => series.low ? [...series.low, ...series.high] : series.values)
    .concat((spec.levels ?? []).map((level) => level.value))
    .filter((number) => number !== null && Number.isFinite(number));
  const log = Boolean(spec.log) && numbers.every((number) => number > 0)
    && Math.max(...numbers) > 1000 * Math.min(...numbers);
  const range = spec.range ?? (log ? [Math.min(...numbers), Math.max(...numbers)] : extent(numbers));
  const x = scale(spec.domain, [MARGIN.left, width - MARGIN.right]);
  const y = scale(range, [HEIGHT - MARGIN.bottom, MARGIN.top], log);
  const hair = svg('g', { class: 'hair', visibility: 'hidden' });
  plot.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  plot.replaceChildren(
    region(spec.region, x),
    axes(x, y, width, format, log, spec.unit),
    ...spec.series.map((series) => shape(series, x, y)),
    ...(spec.levels ?? []).map((level) => referenceLine(level, y, width)),
    ...(spec.marks ?? []).map((mark) => verticalMark(mark, x)),
    hair);
  return { x, cursor: (to) => drawHair(hair, to, spec, x, y) };
}

function axes(x, y, width, format, log, unit = 'step') {
  const bottom = HEIGHT - MARGIN.bottom;
  return svg('g', { class: 'axes' },
    y.ticks(4).map((tick) => [
      svg('line', { class: 'grid', x1: MARGIN.left, x2: width - MARGIN.right, y1: y.at(tick), y2: y.at(tick) }),
      svg('text', { x: MARGIN.left - 8, y: y.at(tick) + 3.5, 'text-anchor': 'end' },
        log ? `10${superscript(Math.round(Math.log10(tick)))}` : format(tick)),
    ]),
    svg('line', { class: 'axis', x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom }),
    svg('text', { x: MARGIN.left - 8, y: bottom + 16, 'text-anchor': 'end' }, unit),
    stepTicks(x, width).map((tick) => [
      svg('line', { class: 'axis', x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 4 }),
      svg('text', { x: x.at(tick), y: bottom + 16, 'text-anchor': 'middle' }, step(tick)),
    ]));
}

/** Round steps, and the first one where it has room. */
function stepTicks(x, width) {
  const [first] = x.domain;
  const ticks = x.ticks(Math.max(2, Math.floor(width / 110)), true);
  return ticks.length && x.at(ticks[0]) - x.at(first) > 50 ? [first, ...ticks] : ticks;
}

function superscript(number) {
  return String(number).replace(/./g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit] ?? '⁻');
}

function region(stretch, x) {
  if (!stretch) return svg('g');
  const [left, right] = [x.at(stretch.from), x.at(stretch.to)];
  return svg('rect', { class: 'region', x: left, y: MARGIN.top, width: Math.max(right - left, 1), height: HEIGHT - MARGIN.top - MARGIN.bottom });
}

function referenceLine(level, y, width) {
  const at = y.at(level.value);
  return svg('line', { class: 'level', x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at });
}

function verticalMark(mark, x) {
  const at = x.at(mark.step);
  const right = at > (x.at(x.domain[0]) + x.at(x.domain[1])) / 2;
  return svg('g', { class: `mark tone-${mark.tone}` },
    svg('line', { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    svg('text', { x: right ? at - 6 : at + 6, y: MARGIN.top + 14, 'text-anchor': right ? 'end' : 'start' }, mark.label));
}

function isArea(series) {
  return Boolean(series.low) && !series.dashed;
}

function shape(series, x, y) {
  if (series.names) return svg('g', {}, series.names.map((name, i) => hollowPoint(series, i, name, x, y)));
  const parts = segments(series);
  if (isArea(series)) {
    return svg('path', { class: `band tone-${series.tone}`, opacity: series.opacity, d: parts.map((part) => area(part, series, x, y)).join('') });
  }
  const edges = series.low ? [series.low, series.high] : [series.values];
  return svg('g', {}, edges.map((values) => line(series, values, parts, x, y)));
}

function line(series, values, parts, x, y) {
  const path = parts.map((part) => part.map((i, k) => `${k ? 'L' : 'M'}${point(series.steps[i], values[i], x, y)}`).join('')).join('');
  const dots = parts.filter((part) => part.length === 1).map(([i]) =>
    svg('circle', { class: `dot tone-${series.tone}`, cx: x.at(series.steps[i]), cy: y.at(values[i]), r: 3 }));
  return [svg('path', { class: `line tone-${series.tone}${series.dashed ? ' dashed' : ''}`, d: path }), dots];
}

function hollowPoint(series, i, name, x, y) {
  if (series.values[i] === null) return svg('g');
  return svg('circle', { class: `hollow tone-${series.tone}`, cx: x.at(series.steps[i]), cy: y.at(series.values[i]), r: 4 },
    svg('title', {}, `${name}, step ${step(series.steps[i])}`));
}

/** Stretches of indices without gaps; steps that go back (a restart) begin a new stretch. */
function segments(series) {
  const parts = [];
  let part = [];
  for (let i = 0; i < series.steps.length; i++) {
    const hole = series.low ? series.low[i] === null || series.high[i] === null : series.values[i] === null;
    if (part.length && (hole || series.steps[i] < series.steps[part.at(-1)])) { parts.push(part); part = []; }
    if (!hole) part.push(i);
  }
  return part.length ? [...parts, part] : parts;
}

function area(part, series, x, y) {
  const upper = part.map((i) => point(series.steps[i], series.high[i], x, y));
  const lower = part.toReversed().map((i) => point(series.steps[i], series.low[i], x, y));
  return `M${upper.join('L')}L${lower.join('L')}Z`;
}

function point(atStep, number, x, y) {
  return `${x.at(atStep).toFixed(1)} ${y.at(number).toFixed(1)}`;
}

function drawHair(hair, to, spec, x, y) {
  const outside = to === null || to < spec.domain[0] || to > spec.domain[1];
  hair.setAttribute('visibility', outside ? 'hidden' : 'visible');
  if (outside) return;
  const at = x.at(to);
  hair.replaceChildren(
    svg('line', { x1: at, x2: at, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }),
    ...spec.series.filter((series) => series.values && series.steps.length).map((series) => {
      const i = nearest(series.steps, to);
      return series.values[i] === null ? svg('g')
        : svg('circle', { class: `dot tone-${series.tone}`, cx: x.at(series.steps[i]), cy: y.at(series.values[i]), r: 3.5 });
    }));
}

/** Returns a series as a small curve without axes. */
export function sparkline(spark) {
  const [width, height] = [96, 22];
  if (!spark) return html('span', { class: 'nothing' }, 'not logged');
  const x = scale([Math.min(...spark.steps), Math.max(...spark.steps)], [2, width - 2]);
  const y = scale(extent(spark.values, 0), [height - 3, 3]);
  const series = { steps: spark.steps, values: spark.values, tone: 'ink' };
  const known = spark.values.filter((number) => number !== null);
  const from = known.length ? value(known[0]) : 'nothing finite';
  return svg('svg', {
    class: 'spark', viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': known.length && known.every((number) => number === known[0])
      ? `constant at ${from}` : `from ${from} to ${value(spark.values.at(-1))}`,
  }, shape(series, x, y));
}
