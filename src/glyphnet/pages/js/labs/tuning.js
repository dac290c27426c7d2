// @ts-check
// The live parts of the lab "tuning".

import { startParts } from "./frame.js";
import { luckPart } from "./luck.js";

startParts([luckPart]);
