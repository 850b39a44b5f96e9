// Findings: what is wrong, the proof, what to change, the manual page of the rule.

import { html } from './dom.js';
import { count } from './words.js';

const SHOWN_LAYERS = 6;
const SHOWN_PROOF = 5; // lines; the rest is one click away

/** Returns one finding of a run as a card; `manual(code)` promises a manual page. */
export function findingCard(finding, { layers, rules }, { layerLink, manual }) {
  return html('article', { class: 'finding', 'data-severity': finding.severity },
    html('header', {},
      html('span', { class: 'severity' }, finding.severity),
      html('span', { class: 'rule' }, html('b', {}, finding.name), ` ${finding.code}`),
      html('span', { class: 'confidence' }, finding.confidence),
      finding.baseline ? html('span', { class: 'confidence' }, finding.baseline === 'new' ? 'new' : 'known in the baseline') : null,
      finding.suppressed ? html('span', { class: 'confidence' }, `accepted: ${finding.suppressed}`) : null),
    html('p', { class: 'message' }, finding.message),
    where(finding, layers, layerLink),
    finding.fix ? fix(finding.fix) : null,
    finding.evidence.length ? proof(finding.evidence) : null,
    finding.causes.length ? html('p', { class: 'causes' }, `Caused by ${finding.causes.map((code) => `${code} ${rules[code] ?? ''}`.trim()).join(', ')}.`) : null,
    manualPage(finding, manual));
}

function where(finding, layers, layerLink) {
  const names = finding.layers;
  if (!names.length || layers.length === 1) return null;
  const shown = names.slice(0, SHOWN_LAYERS);
  const rest = names.slice(SHOWN_LAYERS);
  const words = names.length === layers.length && names.length > 1
    ? `All ${count(names.length, 'layer')}: ` : `${names.length} of ${count(layers.length, 'layer')}: `;
  return html('p', { class: 'where' }, words, joined(shown.map(layerLink)), ' ',
    moreButton(rest.map((name) => html('span', {}, ', ', layerLink(name)))));
}

function joined(links) {
  return links.flatMap((link, i) => i ? [', ', link] : [link]);
}

function proof(lines) {
  return html('details', { class: 'proof', open: true },
    html('summary', {}, 'Proof'),
    html('ul', {}, lines.slice(0, SHOWN_PROOF).map((line) => html('li', {}, line)),
      moreButton(lines.slice(SHOWN_PROOF).map((line) => html('li', {}, line)))));
}

/** A button that is replaced by what it stands for, or nothing. */
function moreButton(rest) {
  return rest.length
    ? html('button', { class: 'plain', type: 'button', click: (event) => event.currentTarget.replaceWith(...rest) }, `and ${rest.length} more`)
    : null;
}

function fix(text) {
  return html('section', { class: 'fix' },
    html('h3', {}, 'What to change'),
    codeBlocks(text));
}

/** Returns a text as paragraphs, and as code to copy where lines are indented by four columns. */
export function codeBlocks(text) {
  return stretches(text).map(({ code, lines }) => code ? codeBlock(lines) : html('p', {}, lines.join(' ')));
}

function stretches(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const code = /^ {4}/.test(line) || (line.trim() === '' && found.at(-1)?.code);
    if (!code && line.trim() === '') { found.push({ code: false, lines: [] }); continue; }
    if (!found.length || found.at(-1).code !== Boolean(code)) found.push({ code: Boolean(code), lines: [] });
    found.at(-1).lines.push(code ? line.slice(4) : line.trim());
  }
  return found.filter(({ lines }) => lines.some((line) => line.trim()));
}

/** Code with a button that copies it. */
function codeBlock(lines) {
  const text = lines.join('\n').trimEnd();
  const button = html('button', { class: 'copy', type: 'button', click: () => copy(text, button) }, 'Copy');
  return html('div', { class: 'code' }, html('pre', { tabindex: 0 }, html('code', {}, text)), button);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that are not served over https or from localhost have no clipboard API.
    const area = html('textarea', { readonly: true, class: 'visually-hidden' }, text);
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

function manualPage(finding, manual) {
  const body = html('div', { class: 'manual-body' });
  const details = html('details', { class: 'manual' },
    html('summary', {}, `Manual page of ${finding.code}`), body);
  details.addEventListener('toggle', async () => {
    if (!details.open || body.childElementCount) return;
    try {
      body.replaceChildren(...(await manual(finding.code)).map(markup));
    } catch (error) {
      body.replaceChildren(html('p', { class: 'problem' }, error.message));
    }
  });
  return details;
}

const ALLOWED = new Set(['p', 'h3', 'ul', 'ol', 'li', 'code', 'em', 'strong', 'pre', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'blockquote']);

/** Returns the element of a `[tag, children..., {href}]` tree; text where the tag is not known. */
function markup(node) {
  if (typeof node === 'string') return node;
  const { tag, href, children } = node;
  if (tag === 'pre') return codeBlock(children[0].split('\n'));
  if (!ALLOWED.has(tag)) return html('span', {}, children.map(markup));
  if (tag === 'table') return html('div', { class: 'scroll-x', tabindex: 0, role: 'group', 'aria-label': 'Table' }, html('table', {}, children.map(markup)));
  const safe = tag === 'a' && /^https:\/\//.test(href ?? '');
  return html(tag, safe ? { href, target: '_blank', rel: 'noopener noreferrer' } : {}, children.map(markup));
}

