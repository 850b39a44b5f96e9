// The HTML report: all data is in the file, the state is in the part of the URL after `#`.

import { mount } from './app.js';
import { html } from './dom.js';

const data = JSON.parse(document.getElementById('data').textContent);
const listeners = [];

const source = {
  overview: async () => data.overview,
  run: async (name) => data.runs[name] ?? missing(`This report has no run ${name}.`),
  layer: async (run, name) => data.layers[run]?.[name]
    ?? missing(data.runs[run]?.layers.some((layer) => layer.layer === name)
      ? `The charts of ${name} were left out to keep this file small. Open the run in TensorBoard, or report on fewer runs.`
      : `Run ${run} has no layer ${name}.`),
  manual: async (code) => data.manuals[code] ?? missing(`There is no manual page of ${code}.`),
};

function missing(message) {
  throw new Error(message);
}

const host = {
  state: () => Object.fromEntries(new URLSearchParams(location.hash.slice(1))),
  href: (state) => `#${new URLSearchParams(Object.entries(state).filter(([, text]) => text))}`,
  go(state, quietly) {
    if (quietly) return history.replaceState(null, '', host.href(state));
    location.hash = host.href(state);
  },
  onChange: (listener) => listeners.push(listener),
  exports: () => [],
  layerLinks: () => [],
  snippets: () => null,
  empty: () => [html('div', { class: 'state' }, html('h2', {}, 'No runs'), html('p', {}, 'The log directory holds no event files.'))],
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
