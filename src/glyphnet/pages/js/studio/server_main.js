// @ts-check
// The page of `glyphnet studio`: the studio on the server that it came from.

import { startStudio } from "./frame.js";
import { ServerEngine } from "./server.js";

startStudio(new ServerEngine(location.pathname.replace(/[^/]*$/, "")));
