// @ts-check
// The live parts of the lab "regularisation".

import { penaltyPart, resampledPart } from "./fits.js";
import { startParts } from "./frame.js";
import { normPart } from "./norm.js";

startParts([penaltyPart, resampledPart, normPart]);
