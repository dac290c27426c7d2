// @ts-check
// The live parts of the lab "feedback".

import { startParts } from "./frame.js";
import { correctionsPart } from "./corrections.js";

startParts([correctionsPart]);
