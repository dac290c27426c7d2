// @ts-check
// The live parts of the lab "cnn".

import { startParts } from "./frame.js";
import { windowPart } from "./window.js";

startParts([windowPart]);
