// The piece of graph that proves the wiring: variables, update ops, train op, the missing edge.

import { html, svg } from './dom.js';

const WIDTH = 194;
const HEIGHT = 44;
const COLUMN = [4, 230, 456]; // batch statistic, update op, variable
const ROWS = [4, 188]; // moving mean, moving variance
const MIDDLE = 96; // the train op stands between the two update ops
const LETTERS = 24; // of a name that fit into a box

/** Returns the picture of a layer's wiring with its caption, below a title where one is given. */
export function wiringPicture(wiring, layer, title = null) {
  const drawing = svg('svg', {
    class: 'wiring', viewBox: `0 0 ${COLUMN[2] + WIDTH + 4} ${ROWS[1] + HEIGHT + 4}`, role: 'img',
    'aria-label': wiring.caption,
  }, arrowHeads(), wiring.rows.map((row, i) => statisticRow(row, ROWS[i], layer)), trainPart(wiring));
  return html('figure', { class: 'wiring-figure' },
    html('figcaption', {}, title && html('span', { class: 'chart-title' }, title), html('span', {}, wiring.caption)), html('div', { class: 'scroll-x', tabindex: 0, role: 'group', 'aria-label': 'Wiring' }, drawing));
}

function arrowHeads() {
  return svg('defs', {}, ['flow', 'needs', 'other'].map((kind) =>
    svg('marker', { id: `head-${kind}`, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 6, markerHeight: 6, orient: 'auto' },
      svg('path', { class: `head ${kind}`, d: 'M0 0L8 4L0 8z' }))));
}

/** Batch statistic, update op, moving variable. */
function statisticRow(row, y, layer) {
  const update = row.updates[0];
  const more = row.updates.length > 1 ? ` (one of ${row.updates.length})` : '';
  return svg('g', {},
    box(COLUMN[0], y, 'training batch', row.role === 'moving_mean' ? 'batch mean' : 'batch variance', 'batch'),
    update ? box(COLUMN[1], y, `update op${more}`, update.name, update.wiring === 'train' ? 'update' : 'idle', layer)
      : box(COLUMN[1], y, 'update op', 'none in this graph', 'idle'),
    box(COLUMN[2], y, 'evaluation uses', row.variable || row.role, 'variable', layer),
    update ? [flow(COLUMN[0], y), flow(COLUMN[1], y)] : null);
}

function flow(column, y) {
  const middle = y + HEIGHT / 2;
  return edge('flow', `M${column + WIDTH} ${middle}h${COLUMN[1] - COLUMN[0] - WIDTH - 3}`);
}

function edge(kind, d) {
  return svg('path', { class: `edge ${kind}`, d, 'marker-end': kind === 'missing' ? null : `url(#head-${kind})` });
}

/** The train op between the update ops, and the edges that do or do not reach it. */
function trainPart(wiring) {
  if (wiring.state === 'no_training') return box(COLUMN[1], MIDDLE, 'train op', 'none in this graph', 'idle');
  const updates = wiring.rows.map((row) => row.updates[0]);
  const other = updates.find((update) => ['loss', 'other_model'].includes(update?.wiring));
  return svg('g', {},
    box(COLUMN[1], MIDDLE, 'train op', wiring.train_op ?? 'optimizer', 'train'),
    other ? box(COLUMN[2], MIDDLE, other.wiring === 'loss' ? 'only needed by' : 'train op of another model', other.needed_by, 'other') : null,
    updates.map((update, i) => update ? needEdge(update, i === 0) : null));
}

function needEdge(update, above) {
  const x = COLUMN[1] + (update.wiring === 'train' || update.wiring === 'none' ? WIDTH / 2 : 60);
  const [from, to] = above ? [ROWS[0] + HEIGHT, MIDDLE] : [ROWS[1], MIDDLE + HEIGHT];
  const middle = (from + to) / 2;
  if (update.wiring === 'train') {
    return svg('g', {}, edge('needs', `M${x} ${from}V${to + (above ? -3 : 3)}`), label('needs', x + 14, middle, 'with every step'));
  }
  return svg('g', {},
    edge('missing', `M${x} ${from}V${to}`),
    svg('path', { class: 'cross', d: `M${x - 6} ${middle - 6}l12 12m0-12l-12 12` }),
    label('missing', x + 14, middle, 'missing edge'),
    update.wiring === 'none' ? null : edge('other', `M${COLUMN[1] + WIDTH - 40} ${from}V${middle + (above ? 14 : -14)}H${COLUMN[2] + 40}V${to + (above ? -3 : 3)}`));
}

function label(kind, x, y, words) {
  return svg('text', { class: `edge-label ${kind}`, x, y: y + 4 }, words);
}

function box(x, y, role, name, kind, layer = '') {
  return svg('g', { class: `box ${kind}` },
    svg('title', {}, name),
    svg('rect', { x, y, width: WIDTH, height: HEIGHT, rx: 6 }),
    svg('text', { class: 'box-role', x: x + 12, y: y + 17 }, role),
    svg('text', { class: 'box-name', x: x + 12, y: y + 34 }, shortName(name, layer)));
}

/** A name inside its layer, whose name stands above; its end goes. Other names lose their middle. */
function shortName(name, layer) {
  const inside = layer && name.startsWith(`${layer}/`);
  const text = inside ? name.slice(layer.length + 1) : name;
  if (text.length <= LETTERS) return text;
  return inside ? `${text.slice(0, LETTERS - 1)}…` : `${text.slice(0, 8)}…${text.slice(9 - LETTERS)}`;
}
