// Runs put together by what was found in them, or by one of their hyperparameters.

import { html } from './dom.js';
import { bySetting, setting } from './run_columns.js';
import { count } from './words.js';

/** The runs of each finding, or of each value of a hyperparameter; the gravest or least first. */
export function grouped(shown, by, all) {
  if (!by) return [{ title: null, items: shown }];
  if (by === 'finding') return byFinding(shown, all);
  const values = [...new Set([...shown].sort(bySetting(by)).map((run) => setting(run, by)))];
  return values.map((given) => {
    const items = shown.filter((run) => setting(run, by) === given);
    return { title: `${given === null ? `without ${by}` : `${by}=${given}`} · ${count(items.length, 'run')}`, items };
  });
}

const SEVERITIES = ['error', 'warning', 'info'];

function byFinding(shown, all) {
  const found = new Map();
  for (const run of shown) for (const one of run.findings ?? []) found.set(one.code, { ...one, items: [...found.get(one.code)?.items ?? [], run] });
  const groups = [...found.values()].sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.items.length - a.items.length);
  const none = shown.filter((run) => !run.findings?.length);
  return [
    ...groups.map(({ code, name, severity, items }) => ({
      items,
      title: [html('span', { class: 'severity', 'data-severity': severity }, `${code} ${name}`), ` · ${count(items.length, 'run')}${inCommon(items, all)}`],
    })),
    ...none.length ? [{ title: `No findings · ${count(none.length, 'run')}`, items: none }] : [],
  ];
}

/** What sets the runs of a finding apart: hyperparameters that all of them and not all runs have. */
function inCommon(items, all) {
  const [first] = items;
  if (items.length < 2) return '';
  const common = Object.keys(first.hyperparameters ?? {}).filter((name) => {
    const alike = (run) => run.hyperparameters?.[name] === first.hyperparameters[name];
    return items.every(alike) && !all.every(alike);
  });
  return common.length ? `, all with ${common.map((name) => `${name}=${setting(first, name)}`).join(' ')}` : '';
}
