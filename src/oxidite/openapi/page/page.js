// Shows the document that the page names. It is a file because the policy allows no inline script.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

const { document: url, csrfCookie, csrfHeader } = document.body.dataset;
const SAFE = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY"];

function cookie(name) {
  const pair = document.cookie.split("; ").find((each) => each.startsWith(name + "="));
  return pair && decodeURIComponent(pair.slice(name.length + 1));
}

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
    const token = csrfCookie && !SAFE.includes((request.method || "GET").toUpperCase()) && cookie(csrfCookie);
    const isOwn = new URL(request.url, location.href).origin === location.origin;
    if (token && isOwn) request.headers[csrfHeader] = token;
    return request;
  },
});
