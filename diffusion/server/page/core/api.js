// Calls of the server. Every failure is an ApiError with a sentence for people.

import { Signal } from "/page/core/signal.js";

/** The server refused, or cannot be reached (status 0). */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {number} [wait] */
  constructor(status, message, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

/** Whether the server answers. @type {Signal<boolean>} */
export const connection = new Signal();
/** Tells that the session has ended or never began. @type {Signal<void>} */
export const signedOut = new Signal();

let online = true;

/** Tell whether the last call reached the server. */
export function isOnline() {
  return online;
}

/** @param {boolean} now */
function setOnline(now) {
  if (now === online) return;
  online = now;
  connection.send(now);
}

/**
 * Call the server and return the answer, whatever its status is.
 * @param {string} method @param {string} path @param {any} [body]
 * @param {Record<string, string>} [headers]
 */
async function ask(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers } };
  if (body !== undefined) {
    Object.assign(options, { body: JSON.stringify(body) });
    options.headers["content-type"] = "application/json";
  }
  try {
    const answer = await fetch(path, options);
    setOnline(true);
    return answer;
  } catch {
    setOnline(false);
    throw new ApiError(0, "The server does not answer. This goes on by itself once it is back.");
  }
}

/**
 * Call the server; return what it sends as JSON.
 * @param {string} method @param {string} path @param {any} [body]
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, headers) {
  const answer = await ask(method, path, body, headers);
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** Call the server; return a file. @param {string} method @param {string} path @param {any} [body] */
export async function fetchFile(method, path, body) {
  const answer = await ask(method, path, body);
  if (!answer.ok) throw await refusal(answer);
  return answer.blob();
}

/** @param {Response} answer */
async function refusal(answer) {
  const wait = Number(answer.headers.get("retry-after")) || undefined;
  const content = await answer.json().catch(() => ({}));
  if (answer.status === 401) signedOut.send();
  return new ApiError(answer.status, sentence(content.detail) || answer.statusText, wait);
}

/**
 * Return what is wrong as one text: a sentence, or the problems that validation found.
 * @param {any} detail
 */
function sentence(detail) {
  if (!Array.isArray(detail)) return String(detail ?? "");
  const problems = detail.map((each) => `${each.loc.slice(1).join(" ")}: ${each.msg}`);
  return problems.join("; ");
}

/** Return a key that no other request has. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
