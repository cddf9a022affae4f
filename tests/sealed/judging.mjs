// Prints what the browser's modules say of the vectors on standard input: Node has its own Web Crypto, another than Chromium's.

import { judge } from "../../failgate/web/static/sealed/vectors.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
process.stdout.write(JSON.stringify(await judge(text)));
