// The HTML report: all data is in the file, the state is in the part of the URL after `#`.

import { mount, NO_FILTER } from './app.js';
import { html } from './dom.js';

const data = JSON.parse(document.getElementById('data').textContent);
const listeners = [];

const source = {
  overview: async () => data.overview,
  async run(name) {
    if (!data.runs[name]) missing(`This report has no run ${name}.`);
    if (!opened.has(name)) opened.set(name, await unpacked(data.opened[name]) ?? NOTHING);
    return { ...data.runs[name], ...opened.get(name) };
  },
  async layer(run, name) {
    if (!data.layers[run]?.[name]) missing(`This report has no charts of the layer ${name}. Large reports leave charts out; open the run in TensorBoard, or report on fewer runs.`);
    return await unpacked(data.layers[run][name]) ?? missing(TOO_OLD);
  },
  manual: async (code) => data.manuals[code] ?? missing(`There is no manual page of ${code}.`),
  printable: () => withFindings().map((run) => ({ ...run, ...opened.get(run.run) ?? NOTHING })),
};

const opened = new Map(); // what was unpacked, by run

function withFindings() {
  return Object.values(data.runs).filter((run) => run.findings.length);
}

/** Unpacks, one after the other, what will be printed: there is no time when printing begins. */
async function prepareToPrint() {
  for (const { run } of withFindings()) {
    await source.run(run);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

const NOTHING = { layers: [], metrics: [], explained: null };
const TOO_OLD = 'This browser is too old to unpack layers and charts: Chrome 80, Firefox 113 and Safari 16.4 can.';
if (!window.DecompressionStream) data.overview.notices.push(TOO_OLD);

/** Returns the value of JSON that was packed with gzip, or undefined where a browser cannot. */
async function unpacked(base64) {
  if (!window.DecompressionStream) return undefined;
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return JSON.parse(await new Response(stream).text());
}

function missing(message) {
  throw new Error(message);
}

const host = {
  state: () => Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
  filter: () => NO_FILTER,
  href: (state) => `#${new URLSearchParams(Object.entries(state).filter(([, text]) => text !== null))}`,
  go(state, quietly) {
    if (quietly && location.protocol !== 'about:') history.replaceState(null, '', host.href(state));
    else location.hash = host.href(state); // the frame of a notebook has no other way
  },
  onChange: (listener) => listeners.push(listener),
  exports: () => [],
  layerLinks: () => [],
  snippets: () => null,
  empty: () => [html('div', { class: 'state' }, html('h1', {}, 'No runs'), html('p', {}, 'The log directory holds no event files.'))],
};

function themeButton() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const button = html('button', { class: 'button theme', type: 'button', click: () => show(document.documentElement.dataset.theme !== 'dark') });
  const show = (isDark) => {
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
    button.textContent = isDark ? 'Light' : 'Dark';
  };
  dark.addEventListener('change', () => show(dark.matches));
  show(dark.matches);
  return button;
}

document.getElementById('masthead').append(themeButton());
window.addEventListener('hashchange', () => listeners.forEach((listener) => listener()));
mount(document.getElementById('page'), source, host);
prepareToPrint();
