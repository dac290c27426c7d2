// @ts-check
// The live parts of the lab "digits".

import { startParts } from "./frame.js";
import { numbersPart } from "./numbers.js";
import { sweepPart } from "./sweep.js";

startParts([numbersPart, sweepPart]);
