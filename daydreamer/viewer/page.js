// Starts Rerun's viewer and hands it the pieces of the recording as they come. Each is a whole recording in itself.
"use strict";

const AGAIN_MS = 3000;
// The viewer takes things in between two frames, and a frame of full size may take seconds without a GPU. So it
// takes in the past while it is small.
const SMALL_FRAMES = 40;
const PATIENCE_MS = 20000;
// It takes in several pieces at once. What overtakes the first one, which says what the recording is and how it is laid
// out, is drawn in a layout of the viewer's own. So that one goes alone, and what is new comes when the past is there.
const FIRST = 0, OPENING = 1, PAST = 2, SETTLING = 3, LIVE = 4;
const notice = document.getElementById("notice");
const canvas = document.getElementById("canvas");
const waiting = [];
let viewer = null;
let stage = FIRST;
let seen = false;

function show() {
  while (viewer && waiting.length > 0 && stage !== OPENING && stage !== SETTLING) {
    const piece = waiting.shift();
    if (typeof piece === "string") {
      stage = SETTLING;
      settle(SMALL_FRAMES);
      return;
    }
    viewer.send_rrd_to_channel("session", new Uint8Array(piece));
    if (stage === FIRST) {
      stage = OPENING;
      setTimeout(open, PATIENCE_MS);
    }
  }
}

function open() {
  if (stage !== OPENING) return;
  stage = PAST;
  show();
}

function settle(frames) {
  if (frames > 0) {
    requestAnimationFrame(() => settle(frames - 1));
    return;
  }
  canvas.classList.remove("small");
  notice.textContent = "";
  stage = LIVE;
  show();
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
    waiting.push(message.data);
    show();
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
  const handle = new wasm_bindgen.WebHandle({
    hide_welcome_screen: true,
    theme: "dark",
    on_viewer_event: (event) => {
      // Not at once: the viewer is in the middle of a frame, and takes nothing then.
      if (JSON.parse(event).type === "recording_open") setTimeout(open);
    },
  });
  await handle.start(canvas);
  handle.open_channel("session", "daydreamer");
  viewer = handle;
  notice.textContent = "The session is being read.";
  show();
  setInterval(() => {
    if (handle.has_panicked()) notice.textContent = "The viewer has crashed; reload the page.";
  }, 1000);
}

start().catch((error) => {
  notice.textContent = `The viewer cannot start: ${error}`;
});
