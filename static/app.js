/* The whole script of the product: what markup alone cannot say. Loaded as a deferred module. */

/* 1. The live note follows the event stream, from "wait" to "on" and "off". Its texts come from the page. */
const live = (on) => {
  const note = document.getElementById("live-note");
  const state = on ? "on" : "off";
  if (!note || note.dataset.live === state) return;
  note.dataset.live = state;
  note.replaceChildren(document.getElementById(on ? "live-on" : "live-off").content.cloneNode(true));
};
document.addEventListener("htmx:sse:after:connection", () => live(true));
document.addEventListener("htmx:sse:error", () => live(false));

/* 2. A request that never arrived, or a server that failed, is said once and stays until closed. */
const lost = () => {
  document.getElementById("toasts").replaceChildren(document.getElementById("lost").content.cloneNode(true));
};
document.addEventListener("htmx:error", ({ target }) => (target.id === "live" ? live(false) : lost()));
document.addEventListener("htmx:response:error", ({ target, detail: { ctx } }) => {
  if (ctx.response.status === 401) location.reload();
  else if (target.id === "live") live(false);
  else if (ctx.response.status >= 500) lost();
});
document.addEventListener("click", ({ target }) => target.closest("[data-close]")?.closest(".toast").remove());

/* 3. A live refresh asks for the address the page had when the news came. If a search or a filter has changed it
   meanwhile, the answer is of another view: it is put aside and the present address asked. */
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceElement.id !== "refresher") return;
  const asked = new URL(ctx.request.action || location.href, location.href);
  if (asked.pathname + asked.search === location.pathname + location.search) return;
  event.preventDefault();
  htmx.trigger("#live", "payments-changed");
});

/* 4. Dialog buttons for browsers older than the end of 2025, which lack command and commandfor. */
if (!("commandForElement" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button[commandfor]");
    const dialog = button && document.getElementById(button.getAttribute("commandfor"));
    if (dialog) button.getAttribute("command") === "show-modal" ? dialog.showModal() : dialog.close();
  });
}

/* 5. Printing is the browser's own; the button is only shown where this runs. */
document.addEventListener("click", ({ target }) => target.closest("[data-print]") && window.print());
