// The page of one run: verdict, findings with proof and fix, metrics, layers.

import { badge, runDot } from './badge.js';
import { html } from './dom.js';
import { findingCard } from './findings.js';
import { layerTable } from './layer_table.js';
import { metricCharts, stepDomain } from './metric_charts.js';
import { shareChart } from './share_chart.js';
import { wiringPicture } from './wiring_picture.js';
import { byName, count, step } from './words.js';

/** Returns the page's content. */
export function runPage(run, { layerLink, manual, exports, cursor }) {
  const [seen, ...others] = metricCharts(run, cursor);
  const pictures = [seen, ...explained(run, { layerLink, cursor })].filter(Boolean);
  return [
    runHeader(run, exports),
    pictures.length ? html('section', { class: 'section charts pictures', 'aria-label': 'In pictures' }, pictures) : null,
    section('Findings', run.findings.map((finding) => findingCard(finding, run, { layerLink, manual }))),
    section('More metrics', others, 'charts'),
    run.layers.length ? section(`Layers (${run.layers.length})`, [layerTable(run.layers, layerLink)]) : null,
    files(run.files),
  ];
}

/** The picture that explains the first finding: the missing edge, or the lag. */
function explained(run, { layerLink, cursor }) {
  if (!run.explained) return [];
  const { layer, wiring, share: left } = run.explained;
  if (wiring) return [wiringPicture(wiring, layer, ['Wiring of ', layerLink(layer)])];
  return [shareChart(left, run.layers.find((judged) => judged.layer === layer), stepDomain(run), cursor)];
}

function section(title, children, layout = null) {
  return children.length ? html('section', { class: 'section' }, html('h2', {}, title), html('div', { class: layout }, children)) : null;
}

function runHeader(run, exports) {
  const steps = run.first_step === null ? null
    : run.first_step === run.last_step ? `step ${step(run.last_step)}`
      : `steps ${step(run.first_step)} to ${step(run.last_step)}`;
  const facts = [run.layers.length ? count(run.layers.length, 'layer') : null, steps].filter(Boolean);
  return html('header', { class: 'page-header', 'data-verdict': run.verdict },
    html('div', { class: 'title-line' }, html('h1', { tabindex: -1 }, runDot(run.tone), run.run), badge(run.verdict),
      exports.length ? html('span', { class: 'exports' }, exports) : null),
    html('p', { class: 'headline' }, run.headline),
    html('p', { class: 'muted' }, facts.join(' · ')));
}

function files(all) {
  const damaged = all.filter((file) => file.status !== 'ok').sort((a, b) => byName(a.path, b.path));
  if (!damaged.length) return null;
  return section('Event files with problems', [html('ul', { class: 'files' }, damaged.map((file) =>
    html('li', {}, html('code', {}, file.path), ` ${file.status.replaceAll('_', ' ')}: ${file.detail}`)))]);
}
