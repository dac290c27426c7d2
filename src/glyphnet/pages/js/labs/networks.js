// @ts-check
// The live parts of the lab "networks".

import { startParts } from "./frame.js";
import { solversPart } from "./solvers.js";

startParts([solversPart]);
