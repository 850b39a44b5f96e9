// The page: all runs, or the chosen run or layer; state in the URL.

import { sharedCursor } from './chart.js';
import { finishSlices, html } from './dom.js';
import { home } from './home.js';
import { layerPage } from './layer_page.js';
import { runPage } from './run_page.js';
import { byVerdict } from './words.js';

const POLL = 1000; // milliseconds between looks at runs that are still being read
/** What the page of all runs has in the URL, where nothing is chosen. */
export const NO_FILTER = { text: '', verdict: '', group: '', sort: '' };
const FILTER = Object.keys(NO_FILTER);

/**
 * Shows the page.
 *
 * @param {Element} root where
 * @param {object} source overview(), run(name), layer(run, name), manual(code): promises of data;
 *   printable(): the runs that are printed below the table of all runs
 * @param {object} host state(), filter() (what applies where the state has no text, verdict, group
 *   or sort), go(state, quietly), href(state), onChange(listener), exports(run),
 *   layerLinks(run, layer), empty(overview) and snippets(overview): what to show where nothing is
 *   logged
 * @returns {function} asks the source again and shows what changed
 */
export function mount(root, source, host) {
  const view = { overview: null, shownKey: '', shownData: '', asked: 0, timer: null, scrolled: 0 };
  const content = html('div');
  const notices = html('div', { role: 'status' });
  const printed = html('div', { class: 'printed' });
  const main = html('main', { class: 'main', id: 'main', tabindex: -1 }, notices, content, printed);
  const link = (state, ...children) => html('a', {
    href: host.href(state),
    click: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      host.go({ ...state, ...kept() });
    },
  }, children);
  const runLink = (run, text = run) => link({ run }, html('bdi', {}, text));
  const filter = {};
  const all = home({ runLink, filter, host, onFilter: () => host.go({ ...host.state(), ...kept() }, true) });
  document.body.prepend(html('a', { class: 'skip', href: '#main', click: (event) => { event.preventDefault(); main.focus(); } }, 'Skip to content'));
  root.replaceChildren(main);
  /** The filter as the URL has it; what the host filters by stands elsewhere in it. */
  const kept = () => Object.fromEntries(FILTER.map((name) => [name, filter[name] === host.filter()[name] ? null : filter[name]]));
  main.addEventListener('scroll', () => { if (content.contains(all.element)) view.scrolled = main.scrollTop; });

  const refresh = async () => {
    clearTimeout(view.timer);
    const asked = ++view.asked;
    try {
      view.overview = await source.overview();
      if (asked !== view.asked) return;
      await showPage(asked);
    } catch (error) {
      if (asked === view.asked) failed(content, error, refresh);
    }
    if (asked === view.asked && view.overview?.busy) view.timer = setTimeout(refresh, POLL);
  };

  const showPage = async (asked) => {
    const { overview } = view;
    const state = host.state();
    const run = state.run ?? (overview.runs.length === 1 ? overview.runs[0].run : null);
    const key = JSON.stringify([run, state.layer ?? null]);
    const fresh = key !== view.shownKey;
    replace(notices, (overview.notices ?? []).map((notice) => html('p', { class: 'notice' }, notice)), JSON.stringify(overview.notices));
    for (const name of FILTER) filter[name] = state[name] ?? host.filter()[name];
    all.show(overview);
    if (fresh) view.late = setTimeout(() => content.replaceChildren(waiting('Reading…')), 150);
    let data;
    try {
      data = await load(run, state.layer);
    } finally {
      clearTimeout(view.late);
    }
    if (asked !== view.asked) return;
    const text = JSON.stringify(data);
    if (!fresh && text === view.shownData) return;
    const top = !fresh ? main.scrollTop : run === null ? view.scrolled : 0;
    content.replaceChildren(...page(run, state.layer, data).flat(Infinity).filter(Boolean));
    main.scrollTop = top;
    if (fresh && view.moved) content.querySelector('h1')?.focus({ preventScroll: true });
    Object.assign(view, { shownKey: key, shownData: text, moved: true });
  };

  const load = async (run, layer) => {
    if (run === null) return view.overview.runs.length ? null : { nothing: view.overview };
    const data = { run: await source.run(run) };
    if (layer && !data.run.pending) data.layer = await source.layer(run, layer);
    return data;
  };

  const page = (run, layer, data) => {
    if (data === null) return [all.element];
    if (data.nothing) return host.empty(data.nothing);
    const pending = data.run.pending ?? data.layer?.pending;
    if (pending) return [waiting(pending)];
    const cursor = sharedCursor();
    if (data.layer) return layerPage(data.run, data.layer, { runLink, links: host.layerLinks(data.run, data.layer), cursor });
    return [ways(run), pageOf(data.run, host.exports(run), cursor)];
  };

  const pageOf = (run, exports, cursor) => {
    const layerLink = (name) => link({ run: run.run, layer: name }, html('bdi', {}, name));
    return runPage(run, { layerLink, manual: source.manual, exports, cursor });
  };

  /** On paper nothing can be opened: below all runs stand those that have findings, in full. */
  const prepareForPaper = () => {
    const cursor = sharedCursor();
    const runs = content.contains(all.element) ? source.printable().sort(byVerdict) : [];
    printed.replaceChildren(...runs.map((run) => html('section', {}, pageOf(run, [], cursor))));
    cursor.zoom(null); // draws the charts, which otherwise wait until they are laid out
    finishSlices();
    for (const more of main.querySelectorAll('.finding button.plain')) more.click();
  };

  /** The way back, and to the runs before and after this one. */
  const ways = (run) => {
    if (view.overview.runs.length < 2) return null;
    const [before, after] = all.neighbours(run);
    return html('nav', { class: 'ways', 'aria-label': 'Runs' }, link({}, '← All runs'),
      before === undefined ? null : html('span', {}, '↑ ', runLink(before)), after === undefined ? null : html('span', {}, '↓ ', runLink(after)));
  };

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || /input|textarea/i.test(event.target.tagName)) return;
    const { run, layer } = host.state();
    if (layer) host.go({ run, ...kept() });
    else if (run) host.go(kept());
  });
  window.addEventListener('beforeprint', prepareForPaper);
  window.addEventListener('afterprint', () => printed.replaceChildren());
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
  return html('div', { class: 'state', role: 'status' }, html('span', { class: 'spinner', 'aria-hidden': 'true' }), html('h1', {}, text));
}

function failed(content, error, retry) {
  content.replaceChildren(html('div', { class: 'state', role: 'alert' },
    html('h1', {}, 'This could not be shown'),
    html('p', {}, error.message),
    html('button', { class: 'button', type: 'button', click: retry }, 'Try again')));
}
