// The jobs of this user: send, follow, cancel. It goes on by itself after the server was away.

import { ApiError, call, connection, isOnline, newKey, signedOut } from "/page/core/api.js";
import { Signal } from "/page/core/signal.js";

const BUSY_MS = 1500;
const IDLE_MS = 4000;
const AWAY_MS = 1500;
const MOST_WAIT_S = 60;

/** @typedef {any} Job a report of GET /api/v1/jobs, with `stage`, `step`, `eta_seconds` as events tell */

/** Tells that the list of jobs has changed. @type {Signal<void>} */
export const jobsChanged = new Signal();
/** Sends a job of which something is new. @type {Signal<Job>} */
export const jobChanged = new Signal();
/** Sends a job that has just ended, wherever it was sent from. @type {Signal<Job>} */
export const jobEnded = new Signal();

/** @type {Map<string, Job>} */
const jobs = new Map();
/** @type {{source: EventSource, id: string} | null} */
let followed = null;
let timer = 0;
let started = false;
let loaded = false;

/** Tell whether nothing will change any more. @param {Job} job */
export function isFinal(job) {
  return ["done", "cancelled", "failed"].includes(job.state);
}

/** @param {string} id @returns {Job | undefined} */
export function jobOf(id) {
  return jobs.get(id);
}

/** Return the jobs, newest first. @returns {Job[]} */
function allJobs() {
  return [...jobs.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** Return the running jobs, then those that wait in their order. @returns {Job[]} */
export function openJobs() {
  const order = (/** @type {Job} */ job) => (job.state === "running" ? -1 : (job.place ?? 1e9));
  return allJobs().filter((job) => !isFinal(job)).sort((a, b) => order(a) - order(b));
}

/** Begin to look for jobs. */
export function startJobs() {
  if (!started) {
    started = true;
    connection.on((online) => online && refresh());
    signedOut.on(() => follow(null));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) follow(null);
      else refresh();
    });
  }
  return refresh();
}

/** Ask for the newest jobs, and again after a while. */
export async function refresh() {
  clearTimeout(timer);
  try {
    const { jobs: found } = await call("GET", "/api/v1/jobs?limit=60");
    const open = new Set(found.map((/** @type {Job} */ job) => job.id));
    for (const job of found) take(job);
    loaded = true;
    for (const id of jobs.keys()) {
      if (!open.has(id) && !isFinal(jobs.get(id))) await look(id);
    }
    jobsChanged.send();
    followRunning();
  } catch (error) {
    if (/** @type {ApiError} */ (error).status === 401) return;
  }
  clearTimeout(timer);
  const wait = isOnline() ? (openJobs().length ? BUSY_MS : IDLE_MS) : AWAY_MS;
  timer = setTimeout(() => (document.hidden ? undefined : refresh()), wait);
}

/** @param {string} id */
async function look(id) {
  try {
    take(await call("GET", `/api/v1/jobs/${id}`));
  } catch (error) {
    if (/** @type {ApiError} */ (error).status === 404) jobs.delete(id);
  }
}

/** Keep what is known of a job, and tell of it. @param {Job} report */
function take(report) {
  const before = jobs.get(report.id);
  if (before && isFinal(before) && !isFinal(report)) return;
  jobs.set(report.id, { ...before, ...report });
  jobChanged.send(jobs.get(report.id));
  // One that was never seen running came from another tab, or another program.
  const isNews = before ? !isFinal(before) : loaded;
  if (isNews && isFinal(report)) jobEnded.send(jobs.get(report.id));
}

/** A stream for the job that runs; one at a time, since browsers open only six. */
function followRunning() {
  const running = openJobs().find((job) => job.state === "running") ?? openJobs()[0];
  if (document.hidden) return;
  if (running?.id !== followed?.id) follow(running?.id ?? null);
}

/** @param {string | null} id */
function follow(id) {
  followed?.source.close();
  followed = null;
  if (!id) return;
  const source = new EventSource(`/api/v1/jobs/${id}/events`);
  followed = { source, id };
  const on = (/** @type {string} */ name, /** @type {(data: any) => any} */ change) =>
    source.addEventListener(name, (event) => {
      const job = jobs.get(id);
      if (job && followed?.source === source) take({ ...job, ...change(JSON.parse(event.data)) });
    });
  on("state", (data) => data);
  on("stage", (data) => ({ stage: data.stage }));
  on("progress", (data) => ({ ...data, state: "running", stage: "drawing" }));
  on("preview", (data) => ({ preview: data.number }));
  on("picture", (data) => ({ pictures: withPicture(jobs.get(id)?.pictures ?? [], data) }));
  source.addEventListener("end", (event) => {
    take(JSON.parse(event.data));
    source.close();
    if (followed?.source === source) followed = null;
    refresh();
  });
  source.onerror = () => {
    // A stream that cannot go on is opened anew by the next look at the jobs.
    if (source.readyState === EventSource.CLOSED && followed?.source === source) followed = null;
    if (followed === null) setTimeout(refresh, AWAY_MS);
  };
}

/** @param {any[]} pictures @param {any} picture */
function withPicture(pictures, picture) {
  return [...pictures.filter((each) => each.number !== picture.number), picture];
}

/**
 * Send a job. Where the server is away it is sent again with the same key, so that it is drawn
 * once. A full queue is tried again when the server says so.
 * @param {any} body
 * @param {(text: string) => void} tell what it waits for
 * @param {AbortSignal} [signal] gives up
 * @returns {Promise<Job>}
 */
export async function submit(body, tell, signal) {
  const headers = { "idempotency-key": newKey() };
  for (;;) {
    try {
      const job = await call("POST", "/api/v1/jobs", body, headers);
      take(job);
      refresh();
      return job;
    } catch (error) {
      const { status, wait, message } = /** @type {ApiError} */ (error);
      if (![0, 429, 503].includes(status) || signal?.aborted) throw error;
      tell(message);
      await pause(status === 0 ? AWAY_MS : 1000 * Math.min(wait ?? 5, MOST_WAIT_S), signal);
    }
  }
}

/** @param {number} ms @param {AbortSignal} [signal] @returns {Promise<void>} */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => resolve();
    setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** @param {string} id */
export async function cancel(id) {
  take(await call("DELETE", `/api/v1/jobs/${id}`));
  await refresh();
}

/** Move a waiting job to a place among one's own. @param {string} id @param {number} place */
export async function move(id, place) {
  await call("PATCH", `/api/v1/jobs/${id}`, { place });
  await refresh();
}
