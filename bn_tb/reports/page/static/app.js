// The page: runs on the left, the chosen run or layer on the right; state in the URL.

import { badge } from './badge.js';
import { sharedCursor } from './chart.js';
import { html, inSlices } from './dom.js';
import { layerPage } from './layer_page.js';
import { runList } from './run_list.js';
import { runPage } from './run_page.js';
import { byName, byVerdict, count, step, VERDICTS } from './words.js';

const POLL = 1000; // milliseconds between looks at runs that are still being read
const SHOWN_RUNS = 200; // rows of the overview's table

/**
 * Shows the page.
 *
 * @param {Element} root where
 * @param {object} source overview(), run(name), layer(run, name), manual(code): promises of data
 * @param {object} host state(), go(state), href(state), onChange(listener), exports(run),
 *   layerLinks(run, layer), empty(overview) and snippets(overview): what to show where nothing is
 *   logged
 * @returns {function} asks the source again and shows what changed
 */
export function mount(root, source, host) {
  const view = { overview: null, shownKey: '', shownData: '', asked: 0, timer: null };
  const main = html('main', { class: 'main', tabindex: -1 });
  const notices = html('div', { class: 'notices', role: 'status' });
  const runLink = (run) => link({ run }, run);
  const link = (state, ...children) => html('a', {
    href: host.href(state),
    click: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      host.go({ ...state, ...filter });
    },
  }, ...children);
  const filter = Object.fromEntries(['text', 'verdict', 'sort'].map((name) => [name, host.state()[name] ?? '']));
  const list = runList({ runLink, filter, onFilter: () => host.go({ ...host.state(), ...filter }, true) });
  root.replaceChildren(html('a', { class: 'skip', href: '#main', click: (event) => { event.preventDefault(); main.focus(); } }, 'Skip the list of runs'),
    html('div', { class: 'layout' }, list.element, html('div', { class: 'content' }, notices, main)));

  const refresh = async () => {
    clearTimeout(view.timer);
    const asked = ++view.asked;
    try {
      view.overview = await source.overview();
      if (asked !== view.asked) return;
      await showPage(asked);
    } catch (error) {
      if (asked === view.asked) failed(main, error, refresh);
    }
    if (asked === view.asked && view.overview?.busy) view.timer = setTimeout(refresh, POLL);
  };

  const showPage = async (asked) => {
    const { overview } = view;
    const state = host.state();
    const only = overview.runs.length === 1 ? overview.runs[0].run : null;
    const run = state.run ?? only;
    list.show(overview.runs, run);
    replace(notices, (overview.notices ?? []).map((notice) => html('p', { class: 'notice' }, notice)), JSON.stringify(overview.notices));
    root.classList.toggle('single', overview.runs.length <= 1);
    const key = JSON.stringify([run ?? null, state.layer ?? null]);
    const fresh = key !== view.shownKey;
    if (fresh) view.late = setTimeout(() => { main.replaceChildren(waiting('Reading…')); }, 150);
    let data;
    try {
      data = await load(run, state.layer);
    } finally {
      clearTimeout(view.late);
    }
    if (asked !== view.asked) return;
    const text = JSON.stringify(data);
    if (!fresh && text === view.shownData) return;
    const top = main.scrollTop;
    main.replaceChildren(...content(run, state.layer, data).flat(Infinity).filter(Boolean));
    Object.assign(view, { shownKey: key, shownData: text });
    if (fresh) { main.scrollTop = 0; if (view.moved) main.querySelector('h2')?.focus({ preventScroll: true }); } else main.scrollTop = top;
    view.moved = true;
  };

  const load = async (run, layer) => {
    if (run === null || run === undefined) return { overview: view.overview };
    const data = { run: await source.run(run) };
    if (layer && !data.run.pending) data.layer = await source.layer(run, layer);
    return data;
  };

  const content = (run, layer, data) => {
    const cursor = sharedCursor();
    if (data.overview) return data.overview.runs.length ? overviewPage(data.overview, runLink, host) : host.empty(data.overview);
    const pending = data.run.pending ?? data.layer?.pending;
    if (pending) return [waiting(pending)];
    const layerLink = (name) => link({ run, layer: name }, name);
    const home = view.overview.runs.length > 1 ? [link({}, '← All runs')] : [];
    home.forEach((element) => element.classList.add('back'));
    if (data.layer) return layerPage(data.run, data.layer, { runLink, links: host.layerLinks(data.run, data.layer), cursor });
    return [...home, ...runPage(data.run, { layerLink, manual: source.manual, exports: host.exports(run), cursor })];
  };

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || /input|textarea/i.test(event.target.tagName)) return;
    const { run, layer } = host.state();
    if (layer) host.go({ run, ...filter });
    else if (run) host.go({ ...filter });
  });
  host.onChange(refresh);
  refresh();
  return refresh;
}

