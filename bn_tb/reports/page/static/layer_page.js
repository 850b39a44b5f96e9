// The page of one layer: its statistics over steps, what its momentum predicts, its wiring.

import { badge } from './badge.js';
import { chart } from './chart.js';
import { html } from './dom.js';
import { metricCharts, stepDomain } from './metric_charts.js';
import { shareChart, trustedMark } from './share_chart.js';
import { count, share, step, value } from './words.js';
import { wiringPicture } from './wiring_picture.js';

const TITLES = { mean: 'Moving mean', variance: 'Moving variance' };
// Pairs of band levels, widest first, as TensorBoard's distribution chart nests them.
const BANDS = [[0, 8, 0.16], [1, 7, 0.2], [2, 6, 0.26], [3, 5, 0.34]];

/** Returns the page's content. */
export function layerPage(run, layer, { runLink, links, cursor }) {
  const judged = run.layers.find((entry) => entry.layer === layer.layer);
  const domain = stepDomain(run);
  const logged = layer.statistics.filter((statistic) => statistic.steps);
  return [
    layerHeader(run, judged, { runLink, links }),
    html('section', { class: 'section charts' },
      layer.statistics.map((statistic) => statisticChart(statistic, judged, layer.share, domain, cursor)),
      layer.share ? shareChart(layer.share, judged, domain, cursor) : null,
      metricCharts(run, cursor, domain).slice(0, 1)),
    wiringSection(layer.wiring, layer.layer),
    logged.length ? html('p', { class: 'muted small' }, pointsLine(logged)) : null,
  ];
}

function layerHeader(run, judged, { runLink, links }) {
  const back = runLink(run.run);
  back.className = 'back';
  back.replaceChildren(`← ${run.run}`);
  const findings = run.findings.filter((finding) => finding.layers.includes(judged.layer));
  return html('header', { class: 'page-header', 'data-verdict': judged.verdict },
    back,
    html('div', { class: 'title-line' }, html('h1', { tabindex: -1 }, judged.layer), badge(judged.verdict),
      links.length ? html('span', { class: 'exports' }, links) : null),
    findings.map((finding) => html('p', { class: 'layer-finding' },
      html('b', { class: 'severity', 'data-severity': finding.severity }, `${finding.code} ${finding.name}`), ` ${finding.message}`)),
    facts(judged));
}

function facts(judged) {
  const entries = [
    ['Initial value left', share(judged.left)],
    ['Trusted from', trustedFrom(judged)],
    ['Momentum', judged.momentum === null ? 'unknown' : `${value(judged.momentum)} (${momentumSource(judged.momentum_source)})`],
    ['Last change', judged.last_change_step === null ? 'never' : `${judged.unit} ${step(judged.last_change_step)}`],
  ];
  return html('dl', { class: 'facts' }, entries.map(([name, text]) => html('div', {}, html('dt', {}, name), html('dd', {}, text))));
}

function trustedFrom(judged) {
  if (judged.verdict === 'stale') return 'never';
  const { trusted_from: from, last_step: last } = judged;
  if (from === null) return 'unknown';
  return `${judged.unit} ${step(from)}${from > last ? `, after the end at ${step(last)}` : ''}`;
}

function momentumSource(name) {
  return { graph: 'from the graph', keras_config: 'from the Keras model', flag: 'given by you', measured: 'measured' }[name] ?? 'unknown source';
}

function statisticChart(statistic, judged, left, domain, cursor) {
  const title = TITLES[statistic.kind];
  if (!statistic.steps) {
    return html('figure', { class: 'chart' }, html('figcaption', {}, html('span', { class: 'chart-title' }, title)),
      html('p', { class: 'nothing' }, `The ${title.toLowerCase()} of this layer is not logged.`));
  }
  const { steps, bands, initial } = statistic;
  const stuck = bands[0].every((low, i) => low === initial && bands[8][i] === initial);
  const tone = stuck ? 'bad' : 'ink';
  const nested = stuck ? [] : BANDS.map(([low, high, opacity], i) => ({
    label: i === 0 ? 'all channels' : null, tone, opacity, steps, low: bands[low], high: bands[high],
  }));
  return chart({
    title,
    label: `${title} over ${judged.unit}s. ${stuck ? `It never left its initial value ${initial}.` : `Last median ${value(bands[4].at(-1))}, initial value ${initial}.`}`,
    domain,
    unit: judged.unit,
    log: statistic.kind === 'variance',
    series: [...nested, { label: stuck ? 'all channels' : 'median', tone, steps, values: bands[4] }, ...predicted(statistic, judged), ...saved(statistic, tone)],
    levels: [{ value: initial, label: stuck ? `still at the initial value ${initial}${wouldBe(left)}` : `initial value ${initial}` }],
    marks: [
      ...trustedMark(judged),
      ...(statistic.non_finite_from === null ? [] : [{ step: statistic.non_finite_from, label: 'not finite from here on', tone: 'bad' }]),
    ],
  }, cursor);
}

/** How much of its initial value a statistic that never moved would hold, which its momentum says alone. */
function wouldBe(left) {
  return left?.stuck && left.momentum !== null ? `; a healthy average with momentum ${value(left.momentum)} would hold ${share(left.predicted.at(-1))} of it by now` : '';
}

/** Points that were read of checkpoints; the others are in event files. */
function saved({ checkpoints }, tone) {
  if (!checkpoints) return [];
  const { steps, values, files } = checkpoints;
  return [{ label: 'checkpoint', tone, steps, values, names: files }];
}

/** The way that the momentum predicts for the ±1σ band, and where it ends if the run is too short. */
function predicted({ predicted: curve }, judged) {
  if (!curve) return [];
  const { steps, low, high, target } = curve;
  const way = { label: 'predicted ±1σ', tone: 'accent', dashed: true, steps, low, high };
  if (!(judged.initial_weight > 0.05)) return [way];
  const ends = [steps[0], steps.at(-1)];
  return [way, {
    label: 'heading for', tone: 'healthy', dashed: true, steps: ends,
    low: [target[0], target[0]], high: [target[1], target[1]],
  }];
}

function wiringSection(wiring, layer) {
  return html('section', { class: 'section' }, html('h2', {}, 'Wiring in the graph'),
    wiring ? wiringPicture(wiring, layer)
      : html('p', { class: 'muted' }, 'No graph of this layer was logged, so its wiring cannot be shown.'));
}

function pointsLine(logged) {
  return logged.map((statistic) => `${statistic.tag}: ${count(statistic.points, statistic.checkpoints ? 'checkpoint' : 'point')}`).join(' · ');
}
