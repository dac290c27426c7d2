// @ts-check
// The live parts of the lab "regularisation".

import { penaltyPart, resampledPart } from "./fits.js";
import { startParts } from "./frame.js";

startParts([penaltyPart, resampledPart]);
