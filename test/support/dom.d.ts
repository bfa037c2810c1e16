/** What playwright-core's types name of the DOM. The tests run in Node and have none of it; TypeScript's would be global. */
type Node = object;
type SVGElement = object;
type HTMLElement = object;
type HTMLElementTagNameMap = object;
