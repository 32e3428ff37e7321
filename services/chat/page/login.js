// Logging in: by a password of this house, or at the company's own provider.

import * as api from "./api.js";

const find = (id) => document.getElementById(id);

/** Show the ways in that this house has. `entered` is called once somebody is logged in. */
export async function offerLogin(entered, refuse) {
  const failed = new URLSearchParams(location.hash.slice(1)).get("login");
  if (failed) {
    history.replaceState(null, "", location.pathname + location.search);
    refuse("logInFailed");
  }
  find("login").addEventListener("submit", (event) => submit(event, entered, refuse));
  find("login-elsewhere").addEventListener("click", () => location.assign("/login/provider"));
  const ways = await api.waysIn().catch(() => ({})); // a token may still be pasted
  find("login").hidden = !ways.password;
  find("login-elsewhere").hidden = !ways.provider;
  if (ways.password && document.activeElement === find("token")) find("name").focus();
}

/** The field one begins with, whether the ways in are known by now or not. */
export const firstField = () => find(find("login").hidden ? "token" : "name");

async function submit(event, entered, refuse) {
  event.preventDefault();
  const password = find("password").value;
  find("password").value = "";
  try {
    await api.logIn(find("name").value.trim(), password);
    await api.lookForSession();
    find("sign-in-notice").hidden = true;
    entered();
  } catch (error) {
    if (!(error instanceof api.Refusal)) throw error;
    refuse({ 401: "logInFailed", 429: "tooOften" }[error.status] ?? "unreachable");
  }
}
