// Shows the document that the page names. It is a file because the policy allows no inline script.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const { document: url, headers } = document.body.dataset;
const SAFE = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"];

window.ui = SwaggerUIBundle({
  url: new URL(url, location.href).href,
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  showExtensions: true,
  // No badge of somebody else's validator, which would have to see the document.
  validatorUrl: null,
  requestInterceptor(request) {
    const isOwn = new URL(request.url, location.href).origin === location.origin;
    const isSafe = SAFE.includes((request.method || "GET").toUpperCase());
    if (isOwn && !isSafe) Object.assign(request.headers, JSON.parse(headers));
    return request;
  },
});
