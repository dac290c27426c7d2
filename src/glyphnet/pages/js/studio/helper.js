// @ts-check
// Workers of the page's own engine: learner.js, whose text the page carries.

import { byId } from "../elements.js";

/** What is asked of a worker, without its number. @typedef {{ type: string, [field: string]: any }} Question */

/** A worker that answers questions, and reports of a training. */
export class Helper {
  /** @param {(message: any) => void} [report] */
  constructor(report = () => {}) {
    const text = byId("worker").textContent ?? "";
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    this.worker = new Worker(address);
    URL.revokeObjectURL(address);
    this.number = 0;
    /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
    this.waiting = new Map();
    this.worker.onmessage = ({ data }) => {
      const asked = this.waiting.get(data.number);
      this.waiting.delete(data.number);
      if (data.type === "reply") asked?.resolve(data.result);
      else if (data.type === "trouble" && asked) asked.reject(new Error(data.text));
      else report(data);
    };
    this.worker.onerror = (event) => report({ type: "trouble", text: event.message });
  }

  /** @param {Question} question @returns {Promise<any>} */
  ask(question) {
    const number = ++this.number;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.worker.postMessage({ ...question, number });
    });
  }

  /** @param {Question} message */
  tell(message) {
    this.worker.postMessage(message);
  }

  end() {
    this.worker.terminate();
  }
}
