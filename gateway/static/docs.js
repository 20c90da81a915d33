// Renders /openapi.json. The viewer must not tell anyone that it runs, nor load its maker's logo.
import { init } from "./redoc.standalone.js";

const own = new CSSStyleSheet();
own.replaceSync('a[href^="https://redocly.com/redoc"] { display: none; }');
document.adoptedStyleSheets = [...document.adoptedStyleSheets, own];

init("openapi.json", { disableTelemetry: true }, document.getElementById("reference"));
