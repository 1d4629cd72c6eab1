// Starts Rerun's viewer and hands it the pieces of the recording as they come. Each is a whole recording in itself.
"use strict";

const AGAIN_MS = 3000;
// The viewer takes things in between two frames, and a frame of full size may take seconds without a GPU. So it
// takes in the past while it is small.
const SMALL_FRAMES = 12;
const notice = document.getElementById("notice");
const canvas = document.getElementById("canvas");
const waiting = [];
let viewer = null;
let seen = false;

function show(piece) {
  if (typeof piece === "string") enlarge(SMALL_FRAMES);
  else viewer.send_rrd_to_channel("session", new Uint8Array(piece));
}

function enlarge(frames) {
  if (frames > 0) {
    requestAnimationFrame(() => enlarge(frames - 1));
    return;
  }
  canvas.classList.remove("small");
  notice.textContent = "";
}

function connect() {
  const address = new URL("data" + location.search, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    // What came in the meantime is missing here, and the past would be drawn twice: begin anew.
    if (seen) location.reload();
  };
  socket.onmessage = (message) => {
    seen = true;
    if (viewer) show(message.data);
    else waiting.push(message.data);
  };
  socket.onclose = () => {
    notice.textContent = seen
      ? "The dashboard has ended or is out of reach. This is how things were then."
      : "The dashboard does not answer.";
    setTimeout(connect, AGAIN_MS);
  };
}

async function start() {
  connect();
  await wasm_bindgen({ module_or_path: fetch(document.body.dataset.viewer + "re_viewer_bg.wasm") });
  const handle = new wasm_bindgen.WebHandle({ hide_welcome_screen: true, theme: "dark" });
  await handle.start(canvas);
  handle.open_channel("session", "daydreamer");
  viewer = handle;
  notice.textContent = "The session is being read.";
  waiting.splice(0).forEach(show);
  setInterval(() => {
    if (handle.has_panicked()) notice.textContent = "The viewer has crashed; reload the page.";
  }, 1000);
}

start().catch((error) => {
  notice.textContent = `The viewer cannot start: ${error}`;
});
