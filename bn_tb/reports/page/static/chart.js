// Line charts over steps, as SVG: bands, lines, reference lines; read and zoomed by mouse and keys.

import { html, svg } from './dom.js';
import { drawPlot, isArea } from './plot.js';
import { nearest } from './scale.js';
import { step, value } from './words.js';

const LEAST_DRAG = 6; // pixels; less is a click

/** The step under the pointer and the steps zoomed to, or null; all charts of a page share them. */
export function sharedCursor() {
  const listeners = new Set();
  const drawers = new Set();
  const cursor = {
    zoomed: null,
    follow(listener, draw) { listeners.add(listener); drawers.add(draw); },
    move(to) { for (const listener of listeners) listener(to); },
    zoom(to) { cursor.zoomed = to; for (const draw of drawers) draw(); },
  };
  return cursor;
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
  const whole = html('button', { class: 'plain whole', type: 'button', hidden: true, click: () => { cursor.zoom(null); plot.focus(); } }, 'Show all steps');
  const keys = spec.series.filter((series) => series.label).map((series) => legendKey(series, spec));
  const plot = svg('svg', {
    class: 'plot', tabindex: 0, role: 'slider', 'aria-label': spec.label,
    'aria-valuemin': spec.domain[0], 'aria-valuemax': spec.domain[1], 'aria-valuenow': spec.domain[1],
    'aria-valuetext': 'arrow keys move along the steps, plus and minus zoom, 0 shows all steps',
    'aria-keyshortcuts': '+ - 0',
  });
  const figure = html('figure', { class: 'chart' },
    html('figcaption', {},
      html('span', { class: 'chart-title' }, spec.title, shownStep),
      html('span', { class: 'legend' }, keys.map((key) => key.element), fixedKeys(spec))),
    whole, plot);

  let drawn = null;
  const draw = () => {
    whole.hidden = !cursor.zoomed;
    drawn = drawPlot(plot, spec, cursor.zoomed, plot.clientWidth || 640);
  };
  const move = (to) => {
    const texts = keys.map((key) => key.show(to)).filter(Boolean);
    shownStep.textContent = to === null ? '' : `${unit} ${step(to)}`;
    drawn?.cursor(to);
    if (to !== null) {
      plot.setAttribute('aria-valuenow', to);
      plot.setAttribute('aria-valuetext', `${unit} ${step(to)}: ${texts.join(', ')}`);
    }
  };
  cursor.follow(move, draw);
  const stepAt = (pixel) => {
    const [first, last] = drawn.x.domain;
    return Math.min(last, Math.max(first, drawn.x.invert(pixel - plot.getBoundingClientRect().left)));
  };
  const stepsBetween = (...pixels) => pixels.map(stepAt).sort((a, b) => a - b);
  const readStep = listen(plot, spec, cursor, stepAt);
  zoomByMouse(plot, cursor, stepsBetween, (steps) => drawn.select(steps));
  zoomByKeys(plot, spec.domain, cursor, readStep);
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
    const [from, to] = cursor.zoomed ?? spec.domain;
    const first = steps.findIndex((at) => at >= from);
    const last = steps.findLastIndex((at) => at <= to);
    if (first < 0 || last < first) return cursor.move(null);
    index = Math.max(first, Math.min(last, next));
    return cursor.move(steps[index]);
  };
  plot.addEventListener('pointermove', (event) => show(nearest(steps, stepAt(event.clientX))));
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
  return () => steps[index];
}

/** Dragging along the steps zooms to them, a double click shows all. Fingers scroll and read. */
function zoomByMouse(plot, cursor, stepsBetween, select) {
  let from = null;
  const leave = () => { from = null; select(null); };
  plot.addEventListener('pointerdown', (event) => {
    if (event.button || event.pointerType === 'touch') return;
    from = event.clientX;
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener('pointermove', (event) => { if (from !== null) select(stepsBetween(from, event.clientX)); });
  plot.addEventListener('pointerup', (event) => {
    const dragged = from === null || Math.abs(event.clientX - from) < LEAST_DRAG ? null : stepsBetween(from, event.clientX);
    leave();
    if (dragged) cursor.zoom(dragged);
  });
  plot.addEventListener('pointercancel', leave);
  plot.addEventListener('dblclick', () => cursor.zoom(null));
}

function zoomByKeys(plot, domain, cursor, readStep) {
  plot.addEventListener('keydown', (event) => {
    const factor = { '+': 0.5, '=': 0.5, '-': 2, 0: Infinity }[event.key];
    if (!factor || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const [first, last] = cursor.zoomed ?? domain;
    const length = factor * (last - first);
    if (length >= domain[1] - domain[0]) cursor.zoom(null);
    else {
      const middle = Math.min(last, Math.max(first, readStep() ?? last));
      const from = Math.min(domain[1] - length, Math.max(domain[0], middle - length / 2));
      cursor.zoom([from, from + length]);
    }
    cursor.move(readStep() ?? null);
  });
}
