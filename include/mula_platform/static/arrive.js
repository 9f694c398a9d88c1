// An old application leads here with its token behind the #, which no server ever sees: #dasha=<token>.
"use strict";
const [application, token] = location.hash.slice(1).split("=", 2);
const names = { dasha: "Dasha Timer", compatibility: "Compatibility" };
if (token && Object.hasOwn(names, application)) {
  const form = document.getElementById("arrive");
  form.elements.token.value = token;
  form.elements.kind.value = `urn:mula:${application}`;
  document.getElementById("application").textContent = names[application];
  form.hidden = false;
  // not into the history, nor to whoever looks over a shoulder
  history.replaceState(null, "", location.pathname);
}
