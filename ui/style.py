"""How the page looks."""

from __future__ import annotations

import gradio as gr

SERIF = ("Iowan Old Style", "Palatino Linotype", "Georgia", "serif")
SANS = ("system-ui", "-apple-system", "Segoe UI", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """A calm theme of system fonts: nothing is fetched."""
    return gr.themes.Base(
        primary_hue="teal", secondary_hue="teal", neutral_hue="stone", font=SANS, font_mono=MONO, radius_size="sm"
    )


CSS = """
.gradio-container { max-width: 1600px !important; margin: 0 auto; }
#title h1 { font-family: "Iowan Old Style", "Palatino Linotype", Georgia, serif; font-weight: 500; margin: 0; }
#title p { margin: 0; opacity: .75; }
.meter { height: 6px; border-radius: 3px; background: var(--border-color-primary); overflow: hidden; margin: 6px 0; }
.meter > div { height: 100%; background: var(--color-accent); transition: width .2s; }
.meter > div.packed { background: #b45309; }
.plan p, .status { font-size: .875rem; margin: 0; color: var(--body-text-color); opacity: .85; }
ul.documents { list-style: none; margin: 0; padding: 0; max-height: 45vh; overflow: auto; }
ul.documents li { padding: 6px 2px; border-bottom: 1px solid var(--border-color-primary); overflow-wrap: anywhere; }
ul.documents .name { display: block; text-align: left; font-size: .9rem; color: var(--body-text-color); }
ul.documents a.name { text-decoration: underline; text-decoration-color: var(--border-color-primary); cursor: pointer; }
ul.documents .note { font-size: .8rem; color: var(--body-text-color); opacity: .75; }
ul.documents .skipped .name { color: var(--body-text-color-subdued); }
ul.documents .skipped .note { color: #b91c1c; }
.dark ul.documents .skipped .note { color: #fca5a5; }
.empty, .source-empty { color: var(--body-text-color-subdued); padding: 12px 4px; }
ol.citations { list-style: none; margin: 8px 0 0 !important; padding: 0 !important; font-size: .875rem; }
ol.citations li { margin: 2px 0; }
a.cite { font-weight: 600; white-space: nowrap; }
a.cite.unverified { text-decoration: line-through; }
p.stats { font-size: .78rem; color: var(--body-text-color); opacity: .8; margin: 8px 0 0 !important; }
p.notice { color: var(--body-text-color-subdued); font-style: italic; }
.source-head { padding: 4px 2px 8px; font-size: .9rem; overflow-wrap: anywhere; }
.source-lines { max-height: 70vh; overflow: auto; border: 1px solid var(--border-color-primary); border-radius: 6px; }
.source-lines table { border-collapse: collapse; width: 100%;
  font: .82rem/1.55 ui-monospace, Menlo, Consolas, monospace; }
.source-lines tr, .source-lines td { border: 0 !important; padding: 0 8px; vertical-align: top; }
.source-lines td.number { color: var(--body-text-color-subdued); text-align: right; user-select: none; width: 1%; }
.source-lines td.line { white-space: pre-wrap; overflow-wrap: anywhere; }
.source-lines tr.hit td { background: #fef3c7; color: #1c1917; }
.source-lines tr.hit td.number { box-shadow: inset 3px 0 #d97706; }
.badge { font-size: .75rem; padding: 1px 8px; border-radius: 9px; white-space: nowrap; }
.badge.exact { background: #d1fae5; color: #065f46; }
.badge.fuzzy { background: #fef3c7; color: #92400e; }
.badge.unverified { background: #fee2e2; color: #991b1b; }
footer { display: none !important; }
"""
