// @ts-check
// The live parts of the lab "first-net".

import { batchPart, bowlPart, searchPart } from "./descent.js";
import { startParts } from "./frame.js";
import { startQuestions } from "./questions.js";

startParts([bowlPart, batchPart, searchPart]);
startQuestions();
