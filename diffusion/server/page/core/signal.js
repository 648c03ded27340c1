// A list of listeners; modules tell each other of changes without knowing each other.

/** @template T */
export class Signal {
  constructor() {
    /** @type {Set<(value: T) => void>} */
    this.listeners = new Set();
  }

  /** Call a function at each event; returns what ends it. @param {(value: T) => void} listener */
  on(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param {T} value */
  send(value) {
    for (const listener of [...this.listeners]) listener(value);
  }
}
