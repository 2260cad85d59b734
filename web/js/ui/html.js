// Templates are htm over preact: values become text nodes and attributes, never markup.
import htm from "../../vendor/htm.js";
import { Component, h, render } from "../../vendor/preact.js";

export const html = htm.bind(h);
export { Component, render };