function replace(element, children, key) {
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  element.replaceChildren(...children);
}

function waiting(text) {
  return html('div', { class: 'state', role: 'status' }, html('span', { class: 'spinner', 'aria-hidden': 'true' }), html('p', {}, text));
}

function failed(main, error, retry) {
  main.replaceChildren(html('div', { class: 'state', role: 'alert' },
    html('h2', {}, 'This could not be shown'),
    html('p', {}, error.message),
    html('button', { class: 'button', type: 'button', click: retry }, 'Try again')));
}

/** All runs in one look: how many of which verdict, then each with its reason, worst first. */
function overviewPage(overview, runLink, host) {
  const judged = overview.runs.filter((run) => run.verdict);
  const sorted = [...judged].sort((a, b) => byVerdict(a, b) || byName(a.run, b.run));
  const body = html('tbody');
  inSlices(sorted.slice(0, SHOWN_RUNS), (run) => body.append(overviewRow(run, runLink)));
  return [
    html('header', { class: 'page-header' },
      html('div', { class: 'title-line' }, html('h2', { tabindex: -1 }, overview.logdir || 'All runs'),
        html('span', { class: 'exports' }, host.exports(null))),
      html('p', { class: 'headline' }, summary(judged, overview.runs.length))),
    html('div', { class: 'tiles' }, Object.keys(VERDICTS).map((verdict) => tile(verdict, judged))),
    judged.length ? html('div', { class: 'scroll-x' }, html('table', { class: 'layers overview' },
      html('thead', {}, html('tr', {}, ['Run', 'Verdict', 'Why', 'Layers', 'Last step'].map((title) =>
        html('th', { scope: 'col', class: title === 'Layers' || title === 'Last step' ? 'number' : null }, title)))), body)) : null,
    sorted.length > SHOWN_RUNS ? html('p', { class: 'muted' }, `The ${SHOWN_RUNS} worst of ${count(sorted.length, 'run')}; the others are in the list.`) : null,
    judged.length && !judged.some(hasStatistics) ? host.snippets(overview) : null,
  ];
}

const USELESS = ['broken', 'stale', 'lagging'];

function summary(judged, total) {
  if (!judged.length) return 'Reading the runs…';
  const bad = judged.filter((run) => USELESS.includes(run.verdict)).length;
  const seen = judged.filter(hasStatistics).length;
  const of = judged.length < total ? ` so far, ${total - judged.length} still to read` : '';
  if (!seen) return `No run could be judged${of}.`;
  if (!bad) return `None of the ${count(seen, 'judged run')} evaluates with statistics that training left behind${of}.`;
  return `In ${bad} of ${count(seen, 'judged run')} evaluation uses statistics that do not fit the training${of}.`;
}

function hasStatistics(run) {
  return !['unknown', 'no-batch-norm', 'unreadable', 'insufficient', 'not-logged'].includes(run.verdict);
}

function tile(verdict, runs) {
  const number = runs.filter((run) => run.verdict === verdict).length;
  return number ? html('div', { class: 'tile', 'data-verdict': verdict }, html('b', {}, String(number)), badge(verdict)) : null;
}

function overviewRow(run, runLink) {
  const anchor = runLink(run.run);
  const row = html('tr', { 'data-verdict': run.verdict },
    html('th', { scope: 'row' }, anchor), html('td', {}, badge(run.verdict)), html('td', { class: 'why' }, run.headline),
    html('td', { class: 'number' }, run.layers ? String(run.layers) : '–'), html('td', { class: 'number' }, step(run.last_step)));
  row.addEventListener('click', (event) => { if (!event.target.closest('a')) anchor.click(); });
  return row;
}
