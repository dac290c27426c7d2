// @ts-check
// The live parts of the lab "classical".

import { logisticPart } from "./fits.js";
import { startParts } from "./frame.js";

startParts([logisticPart]);
