// How much of the initial value is left in evaluation.

import { chart } from './chart.js';
import { share, step, value } from './words.js';

/** The step from which a layer may be trusted, as a mark of a chart. */
export function trustedMark(judged) {
  return judged.trusted_from !== null && judged.trusted_from > judged.first_step && judged.trusted_from <= judged.last_step
    ? [{ step: judged.trusted_from, label: `trusted from ${judged.unit} ${step(judged.trusted_from)}`, tone: 'healthy' }] : [];
}

/** Returns how much of the initial value is left, as it is and as the momentum predicts. */
export function shareChart(data, judged, domain, cursor) {
  const ends = [judged.first_step, judged.last_step];
  const series = [{
    label: data.stuck ? `a healthy average with momentum ${value(data.momentum)} would be here` : 'share left',
    tone: data.stuck ? 'healthy' : 'accent', dashed: data.stuck, steps: data.steps, values: data.predicted,
  }];
  if (data.stuck) series.unshift({ label: 'this run', tone: 'bad', steps: ends, values: [1, 1] });
  return chart({
    title: 'Initial value left in evaluation',
    label: data.stuck ? 'All of the initial value is left.' : `Share of the initial value that is left; at the end ${share(judged.left)}.`,
    domain,
    unit: judged.unit,
    range: [0, 1.06],
    format: share,
    series,
    levels: [{ value: data.limit, label: `trusted below ${share(data.limit)}` }],
    marks: trustedMark(judged),
  }, cursor);
}
