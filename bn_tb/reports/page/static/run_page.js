// The page of one run: verdict, findings with proof and fix, metrics, layers.

import { badge } from './badge.js';
import { chart } from './chart.js';
import { html } from './dom.js';
import { findingCard } from './findings.js';
import { layerTable } from './layer_table.js';
import { byName, count, share, step, value } from './words.js';

/** Returns the page's content. */
export function runPage(run, { layerLink, manual, exports, cursor }) {
  return [
    runHeader(run, exports),
    section('Findings', run.findings.map((finding) => findingCard(finding, run, { layerLink, manual }))),
    section('Training and evaluation', metricCharts(run, cursor), 'charts'),
    run.layers.length ? section(`Layers (${run.layers.length})`, [layerTable(run.layers, layerLink)]) : null,
    files(run.files),
  ];
}

function section(title, children, layout = null) {
  return children.length ? html('section', { class: 'section' }, html('h3', {}, title), html('div', { class: layout }, children)) : null;
}

function runHeader(run, exports) {
  const steps = run.first_step === null ? null
    : run.first_step === run.last_step ? `step ${step(run.last_step)}`
      : `steps ${step(run.first_step)} to ${step(run.last_step)}`;
  const facts = [run.layers.length ? count(run.layers.length, 'layer') : null, steps].filter(Boolean);
  return html('header', { class: 'page-header', 'data-verdict': run.verdict },
    html('div', { class: 'title-line' }, html('h2', { tabindex: -1 }, run.run), badge(run.verdict),
      exports.length ? html('span', { class: 'exports' }, exports) : null),
    html('p', { class: 'headline' }, run.headline),
    html('p', { class: 'muted' }, facts.join(' · ')));
}

/** Returns the charts of metrics, with the steps shaded in which evaluation could not be trusted. */
export function metricCharts(run, cursor, domain = stepDomain(run)) {
  return run.metrics.map((metric) => chart({
    title: metric.metric[0].toUpperCase() + metric.metric.slice(1),
    label: `${metric.metric} over steps, training and evaluation`,
    domain,
    region: untrustedRegion(run.untrusted, domain),
    format: metric.metric === 'accuracy' && inUnit(metric) ? share : value,
    series: curves(metric.curves),
    range: metric.metric === 'accuracy' && inUnit(metric) ? [0, 1.04] : undefined,
  }, cursor));
}

/** Steps of the run and of the metrics that belong to it. */
export function stepDomain(run) {
  const steps = run.metrics.flatMap((metric) => metric.curves.flatMap((curve) => [curve.steps[0], curve.steps.at(-1)]));
  if (run.first_step !== null) steps.push(run.first_step, run.last_step);
  return steps.length ? [Math.min(...steps), Math.max(...steps)] : [0, 1];
}

/** The shaded stretch, cut to the chart's steps. */
export function untrustedRegion(untrusted, domain) {
  if (!untrusted) return null;
  return { from: Math.max(untrusted.from, domain[0]), to: Math.min(untrusted.to ?? domain[1], domain[1]), label: 'evaluation cannot be trusted' };
}

function inUnit(metric) {
  return metric.curves.every((curve) => curve.values.every((number) => number === null || (number >= 0 && number <= 1)));
}

function curves(all) {
  return all.map((curve, i) => {
    const alike = all.filter((other) => other.evaluates === curve.evaluates);
    const sameTag = alike.every((other) => other.tag === curve.tag);
    const kind = curve.evaluates ? 'evaluation' : 'training';
    return {
      label: alike.length > 1 ? `${kind} (${sameTag ? curve.run : curve.tag})` : kind,
      tone: kind,
      dashed: i > 0 && all[i - 1].evaluates === curve.evaluates,
      steps: curve.steps,
      values: curve.values,
    };
  });
}

function files(all) {
  const damaged = all.filter((file) => file.status !== 'ok').sort((a, b) => byName(a.path, b.path));
  if (!damaged.length) return null;
  return section('Event files with problems', [html('ul', { class: 'files' }, damaged.map((file) =>
    html('li', {}, html('code', {}, file.path), ` ${file.status.replaceAll('_', ' ')}: ${file.detail}`)))]);
}
