// What is inside a chart: axes, bands, lines, marks, and the steps that are zoomed to.

import { svg } from './dom.js';
import { extent, nearest, scale } from './scale.js';
import { step, value } from './words.js';

const HEIGHT = 190;
const MARGIN = { top: 10, right: 14, bottom: 24, left: 56 };

/**
 * Draws a chart of `spec` (see chart.js), or of the steps zoomed to, into an SVG element.
 *
 * Returns its scale `x`, `cursor(step)`, which marks a step, and `select(steps)`, which shades some.
 */
export function drawPlot(plot, spec, zoomed, width) {
  const format = spec.format ?? value;
  const domain = zoomed ?? spec.domain;
  const numbers = spec.series.flatMap((series) => (series.low ? [series.low, series.high] : [series.values]).flatMap((values) => between(values, series.steps, domain)))
    .concat(zoomed ? [] : (spec.levels ?? []).map((level) => level.value))
    .filter((number) => number !== null && Number.isFinite(number));
  const log = Boolean(spec.log) && numbers.every((number) => number > 0)
    && Math.max(...numbers) > 1000 * Math.min(...numbers);
  const range = spec.range ?? (log ? [Math.min(...numbers), Math.max(...numbers)] : extent(numbers));
  const x = scale(domain, [MARGIN.left, width - MARGIN.right]);
  const y = scale(range, [HEIGHT - MARGIN.bottom, MARGIN.top], log);
  const hair = svg('g', { class: 'hair', visibility: 'hidden' });
  const selection = svg('rect', { class: 'selection', y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom, width: 0 });
  plot.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  plot.setAttribute('aria-valuemin', Math.round(domain[0]));
  plot.setAttribute('aria-valuemax', Math.round(domain[1]));
  plot.replaceChildren(
    cut(width, zoomed, region(spec.region, x)),
    axes(x, y, width, format, log, spec.unit),
    cut(width, zoomed, spec.series.map((series) => drawSeries(series, x, y)),
      (spec.levels ?? []).map((level) => referenceLine(level, y, width)),
      (spec.marks ?? []).map((mark) => verticalMark(mark, x))),
    selection, hair);
  return {
    x,
    cursor: (to) => drawHair(hair, to, domain, spec, x, y),
    select: (steps) => drawSelection(selection, steps, x),
  };
}

/** The values at steps inside a domain, and at the ends of the lines that enter it. */
function between(values, steps, [from, to]) {
  const enters = (i, j) => steps[j] !== undefined && Math.min(steps[i], steps[j]) <= to && Math.max(steps[i], steps[j]) >= from;
  return values.filter((_, i) => enters(i, i) || enters(i, i - 1) || enters(i, i + 1));
}

/** What is drawn between the axes; of a part of the steps, nothing beyond them. */
function cut(width, zoomed, ...children) {
  const [x, y, w, h] = [MARGIN.left, MARGIN.top, Math.max(width - MARGIN.left - MARGIN.right, 1), HEIGHT - MARGIN.top - MARGIN.bottom];
  return svg('svg', { x, y, width: w, height: h, viewBox: `${x} ${y} ${w} ${h}`, overflow: zoomed ? 'hidden' : 'visible' }, children);
}

/** Shows the steps that are being dragged over, or nothing. */
function drawSelection(selection, steps, x) {
  const [left, right] = (steps ?? [0, 0]).map(x.at).sort((one, other) => one - other);
  selection.setAttribute('x', left);
  selection.setAttribute('width', steps ? right - left : 0);
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

/** Whether a series is drawn as a filled band. */
export function isArea(series) {
  return Boolean(series.low) && !series.dashed;
}

/** Returns a series as it is drawn with two scales. */
export function drawSeries(series, x, y) {
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

function drawHair(hair, to, domain, spec, x, y) {
  const outside = to === null || to < domain[0] || to > domain[1];
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
