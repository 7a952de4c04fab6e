// Runs while they run: server-sent events, and polling where these do not come through.
"use strict";

const root = document.querySelector("[data-live]");
const note = document.querySelector("[data-livestate]");
const POLL_MS = 2000;
const SILENCE_MS = 20000;
const RATE_WINDOW_MS = 30000;
const samples = new Map();
const whole = new Intl.NumberFormat("en");

const number = (value, { unit, digits }) => (unit === "percent" ? value * 100 : value).toFixed(Number(digits) + (unit === "percent" ? 0 : 2)).replace("-", "\u2212");
const share = (value, as) => number(value, as) + (as.unit === "percent" ? "\u202f%" : "");
const span = ([low, high], as) => `${number(low, as)} to ${share(high, as)}`;
const pad = (number) => String(number).padStart(2, "0");

function duration(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 60) return `${left}\u202fs`;
  if (left < 3600) return `${Math.floor(left / 60)}\u202fmin ${pad(left % 60)}\u202fs`;
  if (left < 86400) return `${Math.floor(left / 3600)}\u202fh ${pad(Math.floor((left % 3600) / 60))}\u202fmin`;
  return `${Math.floor(left / 86400)}\u202fd ${Math.floor((left % 86400) / 3600)}\u202fh`;
}

// Examples a second over the last half minute that was watched; null until there are two signs of life.
function pace(run) {
  const seen = samples.get(run.id) ?? [];
  const at = Date.parse(run.heartbeat_at ?? "");
  const last = seen[seen.length - 1];
  if (Number.isFinite(at) && (!last || at > last.at)) seen.push({ at, done: run.progress.done });
  while (seen.length > 2 && seen[seen.length - 1].at - seen[0].at > RATE_WINDOW_MS) seen.shift();
  samples.set(run.id, seen);
  if (seen.length < 2) return null;
  const [first, newest] = [seen[0], seen[seen.length - 1]];
  const rate = ((newest.done - first.done) * 1000) / (newest.at - first.at);
  return rate > 0 ? rate : null;
}

const write = (item, name, text) => { for (const one of item.querySelectorAll(`[data-f="${name}"]`)) one.textContent = text; };

function show(item, run) {
  const as = item.dataset;
  const [low, high] = [Number(item.dataset.low), Number(item.dataset.high)];
  const at = (value) => `${Math.min(100, Math.max(0, ((value - low) / (high - low)) * 100))}%`;
  write(item, "done", whole.format(run.progress.done));
  write(item, "total", run.progress.total ? whole.format(run.progress.total) : "?");
  write(item, "stage", (run.stage ?? "").replaceAll("_", " "));
  const bar = item.querySelector("progress");
  if (bar) [bar.max, bar.value] = [run.progress.total ?? 1, run.progress.done];
  if (run.estimate) {
    write(item, "value", share(run.estimate.value, as));
    write(item, "interval", span(run.estimate.interval_95, as));
    write(item, "estimate", `${share(run.estimate.value, as)} [${span(run.estimate.interval_95, as)}]`);
    item.querySelector('[data-f="point"]')?.setAttribute("cx", at(run.estimate.value));
    const band = item.querySelector('[data-f="band"]');
    band?.setAttribute("x1", at(run.estimate.interval_95[0]));
    band?.setAttribute("x2", at(run.estimate.interval_95[1]));
  }
  const rate = pace(run);
  if (rate !== null) {
    const text = rate >= 100 ? whole.format(Math.round(rate)) : rate.toPrecision(3);
    write(item, "rate", item.matches("li") ? `${text} a second` : text);
    if (run.progress.total) {
      const left = duration((run.progress.total - run.progress.done) / rate);
      write(item, "left", item.matches("li") ? `${left} left` : left);
    }
  }
}

// Whatever changes more than numbers is fetched as the page itself and put in place, at most once in a while.
let fetching = null;
function renew() {
  fetching ??= new Promise((done) => { setTimeout(done, 300 + Math.random() * 700); }).then(async () => {
    fetching = null;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const ended = !fresh.querySelector("[data-live]");
    let kept = false;
    for (const region of root.querySelectorAll("[data-region]")) {
      const newer = fresh.querySelector(`[data-region="${region.dataset.region}"]`);
      // What somebody is just at is not taken away under their hands, but for the end.
      if (region.contains(document.activeElement) && !ended) kept = true;
      else if (newer) region.replaceWith(document.importNode(newer, true));
    }
    document.title = fresh.title;
    if (ended) finish();
    else if (kept) setTimeout(renew, POLL_MS);
  }).catch(() => {});
}

let source = null;
let poller = null;
let heardAt = Date.now();
let over = false;

function finish() {
  over = true;
  source?.close();
  clearInterval(poller);
  note.textContent = "";
}

function take(run, isNews) {
  const item = root.querySelector(`[data-run="${CSS.escape(run.id)}"]`);
  if (item && run.state === "running") {
    show(item, run);
    globalThis.course?.add(run);
  }
  if (item && run.state === "queued" && run.queue_position) write(item, "place", whole.format(run.queue_position));
  if (isNews || (!item && run.state === "running")) renew();
}

async function poll(quietly = false) {
  const one = root.dataset.live.startsWith("/reproductions/");
  try {
    const answer = await fetch(one ? `/v1${root.dataset.live}` : "/v1/reproductions?state=running&limit=50");
    if (!answer.ok) throw new Error(String(answer.status));
    const said = await answer.json();
    if (!quietly) note.textContent = "Live, asked for every two seconds.";
    const known = new Set([...root.querySelectorAll("[data-run]")].map((item) => item.dataset.run));
    const runs = one ? [said] : said.items;
    const went = runs.some((run) => Date.parse(run.heartbeat_at ?? "") > (samples.get(run.id)?.at(-1)?.at ?? Infinity));
    for (const run of runs) {
      take(run, one && run.state !== "running" && run.state !== "queued");
      known.delete(run.id);
    }
    if (!one && known.size) renew();
    return went;
  } catch {
    note.textContent = "The service does not answer; trying again.";
    return false;
  }
}

function startPolling() {
  if (over || poller !== null || document.hidden) return;
  poller = setInterval(() => poll(), POLL_MS);
  poll();
}

function stopPolling() {
  clearInterval(poller);
  poller = null;
}

function listen() {
  source?.close();
  heardAt = Date.now();
  source = new EventSource(root.dataset.events);
  source.addEventListener("open", () => {
    heardAt = Date.now();
    stopPolling();
    note.textContent = "Live.";
  });
  for (const [name, isNews] of Object.entries({ queued: true, running: true, progress: false, finished: true })) {
    source.addEventListener(`reproduction.${name}`, (event) => {
      heardAt = Date.now();
      if (poller !== null) {
        stopPolling();
        note.textContent = "Live.";
      }
      take(JSON.parse(event.data), isNews);
    });
  }
  // EventSource tries again by itself unless it was refused for good; until it is back, ask.
  source.addEventListener("error", startPolling);
}

// A page that nobody looks at takes no connection: browsers have few of them for each service.
document.addEventListener("visibilitychange", () => {
  if (over || !root) return;
  if (document.hidden) {
    source?.close();
    stopPolling();
    return;
  }
  renew();
  listen();
});

if (root) {
  listen();
  // A proxy that holds the stream back looks like a quiet service. After a while without a word, ask once; where runs
  // went on unheard, go on asking.
  setInterval(async () => {
    if (over || document.hidden || poller !== null || Date.now() - heardAt < SILENCE_MS) return;
    heardAt = Date.now();
    if (await poll(true)) startPolling();
  }, 5000);
}
