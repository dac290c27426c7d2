// @ts-check
// The live parts of the lab "dropout".

import { startParts } from "./frame.js";
import { earlyPart, thinnedPart } from "./thinned.js";

startParts([thinnedPart, earlyPart]);
