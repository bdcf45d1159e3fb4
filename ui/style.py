"""How the page looks."""

from __future__ import annotations

import gradio as gr

SANS = ("system-ui", "-apple-system", "Segoe UI", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """A calm theme of system fonts: nothing is fetched."""
    return gr.themes.Base(
        primary_hue="teal", secondary_hue="teal", neutral_hue="stone", font=SANS, font_mono=MONO, radius_size="md"
    ).set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        input_background_fill="white",
        input_border_width="1px",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
    )


CSS = """
.gradio-container { width: 100% !important; max-width: 1600px !important; margin: 0 auto; }
#collection input { text-overflow: ellipsis; padding-right: 30px; }
#title { padding: 0 2px; }
#title h1 { font-family: "Iowan Old Style", "Palatino Linotype", Georgia, serif; font-weight: 500; margin: 0; }
#title p { margin: 0; color: var(--body-text-color-subdued); }
#upload .wrap { font-size: .9rem; line-height: 1.4; padding-top: 20px; }
#upload .icon-wrap { width: 22px; margin: 0; }
#chat .placeholder-content { height: 100%; display: flex; align-items: center; justify-content: center;
  padding: 24px; text-align: center; color: var(--body-text-color-subdued); }
#ask-row { flex-wrap: nowrap; align-items: stretch; }
#ask-row button { font-weight: 600; font-size: .95rem; }
.meter { height: 6px; border-radius: 3px; background: var(--border-color-primary); overflow: hidden; margin: 6px 0; }
.meter > div { height: 100%; background: #0f766e; }
.dark .meter > div { background: #2dd4bf; }
.plan p, .status { font-size: .875rem; margin: 0; color: var(--body-text-color); }
div.documents { max-height: 40vh; overflow: auto; }
div.documents table { border: 0 !important; margin: 0 !important; width: 100%; font-size: .875rem;
  border-collapse: collapse; }
div.documents :is(tr, th, td) { border: 0 !important; padding: 6px 0 6px 10px !important; text-align: right;
  vertical-align: top; font-variant-numeric: tabular-nums; background: none !important; }
div.documents :is(th, td):first-child { text-align: left; padding-left: 2px !important; overflow-wrap: anywhere; }
div.documents tr { border-bottom: 1px solid var(--border-color-primary) !important; }
div.documents th { font-weight: 500; color: var(--body-text-color-subdued); }
div.documents a { color: var(--body-text-color); text-decoration: underline; cursor: pointer;
  text-decoration-color: var(--body-text-color-subdued); text-underline-offset: 3px; padding: 0; }
div.documents .note { display: block; font-size: .8rem; color: var(--body-text-color-subdued); }
div.documents .decoded .note { color: #92400e; }
div.documents .skipped .note { color: #b91c1c; }
.dark div.documents .decoded .note { color: #fcd34d; }
.dark div.documents .skipped .note { color: #fca5a5; }
.empty, .source-empty { color: var(--body-text-color-subdued); padding: 8px 2px; }
.source-empty { border: 1px dashed var(--border-color-primary); border-radius: 8px; padding: 24px; }
ol.citations { list-style: none; margin: 10px 0 0 !important; padding: 0 !important; font-size: .875rem; }
ol.citations li { margin: 3px 0; }
a.cite { font-weight: 600; overflow-wrap: anywhere; color: #0f766e !important; text-underline-offset: 3px; }
.dark a.cite { color: #5eead4 !important; }
a.cite.unverified { color: #991b1b !important; }
.dark a.cite.unverified { color: #fca5a5 !important; }
#middle:has(#chat .message) #suggestions { display: none; }
p.stats { font-size: .78rem !important; color: var(--body-text-color); margin: 10px 0 0 !important; }
p.notice { color: var(--body-text-color-subdued); font-style: italic; }
.source-head { padding: 4px 2px 8px; font-size: .9rem; overflow-wrap: anywhere; }
.source-lines { max-height: 70vh; overflow: auto; border: 1px solid var(--border-color-primary); border-radius: 8px;
  background: var(--block-background-fill); }
.source-lines table { border: 0 !important; border-collapse: collapse; width: 100%; margin: 0 !important;
  font: .82rem/1.55 ui-monospace, Menlo, Consolas, monospace; }
.source-lines :is(tr, td) { border: 0 !important; padding: 0 8px; vertical-align: top; }
.source-lines td.number { color: var(--body-text-color-subdued); text-align: right; user-select: none; width: 1%; }
.source-lines td.line { white-space: pre-wrap; overflow-wrap: anywhere; }
.source-lines tr.hit td { background: #fef3c7; color: #1c1917; }
.source-lines tr.hit td.number { box-shadow: inset 3px 0 #d97706; }
.badge { font-size: .75rem; padding: 1px 8px; border-radius: 9px; white-space: nowrap; }
.badge.exact { background: #d1fae5; color: #065f46; }
.badge.fuzzy { background: #fef3c7; color: #92400e; }
.badge.unverified { background: #fee2e2; color: #991b1b; }
.source-head .steps { float: right; }
.source-head a.step { display: inline-block; min-width: 28px; text-align: center; font-size: 1.1rem; border-radius: 6px;
  border: 1px solid var(--border-color-primary); margin-left: 4px; color: var(--body-text-color); }
.page-picture { max-height: 52vh; overflow: auto; border: 1px solid var(--border-color-primary); border-radius: 8px;
  background: #fff; margin-bottom: 10px; }
.page-picture > div { position: relative; }
.page-picture img { display: block; width: 100%; height: auto; margin: 0; }
.page-picture span { position: absolute; background: #fde68a; mix-blend-mode: multiply; border-radius: 2px;
  box-shadow: 0 0 0 3px #fde68a, -6px 0 0 #d97706; }
.page-picture + .source-lines { max-height: 24vh; }
.inside section { padding: 10px 2px 12px; border-bottom: 1px solid var(--border-color-primary); }
.inside section:last-child { border-bottom: 0; }
.inside h3 { font-size: .8rem; font-weight: 600; margin: 0 0 6px; }
.inside p { font-size: .85rem; margin: 6px 0 0; color: var(--body-text-color); }
.inside summary { font-size: .82rem; cursor: pointer; margin-top: 6px; }
.inside code { font-size: .8rem; overflow-wrap: anywhere; }
.inside h2 { font-size: 1rem; font-weight: 600; margin: 0; }
.inside .axes { font-size: .78rem; color: var(--body-text-color-subdued); margin: 4px 0; }
svg.heat { display: block; width: 100%; height: auto; max-height: 320px; }
.scale { display: flex; align-items: center; gap: 2px; font-size: .78rem; color: var(--body-text-color-subdued); }
.scale i { width: 14px; height: 10px; border-radius: 2px; } .scale span { margin: 0 4px; }
.scale span:first-child { margin-left: 0; }
ul.map { list-style: none; margin: 8px 0 0 !important; padding: 0 !important; font-size: .82rem; }
ul.map li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 2px 10px; margin: 0 0 8px !important;
  padding: 0 !important; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
ul.map .cells { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 2px; }
.cells a { width: 22px; height: 22px; border-radius: 3px; cursor: pointer; }
.cells a:is(:hover, :focus-visible) { outline: 2px solid var(--body-text-color); outline-offset: -1px; }
.computed { --s0: #e7e5e4; --s1: #d5ece8; --s2: #b6ded8; --s3: #8ccbc2; --s4: #5fb3a9; --s5: #38978d;
  --s6: #1d7a72; --s7: #115e59; --s8: #0b3f3c; }
.dark .computed { --s0: #292524; --s1: #123331; --s2: #164744; --s3: #1a5f5a; --s4: #1f7b74; --s5: #2a9a91;
  --s6: #43bdb2; --s7: #7fdcd2; --s8: #d5f7f2; }
.lost { --s0: #e7e5e4; --s1: #fbeccb; --s2: #fadb9b; --s3: #f7c463; --s4: #eda635; --s5: #d97f14;
  --s6: #b65d0e; --s7: #8f430f; --s8: #5f2a0c; }
.dark .lost { --s0: #292524; --s1: #3a2a12; --s2: #553a10; --s3: #77500f; --s4: #9c6a10; --s5: #c58a16;
  --s6: #e8ab32; --s7: #f6cb70; --s8: #fdeec8; }
.step-0 { fill: var(--s0); background: var(--s0); }
.step-1 { fill: var(--s1); background: var(--s1); }
.step-2 { fill: var(--s2); background: var(--s2); }
.step-3 { fill: var(--s3); background: var(--s3); }
.step-4 { fill: var(--s4); background: var(--s4); }
.step-5 { fill: var(--s5); background: var(--s5); }
.step-6 { fill: var(--s6); background: var(--s6); }
.step-7 { fill: var(--s7); background: var(--s7); }
.step-8 { fill: var(--s8); background: var(--s8); }
.stack { display: flex; height: 14px; border-radius: 4px; overflow: hidden; background: var(--border-color-primary); }
.stack span { display: block; height: 100%; }
ul.legend, ol.places { list-style: none; margin: 6px 0 0 !important; padding: 0 !important; font-size: .82rem; }
ul.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; }
ul.legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  margin-right: 6px; background: currentColor; }
.stack .part-0 { background: #0f766e; } .stack .part-1 { background: #b45309; } .stack .part-2 { background: #57534e; }
.legend li { color: var(--body-text-color); }
.legend .part-0::before { background: #0f766e; } .legend .part-1::before { background: #b45309; }
.legend .part-2::before { background: #57534e; }
.dark .stack .part-0 { background: #2dd4bf; }
.dark .legend .part-0::before { background: #2dd4bf; }
.dark .stack .part-1 { background: #f59e0b; }
.dark .legend .part-1::before { background: #f59e0b; }
.dark .stack .part-2 { background: #a8a29e; }
.dark .legend .part-2::before { background: #a8a29e; }
ol.places li { padding: 0 !important; }
ol.places li, .share { display: grid; grid-template-columns: minmax(0, 1fr) 28% 4.4em; gap: 10px; align-items: center;
  margin: 3px 0 !important; font-size: .82rem;
  font-variant-numeric: tabular-nums; }
ol.places li > :last-child, .share > :last-child { text-align: right; white-space: nowrap; }
ol.places a { justify-self: start; text-align: left; padding: 0; overflow-wrap: anywhere; color: #0f766e !important; }
.dark ol.places a { color: #5eead4 !important; }
.measure { height: 8px; border-radius: 4px; background: var(--border-color-primary); overflow: hidden; }
.measure > span { display: block; height: 100%; background: #0f766e; }
.dark .measure > span { background: #2dd4bf; }
.stack .ctx-system, .legend .ctx-system::before { background: #57534e; }
.stack .ctx-corpus, .legend .ctx-corpus::before { background: #0f766e; }
.stack .ctx-passages, .legend .ctx-passages::before { background: #0369a1; }
.stack .ctx-history, .legend .ctx-history::before { background: #7c3aed; }
.stack .ctx-reserve, .legend .ctx-reserve::before { background: #b45309; }
.legend .ctx-free::before { background: var(--border-color-primary) !important; }
.dark .stack .ctx-system { background: #a8a29e; }
.dark .legend .ctx-system::before { background: #a8a29e; }
.dark .stack .ctx-corpus { background: #2dd4bf; }
.dark .legend .ctx-corpus::before { background: #2dd4bf; }
.dark .stack .ctx-passages { background: #38bdf8; }
.dark .legend .ctx-passages::before { background: #38bdf8; }
.dark .stack .ctx-history { background: #a78bfa; }
.dark .legend .ctx-history::before { background: #a78bfa; }
.dark .stack .ctx-reserve { background: #f59e0b; }
.dark .legend .ctx-reserve::before { background: #f59e0b; }
.plan .meter-stack { margin-top: 8px; }
.plan .legend { font-size: .8rem; margin: 4px 0 6px !important; font-variant-numeric: tabular-nums; }
.state { display: inline-block; padding: 1px 9px; border-radius: 999px; font-weight: 600; font-size: .8rem;
  background: var(--border-color-primary); color: var(--body-text-color); }
.state.ready { background: #ccfbf1; color: #115e59; } .dark .state.ready { background: #134e4a; color: #99f6e4; }
.state.reading { background: #fef3c7; color: #78350f; } .dark .state.reading { background: #451a03; color: #fde68a; }
.plan a[role=button], .answer-acts a, .exports a, .suggestions a { display: inline-block; padding: 3px 10px;
  border: 1px solid var(--border-color-primary); border-radius: 6px; font-size: .82rem;
  color: var(--body-text-color) !important; text-decoration: none !important; cursor: pointer; }
.plan a[role=button]:hover, .answer-acts a:hover, .exports a:hover, .suggestions a:hover {
  border-color: #0f766e; color: #0f766e !important; }
.dark :is(.plan a[role=button], .answer-acts a, .exports a, .suggestions a):hover { border-color: #5eead4;
  color: #5eead4 !important; }
.answer-acts, .exports, .suggestions { display: flex; flex-wrap: wrap; gap: 6px; margin: 8px 0 0 !important;
  align-items: center; }
:is(.exports, .suggestions) > span { font-size: .82rem; color: var(--body-text-color-subdued); }
.acts { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: .78rem; }
div.documents .acts a { color: #0f766e; text-decoration: none; padding: 2px 0; }
div.documents .acts a:hover { text-decoration: underline; }
.dark div.documents .acts a { color: #5eead4; }
div.documents .excluded > td:first-child > a, div.documents .excluded > td:not(:first-child) {
  color: var(--body-text-color-subdued); text-decoration: line-through; }
.tree summary, .watches h3 { font-size: .85rem; font-weight: 600; cursor: pointer; margin: 8px 0 4px; }
.tree ul { list-style: none; margin: 0 !important; padding: 0 !important; font-size: .8rem; }
.tree li { display: grid; grid-template-columns: minmax(0, 1fr) 30% 5em; gap: 8px; align-items: center;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums; margin: 2px 0 !important; }
.tree li > :last-child { text-align: right; }
.watches p { font-size: .82rem; margin: 2px 0; } .watches code { overflow-wrap: anywhere; font-size: .78rem; }
.watches .error { color: #b91c1c; } .dark .watches .error { color: #fca5a5; }
.dot { display: inline-block; width: 8px; height: 8px; border-radius: 50%; background: #a8a29e; margin-right: 6px; }
.dot.watching { background: #0f766e; } .dark .dot.watching { background: #2dd4bf; } .dot.died { background: #b91c1c; }
.part { background: #fef3c7; color: #78350f; border-radius: 4px; padding: 0 6px; font-weight: 600; }
.dark .part { background: #451a03; color: #fde68a; }
#earlier .wrap { flex-direction: column; max-height: 46vh; overflow: auto; flex-wrap: nowrap; }
#earlier label { overflow-wrap: anywhere; } #model .wrap { flex-direction: column; }
#middle { gap: 10px; }
:is(#suggestions, #status, #watches, #plan, #exports, #who):not(:has(.prose > *)) { display: none; }
button[role=tab].selected { color: #0f766e !important; }
.dark button[role=tab].selected { color: #5eead4 !important; }
#chat .message, #chat .message * { opacity: 1 !important; }
p.keys { font-size: .82rem; color: var(--body-text-color-subdued); margin: 0; }
#who form { display: flex; gap: 10px; align-items: baseline; justify-content: flex-end; font-size: .85rem; }
#who button { text-decoration: underline; color: #0f766e; padding: 4px; }
.dark #who button { color: #5eead4; }
footer { display: none !important; }
@media (min-width: 901px) { .inside { max-height: 84vh; overflow-y: auto; padding-right: 10px; } }
@media (max-width: 640px) { #chat { height: 55vh !important; } .gradio-container > main { padding: 8px !important; } }
"""
