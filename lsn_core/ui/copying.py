"""A button that copies a text to the clipboard and says so, also to those who hear the page."""

from __future__ import annotations

import streamlit as st

# Without HTTPS a browser offers no clipboard, except to this very computer: there the text is selected and copied
# the old way, and where that fails too the button says where the text stands.
_COPY = st.components.v2.component(
    "lsn.copy",
    html="<button type='button'></button><span role='status' aria-live='polite'></span>",
    css="""
        button {
            font: inherit; font-size: 0.875rem; min-height: 2.25rem; cursor: pointer; white-space: nowrap;
            color: var(--st-text-color); background: transparent; border: 1px solid var(--st-border-color);
            padding: 0 0.75rem; border-radius: var(--st-button-radius, 6px);
        }
        button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
        button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 1px; }
        span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    """,
    js="""
        async function copied(text) {
            try {
                await navigator.clipboard.writeText(text);
                return true;
            } catch {
                const field = document.createElement("textarea");
                field.value = text;
                field.setAttribute("readonly", "");
                field.style.cssText = "position:fixed;top:0;opacity:0";
                document.body.append(field);
                field.select();
                try {
                    return document.execCommand("copy");
                } catch {
                    return false;
                } finally {
                    field.remove();
                }
            }
        }
        export default function ({ parentElement, data }) {
            const button = parentElement.querySelector("button");
            const status = parentElement.querySelector("[role=status]");
            if (!button.dataset.busy) button.textContent = data.label;
            button.onclick = async () => {
                const done = await copied(data.text);
                button.focus();
                button.dataset.busy = "yes";
                button.textContent = done ? data.done : data.label;
                status.textContent = done ? data.done : data.failed;
                setTimeout(() => {
                    delete button.dataset.busy;
                    button.textContent = data.label;
                    status.textContent = "";
                }, 4000);
            };
        }
    """,
)


def copy_button(text: str, label: str, done: str, failed: str, key: str) -> None:
    """A button `label` that copies `text`; it then says `done`, or `failed` to those who hear the page."""
    data = {"text": text, "label": label, "done": done, "failed": failed}
    _COPY(data=data, key=key, width="content", height="content")
