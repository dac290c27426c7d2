// @ts-check
// The live parts of the lab "xor".

import { startParts } from "./frame.js";
import { xorPart } from "./hidden.js";

startParts([xorPart]);
