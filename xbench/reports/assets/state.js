"use strict";

/* A page's state stands behind the # of its address, so that a view can be sent: `#q=b/16&at=SECTION`, or an
   anchor alone. A page opened from disk may change nothing else of its address. */

function readState() {
  const text = location.hash.slice(1);
  if (text.includes("=")) return new URLSearchParams(text);
  const anchor = (() => { try { return decodeURIComponent(text); } catch { return text; } })();
  return new URLSearchParams(anchor ? { at: anchor } : {});
}

function writeState(state) {
  const text = state.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%40", "@");
  try { history.replaceState(null, "", `#${text}`); } catch { /* inside a frame without an address */ }
}

function download(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
