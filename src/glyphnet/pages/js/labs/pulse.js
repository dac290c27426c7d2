// @ts-check
// The live parts of the lab "pulse".

import { startParts } from "./frame.js";
import { pulsePart } from "./hidden.js";

startParts([pulsePart]);
