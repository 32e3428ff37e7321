// The chat API, as the page uses it. The token lives in this tab alone.

const TOKEN = "kiban-token";
let logged = ""; // the name under which somebody is logged in, by a cookie that scripts cannot read

/** A request that failed, with the server's own words. Status 0: no server was reached. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Move a token from the address (#token=…) into this tab, where neither history nor servers see it. */
export function takeTokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  keepToken(token);
  history.replaceState(null, "", location.pathname + location.search);
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token.trim());
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null || logged !== "";

export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
  logged = "";
}

/** Learn whether somebody is logged in. */
export async function lookForSession() {
  if (sessionStorage.getItem(TOKEN) !== null) return;
  const reply = await fetch("/v1/me");
  if (reply.ok) logged = (await reply.json()).subject;
}

export const waysIn = async () => (await send("/login")).json();
export const logIn = (name, password) =>
  send("/login/password", { method: "POST", body: JSON.stringify({ name, password }) });
export const logOut = () => send("/login/end", { method: "POST" });

/** The name in the token, for display alone: only the server decides whether it is true. */
export function subject() {
  if (logged) return logged;
  try {
    const claims = sessionStorage.getItem(TOKEN).split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub ?? "");
  } catch {
    return ""; // not a token; the server will say so
  }
}

export const checkToken = () => send("/v1/models");

export async function openDocument(id, start, end) {
  const reply = await send(`/v1/documents/${id}?start=${start}&end=${end}`);
  return reply.json();
}

/** How documents stand, for those of them one may read. */
export async function standing(ids) {
  const reply = await send(`/v1/documents?${ids.map((id) => `id=${id}`).join("&")}`);
  return (await reply.json()).data;
}

/** A page of a PDF as a picture, characters `start` to `end` marked. */
export async function drawnPage({ document_id, version }, page, [start, end]) {
  const about = `version=${version}&start=${start}&end=${end}`;
  return (await send(`/v1/documents/${document_id}/pages/${page}?${about}`)).blob();
}

/** Who you are here, and what you may do. */
export const me = async () => (await send("/v1/me")).json();

/** What those see who run the house: `path` below /v1/operate. */
export const office = async (path = "") => (await send(`/v1/operate${path}`)).json();

export const feedbackWaiting = async () => (await (await send("/v1/feedback")).json()).data;

export async function decideFeedback(id, approves, reason) {
  const body = JSON.stringify({ approves, reason });
  return (await send(`/v1/feedback/${id}/decision`, { method: "POST", body })).json();
}

/** What a question can be narrowed to. */
export const choices = async () => (await send("/v1/choices")).json();

export const giveFeedback = (feedback) =>
  send("/v1/feedback", { method: "POST", body: JSON.stringify(feedback) });

export async function conversations() {
  const reply = await send("/v1/conversations");
  return (await reply.json()).data;
}

export async function beginConversation() {
  const reply = await send("/v1/conversations", { method: "POST" });
  return (await reply.json()).id;
}

export async function readConversation(id) {
  const reply = await send(`/v1/conversations/${id}`);
  return (await reply.json()).exchanges;
}

export const deleteConversation = (id) => send(`/v1/conversations/${id}`, { method: "DELETE" });

/** Yield pieces of text, and last the sources: {text} or {sources}. The answer is kept in a conversation. */
export async function* ask(messages, conversation, scope, signal) {
  const body = JSON.stringify({ model: "kiban", messages, conversation, scope, stream: true });
  const reply = await send("/v1/chat/completions", { method: "POST", body, signal });
  for await (const event of events(reply.body)) {
    if (event.error) throw new Refusal(503, event.error.message);
    const text = event.choices?.[0]?.delta?.content;
    if (text) yield { text };
    if (event.kiban) yield { sources: event.kiban };
  }
}

async function send(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refusal(0, String(error));
  }
  if (reply.ok) return reply;
  const said = await reply.json().catch(() => null);
  throw new Refusal(reply.status, said?.error?.message ?? `HTTP ${reply.status}`);
}

/** Yield the server-sent events of a stream. One that ends without [DONE] was cut. */
async function* events(stream) {
  let held = "";
  for await (const piece of pieces(stream)) {
    held += piece;
    const lines = held.split("\n");
    held = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") return;
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
  throw new Refusal(0, "the stream was cut");
}

async function* pieces(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : new Refusal(0, String(error));
  } finally {
    reader.releaseLock();
  }
}
