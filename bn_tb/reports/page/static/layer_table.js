// The layers of a run: sortable, filterable, with a sparkline for each statistic.

import { badge } from './badge.js';
import { sparkline } from './small_pictures.js';
import { dataTable, largestFirst } from './data_table.js';
import { html } from './dom.js';
import { byName, byVerdict, share, step, value } from './words.js';

const FEW = 8; // layers that need no filter

/** Returns the table with its filter; `layerLink` makes the link that opens a layer. */
export function layerTable(layers, layerLink) {
  const columns = layerColumns(layerLink);
  const state = { sorted: '', text: '' };
  const table = dataTable('Layers', (sorted) => { state.sorted = sorted; show(); });
  const status = html('span', { class: 'muted', role: 'status' });
  const show = () => {
    const items = layers.filter((layer) => `${layer.layer} ${layer.verdict}`.toLowerCase().includes(state.text));
    status.textContent = state.text ? `${items.length} of ${layers.length}` : '';
    table.show(columns, [{ title: null, items }], state.sorted);
  };
  const narrow = (event) => { state.text = event.target.value.trim().toLowerCase(); show(); };
  show();
  return html('div', {}, layers.length <= FEW ? null : html('div', { class: 'tools' },
    html('input', { type: 'search', class: 'filter', placeholder: 'Filter layers', 'aria-label': 'Filter layers by name or verdict', input: narrow }), status),
  table.element);
}

function layerColumns(layerLink) {
  return [
    { key: 'layer', title: 'Layer', compare: (a, b) => byName(a.layer, b.layer), cell: (layer) => layerLink(layer.layer) },
    { key: 'verdict', title: 'Verdict', compare: byVerdict, cell: (layer) => badge(layer.verdict) },
    { key: 'mean', title: 'Moving mean', cell: (layer) => sparkline(layer.spark.mean) },
    { key: 'variance', title: 'Moving variance', cell: (layer) => sparkline(layer.spark.variance) },
    { key: 'left', title: 'Initial value left', number: true, compare: largestFirst((layer) => layer.left), cell: (layer) => left(layer.left) },
    { key: 'trusted', title: 'Trusted from', number: true, compare: largestFirst(trustedFrom), cell: trusted },
    { key: 'momentum', title: 'Momentum', number: true, compare: largestFirst((layer) => layer.momentum), cell: (layer) => layer.momentum === null ? null : value(layer.momentum) },
    { key: 'points', title: 'Points', number: true, compare: largestFirst((layer) => layer.points), cell: (layer) => step(layer.points) },
  ];
}

function trustedFrom(layer) {
  return layer.verdict === 'stale' ? Infinity : layer.trusted_from;
}

function left(part) {
  return part === null ? null : html('span', { class: 'left' }, meter(part), share(part));
}

function meter(part) {
  const bar = html('span', { class: 'meter-bar' });
  bar.style.width = `${Math.max(2, 100 * part)}%`;
  return html('span', { class: 'meter', 'aria-hidden': 'true' }, bar);
}

function trusted(layer) {
  if (layer.verdict === 'stale') return 'never';
  return layer.trusted_from === null ? null : `${layer.unit} ${step(layer.trusted_from)}`;
}
