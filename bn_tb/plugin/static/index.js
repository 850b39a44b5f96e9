// The tab: data from the routes of the plugin, state in TensorBoard's URL.

import { mount, NO_FILTER } from './app.js';
import { html } from './dom.js';
import { codeBlocks } from './findings.js';
import { followTheme, isShown, onReload, onVisit, runColours, runFilter, tabUrl, urlOf, urlState, visit } from './tensorboard_host.js';

async function ask(route, parameters = {}) {
  let response;
  try {
    response = await fetch(`./${route}?${new URLSearchParams(parameters)}`);
  } catch {
    throw new Error('TensorBoard does not answer. Is it still running?');
  }
  if (!response.ok) throw new Error((await response.text()).replace(/^(Not found|Invalid argument): /, ''));
  return response.json();
}

const colours = runColours();
let refresh = '1'; // look for new data with the next question, and at the beginning

const source = {
  async overview() {
    const parameters = { refresh };
    refresh = '0';
    const [overview] = await Promise.all([ask('runs', parameters), parameters.refresh === '1' && colours.update()]);
    return { ...overview, runs: overview.runs.map((run) => ({ ...run, tone: colours.tone(run.run) })) };
  },
  async run(name) {
    const run = await ask('run', { run: name });
    for (const curve of run.metrics?.flatMap((metric) => metric.curves) ?? []) curve.tone = colours.tone(curve.run);
    return { ...run, tone: colours.tone(name) };
  },
  layer: (run, layer) => ask('layer', { run, layer }),
  manual: (code) => ask('manual', { code }),
  printable: () => [],
};

const exportLink = (format, run) => html('a', {
  href: `./export?${new URLSearchParams({ format, ...run && { run } })}`, download: `batch_norm.${format}`,
  title: `Download this report as ${format.toUpperCase()}`,
}, format.toUpperCase());

const tabLink = (name, hint, tab, settings) => html('a', {
  href: tabUrl(tab, settings), target: '_top', title: hint,
  click: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    visit(tabUrl(tab, settings));
  },
}, name);

const host = {
  state: urlState,
  filter: () => ({ ...NO_FILTER, text: runFilter() }),
  href: urlOf,
  go(state, quietly) { visit(urlOf(state), quietly); },
  onChange: onVisit,
  exports: (run) => [exportLink('html', run), exportLink('json', run)],
  layerLinks(run, layer) {
    const tags = layer.statistics.map((statistic) => statistic.tag).filter(Boolean);
    const links = [];
    if (tags.length) links.push(tabLink('Histograms', 'These tags in the Histograms tab', 'histograms', { tagFilter: tags.map(escaped).join('|') }));
    if (layer.wiring) links.push(tabLink('Graph', `The Graphs tab; choose the run ${run.run} there if it shows another`, 'graphs', { run: run.run }));
    return links;
  },
  empty: (overview) => [html('div', { class: 'state' },
    html('h1', {}, overview.busy ? 'Looking for runs…' : 'No runs yet'),
    html('p', {}, overview.busy ? '' : `There are no event files in ${overview.logdir}. This page shows them once there are some and TensorBoard reloads.`))],
  snippets: (overview) => html('section', { class: 'section' },
    html('h2', {}, 'Is there batch norm whose statistics are not logged?'),
    html('p', {}, 'Log moving mean and moving variance, and this page can judge them:'),
    overview.snippets.map(({ framework, text }) => html('details', { class: 'manual' },
      html('summary', {}, framework), codeBlocks(text)))),
};

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Called by TensorBoard once the module is loaded. */
export function render() {
  followTheme();
  document.title = 'BatchNorm';
  document.documentElement.lang = 'en';
  const page = html('div', { id: 'page' });
  document.head.append(html('link', { rel: 'stylesheet', href: './page.css' }));
  document.body.append(page);
  const show = mount(page, source, host);
  let filtered = runFilter();
  const showNews = () => {
    if (!isShown() || (refresh === '0' && filtered === runFilter())) return;
    filtered = runFilter();
    show();
  };
  onReload(() => {
    refresh = '1';
    showNews();
  });
  new ResizeObserver(showNews).observe(document.documentElement); // another tab was left for this one
}
