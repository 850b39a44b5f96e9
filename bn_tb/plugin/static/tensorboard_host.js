// What TensorBoard does around the tab: its messages, its URL, its theme. The tab is an iframe of
// the same origin, so the page around it can be asked; where it cannot, the tab works alone.

const PREFIX = 'p.bn_tb.';

/** Calls `listener` on TensorBoard's reload, by the button or every thirty seconds. */
export function onReload(listener) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.isReply) return;
    port1.postMessage(JSON.stringify({ ...message, payload: null, error: null, isReply: true }));
    if (message.type === 'experimental.DataReloaded') listener();
  };
  window.parent.postMessage('experimental.bootstrap', '*', [port2]);
}

/** Takes TensorBoard's theme, now and whenever it changes. */
export function followTheme() {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  try {
    const { body } = window.parent.document;
    const show = () => { root.dataset.theme = body.classList.contains('dark-mode') ? 'dark' : 'light'; };
    new MutationObserver(show).observe(body, { attributeFilter: ['class'] });
    show();
  } catch {
    const show = () => { root.dataset.theme = system.matches ? 'dark' : 'light'; };
    system.addEventListener('change', show);
    show();
  }
}

/** Whether the tab is the one that is shown. */
export function isShown() {
  return document.documentElement.clientHeight > 0;
}

const PALETTE = 7; // colours of TensorBoard's default palette; page.css has them

/**
 * The colours that TensorBoard's Time Series gives to runs: the next one to each run of its list
 * that it had not seen before. It keeps them to itself, so they are counted here.
 */
export function runColours() {
  const given = new Map();
  return {
    async update() {
      const response = await fetch('../../runs');
      for (const run of response.ok ? await response.json() : []) if (!given.has(run)) given.set(run, given.size);
    },
    tone: (run) => (given.has(run) ? `run${given.get(run) % PALETTE}` : null),
  };
}

// GetURLPluginData answers {} for what was in the URL when the page was loaded, so the URL is read
// here. It is `#bn_tb&p.bn_tb.run=train`.
function parameters() {
  const entries = window.parent.location.hash.slice(1).split('&').slice(1);
  return entries.map((entry) => entry.split('=', 2).map(decoded));
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % that somebody typed
  }
}

/** Returns what the URL says of this tab. */
export function urlState() {
  const own = parameters().filter(([name]) => name.startsWith(PREFIX));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(PREFIX.length), value]));
}

/** Returns the filter of TensorBoard's own list of runs, which stands in the URL. */
export function runFilter() {
  return new URLSearchParams(window.parent.location.search).get('runFilter') ?? '';
}

/** Returns the URL of a state of this tab; what other tabs keep there stays. */
export function urlOf(state) {
  const others = parameters().filter(([name]) => !name.startsWith(PREFIX));
  const own = Object.entries(state).filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [PREFIX + name, value]);
  return hashOf('bn_tb', [...others, ...own]);
}

/** Returns the URL of another tab. */
export function tabUrl(tab, settings) {
  const kept = parameters().filter(([name]) => name.startsWith('p.'));
  return hashOf(tab, [...Object.entries(settings), ...kept]);
}

function hashOf(tab, entries) {
  const { location } = window.parent;
  const parts = entries.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value ?? '')}`);
  return `${location.pathname}${location.search}#${[tab, ...parts].join('&')}`;
}

/** Goes to a URL; `quietly` leaves no entry in the history. */
export function visit(url, quietly = false) {
  if (quietly) window.parent.history.replaceState(window.parent.history.state, '', url);
  else window.parent.location.hash = url.slice(url.indexOf('#'));
}

/** Calls `listener` when the URL changes while this tab is the active one. */
export function onVisit(listener) {
  window.parent.addEventListener('hashchange', () => {
    if (/^#bn_tb(&|$)/.test(window.parent.location.hash)) listener();
  });
}
