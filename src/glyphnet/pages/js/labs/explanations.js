// @ts-check
// The live parts of the lab "explanations".

import { startParts } from "./frame.js";
import { removalPart } from "./removal.js";
import { rejectionPart } from "./rejection.js";

startParts([removalPart, rejectionPart]);
