"""What the page does in the browser: links that call the server, keys, the tab's name, light and dark."""

from __future__ import annotations


def _links(event: str, *kinds: str) -> str:
    """JavaScript that turns clicks on `#<kind>-…` links, and their keys, into an event of the component."""
    selector = ", ".join(f'a[href^="#{kind}-"]' for kind in kinds)
    return f"""
document.addEventListener('click', (event) => {{
  const link = event.target.closest('{selector}');
  if (!link) return;
  event.preventDefault();
  const target = link.getAttribute('href').slice(1);
  if (target.startsWith('rule-remove-') && !window.confirm(link.title)) return;
  trigger('{event}', {{ target }});
}});
"""


BUTTONS = """
document.addEventListener('keydown', (event) => {
  if (event.key === ' ' && event.target.matches('a[role=button]')) { event.preventDefault(); event.target.click(); }
});
"""
NAMES = """
let moved = false;
document.addEventListener('keydown', (event) => {
  if (!event.target.closest('#collection')) return;
  const took = event.key === 'Enter' && !moved;
  moved = event.key.startsWith('Arrow');
  if (!took) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  event.target.blur();
}, true);
"""
"""Enter takes a collection's name as it was typed; Gradio's own takes the first name that holds what was typed."""
RULES = _links("rule", "rule")
WARM = _links("warm", "warm")
ACTS = (
    _links("act", "act")
    + BUTTONS
    + NAMES
    + """
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  if (document.querySelector('#status .status')?.dataset.editing) trigger('act', { target: 'act-keep-0' });
  document.querySelector('#stop')?.click();
});
"""
)
SOURCE = """
let cited = -1;
function open(target) {
  if (target.startsWith('cite-')) cited = Number(target.slice(5));
  trigger('jump', { target });
}
const LINKS = ['cite', 'doc', 'inside', 'look', 'cell'].map((kind) => `a[href^="#${kind}-"]`).join(', ');
document.addEventListener('click', (event) => {
  const link = event.target.closest(LINKS);
  if (!link) return;
  event.preventDefault();
  open(link.getAttribute('href').slice(1));
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select')) return;
  const cites = document.querySelectorAll('#chat a.cite').length;
  if (event.key === '/') { event.preventDefault(); document.querySelector('#question textarea').focus(); }
  if (event.key === '[' && cited > 0) open(`cite-${cited - 1}`);
  if (event.key === ']' && cited + 1 < cites) open(`cite-${cited + 1}`);
});
watch('value', () => {
  const lines = element.querySelector('.source-lines');
  const hit = element.querySelector('tr.hit');
  if (lines && hit) lines.scrollTop = hit.offsetTop - lines.clientHeight / 3;
  const picture = element.querySelector('.page-picture');
  const box = element.querySelector('.page-picture span');
  if (picture && box) picture.scrollTop = box.offsetTop - picture.clientHeight / 3;
  if (window.matchMedia('(max-width: 900px)').matches) element.scrollIntoView({ block: 'start' });
});
"""
TAB = """() => {
  let name = sessionStorage.getItem('omnibus-tab');
  if (!name) {
    name = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
    sessionStorage.setItem('omnibus-tab', name);
  }
  return [name];
}"""
"""The tab's name, which a reload keeps and another tab does not have."""
THEME = """(theme) => {
  localStorage.setItem('omnibus-theme', theme);
  const dark = theme === 'dark' || (theme === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.body.classList.toggle('dark', dark);
  return [theme];
}"""
THEME_KEPT = """() => {
  const theme = localStorage.getItem('omnibus-theme') || 'system';
  if (theme !== 'system') document.body.classList.toggle('dark', theme === 'dark');
  document.documentElement.lang = ['de'].find((l) => (navigator.language || '').startsWith(l)) || 'en';
  return [theme];
}"""
"""What was chosen the last time; and the page's language, for who has it read aloud."""
