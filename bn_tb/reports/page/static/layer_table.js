// The layers of a run: sortable, filterable, with a sparkline for each statistic.

import { sign } from './badge.js';
import { sparkline } from './chart.js';
import { html, inSlices } from './dom.js';
import { byName, byVerdict, share, step, value } from './words.js';

const COLUMNS = [
  { key: 'layer', title: 'Layer', compare: (a, b) => byName(a.layer, b.layer) },
  { key: 'verdict', title: 'Verdict', compare: byVerdict },
  { key: 'mean', title: 'Moving mean' },
  { key: 'variance', title: 'Moving variance' },
  { key: 'left', title: 'Initial value left', number: true, compare: numbers((layer) => layer.initial_weight) },
  { key: 'trusted', title: 'Trusted from', number: true, compare: numbers(trustedFrom) },
  { key: 'momentum', title: 'Momentum', number: true, compare: numbers((layer) => layer.momentum) },
  { key: 'points', title: 'Points', number: true, compare: numbers((layer) => layer.points) },
];

function numbers(of) {
  return (a, b) => (of(b) ?? -1) - (of(a) ?? -1);
}

function trustedFrom(layer) {
  return layer.verdict === 'stale' ? Infinity : layer.trusted_from;
}

/** Returns the table with its filter; `layerLink` makes the link that opens a layer. */
export function layerTable(layers, layerLink) {
  const rows = new Map();
  const body = html('tbody');
  const heads = COLUMNS.map((column) => head(column, () => sort(column)));
  const state = { column: null, down: false };
  const row = (layer) => {
    if (!rows.has(layer)) rows.set(layer, tableRow(layer, layerLink));
    return rows.get(layer);
  };
  let stop = () => {};
  const show = () => {
    const order = [...layers];
    if (state.column) order.sort((a, b) => (state.down ? -1 : 1) * state.column.compare(a, b) || byName(a.layer, b.layer));
    stop();
    body.replaceChildren();
    stop = inSlices(order, (layer) => body.append(row(layer)));
  };
  const sort = (column) => {
    state.down = state.column === column && !state.down;
    state.column = column;
    heads.forEach((cell, i) => {
      cell.setAttribute('aria-sort', COLUMNS[i] !== column ? 'none' : state.down ? 'descending' : 'ascending');
    });
    show();
  };
  const table = html('table', { class: 'layers' }, html('thead', {}, html('tr', {}, heads)), body);
  show();
  return html('div', {}, layers.length > 8 ? filterBox(layers, row) : null, html('div', { class: 'scroll-x' }, table));
}

function filterBox(layers, row) {
  const shown = html('span', { class: 'muted', role: 'status' });
  const narrow = (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    const matching = layers.filter((layer) => `${layer.layer} ${layer.verdict}`.toLowerCase().includes(wanted));
    const kept = new Set(matching);
    for (const layer of layers) row(layer).hidden = !kept.has(layer);
    shown.textContent = wanted ? `${matching.length} of ${layers.length}` : '';
  };
  return html('div', { class: 'tools' },
    html('input', { type: 'search', class: 'filter', placeholder: 'Filter layers', 'aria-label': 'Filter layers by name or verdict', input: narrow }), shown);
}

function head(column, sort) {
  return html('th', { scope: 'col', class: column.number ? 'number' : null, 'aria-sort': column.compare ? 'none' : null },
    column.compare ? html('button', { type: 'button', click: sort }, column.title) : column.title);
}

function tableRow(layer, layerLink) {
  const left = layer.initial_weight;
  const link = layerLink(layer.layer);
  const row = html('tr', { 'data-verdict': layer.verdict },
    html('th', { scope: 'row' }, link),
    html('td', { class: 'verdict' }, sign(layer.verdict), layer.verdict),
    html('td', {}, sparkline(layer.spark.mean)),
    html('td', {}, sparkline(layer.spark.variance)),
    html('td', { class: 'number' }, left === null ? '–' : [meter(left), share(left)]),
    html('td', { class: 'number' }, trusted(layer)),
    html('td', { class: 'number' }, layer.momentum === null ? '–' : value(layer.momentum)),
    html('td', { class: 'number' }, step(layer.points)));
  row.addEventListener('click', (event) => { if (!event.target.closest('a')) link.click(); });
  return row;
}

function meter(left) {
  const bar = html('span', { class: 'meter-bar' });
  bar.style.width = `${Math.max(2, 100 * left)}%`;
  return html('span', { class: 'meter', 'aria-hidden': 'true' }, bar);
}

function trusted(layer) {
  if (layer.verdict === 'stale') return 'never';
  return layer.trusted_from === null ? '–' : `${layer.unit} ${step(layer.trusted_from)}`;
}
