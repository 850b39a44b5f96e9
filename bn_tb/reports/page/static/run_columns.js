// The columns of the table of runs: picture, reason, hyperparameters, last metrics.

import { badge, runDot } from './badge.js';
import { largestFirst } from './data_table.js';
import { html } from './dom.js';
import { leftPicture, sparkline } from './small_pictures.js';
import { byName, byVerdict, capital, share, step, value } from './words.js';

const MOST_SETTINGS = 5; // columns of hyperparameters; the filter and the groups know all of them

/** Returns the columns; `names` are those of hyperparameters, `short` has the short names of runs. */
export function runColumns({ runLink, beside, names, short, metric }) {
  return [
    { key: 'run', title: 'Run', kind: 'run-name', compare: (a, b) => byName(a.run, b.run), cell: (run) => runName(run, short.get(run.run), beside.get(run.run), runLink) },
    { key: 'verdict', title: 'Verdict', compare: byVerdict, cell: (run) => run.verdict ? badge(run.verdict) : 'not read yet' },
    { key: 'left', title: 'Initial value left', kind: 'picture', compare: largestFirst((run) => run.picture?.left?.at(-1)), cell: smallPicture },
    { key: 'why', title: 'Why', kind: 'why', cell: (run) => run.headline },
    ...names.slice(0, MOST_SETTINGS).map((name) => ({ key: `:${name}`, title: name, number: true, kind: 'setting', compare: bySetting(name), cell: (run) => setting(run, name) })),
    ...metric ? ['training', 'evaluation'].map((phase) => ({
      key: phase, title: `${capital(metric)}, ${phase}`, number: true, compare: largestFirst((run) => last(run, metric, phase)), cell: (run) => metricCell(last(run, metric, phase), metric),
    })) : [],
    { key: 'step', title: 'Last step', number: true, compare: largestFirst((run) => run.last_step), cell: (run) => run.last_step === undefined ? null : step(run.last_step) },
  ];
}

function runName(run, short, beside, runLink) {
  const link = runLink(run.run, breakable(short));
  if (short !== run.run) link.title = run.run;
  return [
    runDot(run.tone), link,
    beside.length ? html('span', { class: 'muted small' }, ' with ', beside.map((other, i) => [i ? ', ' : '', runLink(other.run, other.run.split('/').at(-1))])) : null,
  ];
}

/** A name that may go on in another line before each of its parts. */
function breakable(name) {
  return name.split(/(?=[_/])|(?<=…)/).flatMap((part, i) => (i ? [html('wbr'), part] : [part]));
}

function smallPicture({ picture }) {
  if (!picture) return null;
  return picture.left ? leftPicture(picture) : [sparkline(picture.spark), html('span', { class: 'muted small' }, 'statistics')];
}

/** The names of hyperparameters that not all runs have alike, those that most runs have first. */
export function varying(runs) {
  const values = new Map();
  for (const run of runs) {
    for (const [name, given] of Object.entries(run.hyperparameters ?? {})) values.set(name, [...values.get(name) ?? [], given]);
  }
  return [...values].filter(([, given]) => given.length < runs.length || new Set(given).size > 1)
    .sort(([one, a], [other, b]) => b.length - a.length || byName(one, other)).map(([name]) => name);
}

/** A hyperparameter as text, or null. */
export function setting(run, name) {
  const given = run.hyperparameters?.[name];
  return given === undefined ? null : String(given);
}

/** The hyperparameters of a run in one line, `lr=0.1 momentum=0.9`. */
export function settingsText(run) {
  return Object.entries(run.hyperparameters ?? {}).map(([name, given]) => `${name}=${given}`).join(' ');
}

/** Orders by a hyperparameter: numbers by size; runs that have none come last. */
export function bySetting(name) {
  return (a, b) => {
    const [one, other] = [a, b].map((run) => run.hyperparameters?.[name]);
    if (one === other) return 0;
    if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
    return one - other || byName(String(one), String(other));
  };
}

/** The metric that most runs have. */
export function usualMetric(runs) {
  const times = new Map();
  for (const { metric } of runs) if (metric) times.set(metric.metric, (times.get(metric.metric) ?? 0) + 1);
  return [...times].sort(([, a], [, b]) => b - a)[0]?.[0];
}

function last({ metric }, name, phase) {
  return metric?.metric === name ? metric[phase] : null;
}

function metricCell(number, metric) {
  if (number === null) return null;
  return metric === 'accuracy' && number >= 0 && number <= 1 ? share(number) : value(number);
}
