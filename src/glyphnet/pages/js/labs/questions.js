// @ts-check
// Multiple choice with a score: each question is answered once, and explained.

import { byId, html } from "../elements.js";

/** A question, its choices, the number of the right one, and why. @typedef {{ question: string, choices: string[], right: number, because: string }} Question */

/** @type {(right: number, answered: number, all: number) => string} */
export function scoreSentence(right, answered, all) {
  if (answered < all) return `${right} of ${answered} right so far; ${all - answered} to go.`;
  return `${right} of ${all} right. ${right === all ? "All of them!" : "The explanations above say what was missing."}`;
}

/** Put the questions of the page's element "questions" after the live parts. @type {() => void} */
export function startQuestions() {
  /** @type {Question[]} */
  const questions = JSON.parse(byId("questions").textContent ?? "[]");
  const score = html("p", { class: "sentence", role: "status", id: "score" });
  let [right, answered] = [0, 0];
  const made = questions.map((question, number) =>
    asked(question, number, (isRight) => {
      right += isRight ? 1 : 0;
      score.textContent = scoreSentence(right, ++answered, questions.length);
    })
  );
  const title = html("h3", { id: "quiz-title", text: `${questions.length} questions, with a score` });
  const about = html("p", { text: "Choose, and check. Each counts once." });
  byId("live").append(
    html("section", { class: "live", id: "quiz", "aria-labelledby": "quiz-title" }, title, about, ...made, score),
  );
}

/** @type {(question: Question, number: number, done: (isRight: boolean) => void) => HTMLElement} */
function asked({ question, choices, right, because }, number, done) {
  const field = html("fieldset", { class: "guess" }, html("legend", { text: `${number + 1}. ${question}` }));
  const inputs = choices.map((text, place) => {
    const input = html("input", { type: "radio", name: `question-${number}`, value: place });
    field.append(html("label", {}, input, ` ${text}`));
    return input;
  });
  const check = html("button", { type: "button", class: "primary", text: "Check" });
  const answer = html("p", { class: "answer", role: "status" });
  check.disabled = true;
  field.addEventListener("change", () => check.disabled = false);
  check.addEventListener("click", () => {
    const isRight = inputs[right].checked;
    answer.dataset.right = String(isRight);
    answer.textContent = `${isRight ? "Right." : `No: “${choices[right]}”.`} ${because}`;
    for (const input of inputs) input.disabled = true;
    check.hidden = true;
    done(isRight);
  });
  field.append(check, answer);
  return field;
}
