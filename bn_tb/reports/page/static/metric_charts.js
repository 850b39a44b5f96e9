// Metrics of training and evaluation over steps, with the untrusted steps shaded.

import { chart } from './chart.js';
import { capital, share, value } from './words.js';

/** Returns the charts of metrics, with the steps shaded in which evaluation could not be trusted. */
export function metricCharts(run, cursor, domain = stepDomain(run)) {
  return run.metrics.map((metric) => chart({
    unit: metric.curves.every((curve) => curve.tag.startsWith('epoch_')) ? 'epoch' : 'step',
    title: capital(metric.metric),
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
function untrustedRegion(untrusted, domain) {
  if (!untrusted) return null;
  return { from: Math.max(untrusted.from, domain[0]), to: Math.min(untrusted.to ?? domain[1], domain[1]), label: 'evaluation cannot be trusted' };
}

function inUnit(metric) {
  return metric.curves.every((curve) => curve.values.every((number) => number === null || (number >= 0 && number <= 1)));
}

function curves(all) {
  const ownColours = new Set(all.map((curve) => curve.run)).size === all.length && all.every((curve) => curve.tone);
  return all.map((curve, i) => {
    const alike = all.filter((other) => other.evaluates === curve.evaluates);
    const sameTag = alike.every((other) => other.tag === curve.tag);
    const kind = curve.evaluates ? 'evaluation' : 'training';
    return {
      label: alike.length > 1 ? `${kind} (${sameTag ? curve.run : curve.tag})` : kind,
      tone: ownColours ? curve.tone : kind,
      dashed: i > 0 && all[i - 1].evaluates === curve.evaluates,
      steps: curve.steps,
      values: curve.values,
    };
  });
}
