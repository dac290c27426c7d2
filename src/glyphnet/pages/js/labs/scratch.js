// @ts-check
// The live parts of the lab "scratch".

import { startParts } from "./frame.js";
import { passesPart } from "./passes.js";
import { solversPart } from "./solvers.js";

startParts([passesPart, solversPart]);
