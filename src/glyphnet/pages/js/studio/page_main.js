// @ts-check
// The offline page: the studio on the page's own engine.

import { startStudio } from "./frame.js";
import { LocalEngine } from "./local.js";

startStudio(new LocalEngine());
